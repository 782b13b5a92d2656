"""Reads the catalog's layers, validates every row of them, and says in which file, row and column a fault is.

A catalog is TOML: `[providers.NAME]`, `[models."ID"]`, `[tiers.NAME]`, `[guardrails.NAME]` and `[routing]`
tables. It may have several layers; a later layer replaces a row column by column, and columns that it does not name
stay. JSON of the same shape, with dates and decimals as strings, is read too, in a small part of the time.
"""

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar, cast

from msgspec import Raw, Struct, ValidationError, convert
from msgspec.json import decode

from tollgate.gateway.catalog import Catalog, CatalogError, HasCalls, Model, Provider, Routing, Tier, generated_columns
from tollgate.gateway.types import Json
from tollgate.gateway.validation import read_fault

if TYPE_CHECKING:
    from tollgate.gateway.guardrail_rows import Guardrail

Row = TypeVar("Row", bound=Struct)
TABLES = ("providers", "models", "tiers", "guardrails", "routing")
SINGLE_ROW = "routing"
"""The table that is one row."""


FALLBACKS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
"""The columns of a model that name other models."""


def read_generated(text: bytes) -> Mapping[str, Raw]:
    """The generated rows, a JSON object of columns by the model's id, each still as text."""
    return decode(text, type=dict[str, Raw])


def load(
    layers: Iterable[tuple[str, str]], families: Mapping[str, HasCalls], generated: Mapping[str, Raw] | None = None
) -> Catalog:
    """Read TOML layers, `(file name, text)`, the lowest first; JSON if the name ends in `.json`.

    Below them are the `generated` rows (see read_generated), of which only those that a layer changes are validated.

    Raises CatalogError, naming file, row and reason: not TOML, an unknown column, a missing or mistyped value, an
    unknown family, a route to a provider without a row, an alias of two models.
    """
    rows: dict[str, dict[str, Json]] = {table: {} for table in TABLES}
    written_in: dict[tuple[str, str], str] = {}
    generated = generated or {}
    for file, text in layers:
        for table, name, columns in _rows(file, text):
            if table == "models" and name not in rows[table] and name in generated:
                rows[table][name] = generated_columns(name, generated[name])
            rows[table][name] = {**rows[table].get(name, {}), **columns}
            written_in[table, name] = file
    providers = {
        n: _check(Provider, "providers", n, {"name": n, **r}, written_in) for n, r in rows["providers"].items()
    }
    models = {n: _check(Model, "models", n, {"id": n, **r}, written_in) for n, r in rows["models"].items()}
    tiers = {name: _check(Tier, "tiers", name, row, written_in) for name, row in rows["tiers"].items()}
    routing = _check(Routing, SINGLE_ROW, SINGLE_ROW, rows[SINGLE_ROW].get(SINGLE_ROW, {}), written_in)
    _check_providers(providers, families, written_in)
    _check_models(models, providers, families, written_in)
    guardrails = _guardrails(rows["guardrails"], written_in)
    names = _names(models, written_in)
    catalog = Catalog(providers, models, names, tiers, generated, families, routing, guardrails)
    _check_named_models(catalog, written_in)
    _check_guardrails(catalog, written_in)
    return catalog


def _check_providers(
    providers: Mapping[str, Provider], families: Mapping[str, HasCalls], written_in: Mapping[tuple[str, str], str]
) -> None:
    for name, provider in providers.items():
        if provider.family not in families:
            raise _error(written_in, "providers", name, f"family: {provider.family!r} is none of {sorted(families)}")
        if not provider.base_url and provider.family != "echo":
            raise _error(written_in, "providers", name, "base_url: it is missing")


def _check_models(
    models: Mapping[str, Model],
    providers: Mapping[str, Provider],
    families: Mapping[str, HasCalls],
    written_in: Mapping[tuple[str, str], str],
) -> None:
    for name, model in models.items():
        for route in model.routes:
            if route.provider not in providers:
                raise _error(written_in, "models", name, f"routes: no provider row is named {route.provider!r}")
        supported = {name for route in model.routes for name in families[providers[route.provider].family].calls}
        if unsupported := sorted(set(model.operations) - supported):
            reason = f"operations: {unsupported} is supported by no route; {sorted(supported)} are"
            raise _error(written_in, "models", name, reason)


