"""`tollgate models`: the models of the catalog, what they cost, and which credential is missing."""

import os
from collections.abc import Iterator
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tollgate.handler.cli.output import AsJson, CatalogFile, catalog_of, fail_on_errors, print_json, print_table

if TYPE_CHECKING:
    from tollgate.gateway.catalog import Catalog, Model


def models(
    pattern: Annotated[str, typer.Argument(help="A glob of model names, such as 'gpt-*'.")] = "*",
    all_models: Annotated[
        bool, typer.Option("--all", help="Also the hundreds that are only named as provider/model.")
    ] = False,
    catalog: CatalogFile = None,
    as_json: AsJson = False,
) -> None:
    """The models of the catalog, with USD per million tokens, context, and the credentials that this machine lacks."""
    with fail_on_errors():
        rows = list(_rows(catalog_of(catalog), pattern, all_models))
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


def _rows(catalog: "Catalog", pattern: str, all_models: bool) -> Iterator[dict[str, Any]]:
    for model in catalog.listed() if all_models else catalog.models.values():
        if any(fnmatchcase(name, pattern) for name in (model.id, *model.aliases)):
            prices = model.prices
            yield {
                "model": model.id,
                "aliases": list(model.aliases),
                "providers": [row.provider for row in model.routes],
                "operations": list(model.operations),
                "context_length": model.context_length,
                "input_usd_per_mtok": None if prices is None else str(prices.input_usd_per_mtok),
                "output_usd_per_mtok": None if prices is None else str(prices.output_usd_per_mtok),
                "missing_credentials": list(_missing(catalog, model)),
            }


def _missing(catalog: "Catalog", model: "Model") -> Iterator[str]:
    """The names of credentials that are in no environment variable here."""
    for row in model.routes:
        for provider, _ in catalog.providers[row.provider].by_credential():
            if provider.credential and not os.environ.get(provider.credential):
                yield provider.credential


def _price(usd: str | None) -> str:
    return "?" if usd is None else f"{Decimal(usd).normalize():f}"
