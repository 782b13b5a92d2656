"""`tollgate models`: the models of the catalog, what they cost, and which credential is missing."""

import os
from decimal import Decimal
from typing import Annotated

import typer

from tollgate.handler.cli.output import AsJson, CatalogFile, catalog_of, fail_on_errors, print_json, print_table


def models(
    pattern: Annotated[str, typer.Argument(help="A glob of model names, such as 'gpt-*'.")] = "*",
    all_models: Annotated[
        bool, typer.Option("--all", help="Also the hundreds that are only named as provider/model.")
    ] = False,
    catalog: CatalogFile = None,
    as_json: AsJson = False,
) -> None:
    """The models of the catalog, with USD per million tokens, context, and the credentials that this machine lacks."""
    from tollgate.gateway.catalog_report import model_rows

    with fail_on_errors():
        whole = catalog_of(catalog)
    missing = {name for name in whole.credentials if not os.environ.get(name)}
    rows = list(model_rows(whole, pattern, missing, all_models=all_models))
    if as_json:
        print_json(rows)
        return
    table = [
        (
            row["model"],
            ", ".join(row["providers"]),
            ", ".join(row["operations"]),
            f"{row['context_length']:,}",
            _price(row["input_usd_per_mtok"]),
            _price(row["output_usd_per_mtok"]),
            ", ".join(row["missing_credentials"]) or "-",
        )
        for row in rows
    ]
    names = ("model", "providers", "operations")
    ordered = [(*row[:3], row[6], *row[3:6]) for row in table]
    print_table((*names, "missing credentials"), ordered, ("context", "input USD", "output USD"))


def _price(usd: str | None) -> str:
    return "?" if usd is None else f"{Decimal(usd).normalize():f}"