def _guardrails(rows: Mapping[str, Json], written_in: Mapping[tuple[str, str], str]) -> "Mapping[str, Guardrail]":
    if not rows:
        return {}
    from tollgate.gateway.guardrail_rows import Guardrail  # most catalogs have none

    kind = cast("type[Guardrail]", Guardrail)
    return {name: _check(kind, "guardrails", name, {"name": name, **row}, written_in) for name, row in rows.items()}


def _check_guardrails(catalog: Catalog, written_in: Mapping[tuple[str, str], str]) -> None:
    """What guardrails ask must exist."""
    if not catalog.guardrails:
        return
    from tollgate.gateway.guardrail_targets import target_of

    for name, row in catalog.guardrails.items():
        try:
            target_of(catalog, row)
        except ValueError as error:
            raise _error(written_in, "guardrails", name, str(error)) from None


def _check_named_models(catalog: Catalog, written_in: Mapping[tuple[str, str], str]) -> None:
    """Models that other rows name must exist."""
    for name, model in catalog.models.items():
        for column in FALLBACKS:
            for other in getattr(model, column):
                if catalog.find(other) is None:
                    raise _error(written_in, "models", name, f"{column}: no model is named {other!r}")
    for other in catalog.routing.named:
        if catalog.find(other) is None:
            raise _error(written_in, SINGLE_ROW, SINGLE_ROW, f"no model is named {other!r}")


def _rows(file: str, text: str) -> Iterable[tuple[str, str, Json]]:
    document = json.loads(text) if file.endswith(".json") else _parse_toml(file, text)
    for table, entries in document.items():
        if table not in TABLES or not isinstance(entries, dict):
            known = '[providers.NAME], [models."ID"], [tiers.NAME], [guardrails.NAME] and [routing]'
            raise CatalogError(f"{file}: [{table}]: a catalog holds {known} only")
        if table == SINGLE_ROW:
            yield table, table, cast(Json, entries)
            continue
        for name, columns in cast(Json, entries).items():
            if not isinstance(columns, dict):
                raise CatalogError(f"{file}: {table}.{name}: a row is a table of columns")
            if {"id", "name"} & columns.keys():
                raise CatalogError(f"{file}: {table}.{name}: a row is named by its heading, not by a column")
            yield table, name, columns


def _parse_toml(file: str, text: str) -> Json:
    import tomllib  # not needed where the catalog is JSON

    try:
        return tomllib.loads(text, parse_float=Decimal)  # money as it is written, not its nearest binary
    except (ValueError, ArithmeticError, RecursionError) as error:  # numbers and depths no parser takes are no TOML
        raise CatalogError(f"{file}: not TOML: {error}") from error


def _check(kind: type[Row], table: str, name: str, columns: Json, written_in: Mapping[tuple[str, str], str]) -> Row:
    try:
        return convert(columns, kind)
    except ValidationError as error:
        fault = read_fault(error)
        reason = {"missing": "it is missing", "unknown": "unknown column"}.get(fault.kind, fault.text)
        raise _error(written_in, table, name, f"{fault.path}: {reason}") from error


def _names(models: Mapping[str, Model], written_in: Mapping[tuple[str, str], str]) -> dict[str, Model]:
    names = dict(models)
    for model_id, model in models.items():
        for alias in model.aliases:
            if alias in names:
                raise _error(written_in, "models", model_id, f"aliases: {alias!r} already names {names[alias].id!r}")
            names[alias] = model
    return names


def _error(written_in: Mapping[tuple[str, str], str], table: str, name: str, reason: str) -> CatalogError:
    row = table if table == SINGLE_ROW else f"{table}.{name}"
    return CatalogError(f"{written_in[table, name]}: {row}: {reason}")
