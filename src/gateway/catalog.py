"""The catalog: providers, models and tiers as rows, validated when they are read.

A catalog is TOML: `[providers.NAME]`, `[models."ID"]` and `[tiers.NAME]` tables. It may have several layers; a later
layer replaces a row column by column, and columns that it does not name stay. JSON of the same shape, with dates and
decimals as strings, is read too, in a small part of the time.
"""

import datetime
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal, Protocol, TypeVar, cast
from urllib.parse import urlsplit

from msgspec import Meta, Struct, ValidationError, convert

from tollgate.gateway.errors import ConfigurationError
from tollgate.gateway.limits import MAX_LIMIT, MAX_LIMIT_USD, Budget, Limits, Period
from tollgate.gateway.prices import Prices
from tollgate.gateway.quirks import Capabilities, Quirks
from tollgate.gateway.types import Json
from tollgate.gateway.validation import read_fault

Row = TypeVar("Row", bound=Struct)
TABLES = ("providers", "models", "tiers")


class HasCalls(Protocol):
    """A family, as far as the catalog is checked against it."""

    @property
    def calls(self) -> Mapping[str, object]:
        """Its calls by the name of their operation."""
        ...


class CatalogError(ConfigurationError):
    """A catalog cannot be used; the message names file, row and reason."""


class Provider(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One provider: the family that it speaks, its address, and its credential."""

    name: Annotated[str, Meta(pattern=r"^[!-~]+\Z")]
    """It is sent in a header, so it is visible ASCII."""
    family: str
    base_url: str = ""
    """Its address; `{region}` in it stands for the AWS region."""
    auth: Literal["bearer", "header", "sigv4", "none"] = "bearer"
    """How requests are authenticated; `sigv4` signs with the AWS credentials of the gateway itself, which have no name.
    """
    auth_header: Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]+\Z")] = "authorization"
    """For `auth = "header"`: the header with the bare credential."""
    credential: str | None = None
    """The credential's name: an environment variable locally, the last part of the parameter's name in AWS."""
    region: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,32}\Z")] | None = None
    """The AWS region it is called in; by default the region of the gateway."""
    quirks: Quirks = Quirks()

    def __post_init__(self) -> None:
        try:
            _check_url(self.base_url)
        except ValueError as error:
            raise ValueError(f"base_url: {error}") from None
        if self.auth in ("bearer", "header") and not self.credential:
            raise ValueError(f'credential: auth = "{self.auth}" needs a credential name')


class Architecture(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The `architecture` of a model in `GET /v1/models`."""

    modality: str = "text"
    tokenizer: str = "unknown"
    instruct_type: str | None = None


class RouteRow(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One route to a model: the provider, and the provider's name of the model."""

    provider: str
    model: Annotated[str, Meta(pattern=r"^[!-~]+\Z")]


class Model(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One model that clients can name."""

    id: Annotated[str, Meta(pattern=r"^\S+\Z", max_length=256)]
    aliases: tuple[str, ...] = ()
    created: datetime.date
    owned_by: str
    context_length: Annotated[int, Meta(gt=0)]
    usual_output_tokens: Annotated[int, Meta(gt=0)] = 1024
    """The output expected of a request without a smaller limit: that many tokens are held for it."""
    operations: Annotated[tuple[str, ...], Meta(min_length=1)] = ("chat",)
    """The names of the operations that the model supports."""
    architecture: Architecture = Architecture()
    capabilities: Capabilities = Capabilities()
    prices: Prices | None = None
    routes: Annotated[tuple[RouteRow, ...], Meta(min_length=1)]


class Tier(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Limits that keys get by name; a limit that is not given does not exist."""

    rpm: Annotated[int, Meta(gt=0, le=MAX_LIMIT)] | None = None
    tpm: Annotated[int, Meta(gt=0, le=MAX_LIMIT)] | None = None
    concurrency: Annotated[int, Meta(gt=0, le=MAX_LIMIT)] | None = None
    budget_usd: Decimal | None = None
    budget_per: Period = "month"

    def __post_init__(self) -> None:
        usd = self.budget_usd
        if usd is not None and not (usd.is_finite() and 0 <= usd <= MAX_LIMIT_USD):
            raise ValueError(f"budget_usd: a budget is a number from 0 to {MAX_LIMIT_USD}")

    @property
    def limits(self) -> Limits:
        """The limits of a key with this tier."""
        budget = None if self.budget_usd is None else Budget(self.budget_usd, self.budget_per)
        return Limits(self.rpm, self.tpm, self.concurrency, budget)


@dataclass(frozen=True, slots=True)
class Catalog:
    """Validated rows. `names` maps every model id and alias to its model."""

    providers: Mapping[str, Provider]
    models: Mapping[str, Model]
    names: Mapping[str, Model]
    tiers: Mapping[str, Tier]

    def without_family(self, family: str) -> "Catalog":
        """The same catalog, less the models that only providers of this family answer."""

        def stays(model: Model) -> bool:
            return any(self.providers[route.provider].family != family for route in model.routes)

        models = {model_id: model for model_id, model in self.models.items() if stays(model)}
        names = {name: model for name, model in self.names.items() if stays(model)}
        return Catalog(self.providers, models, names, self.tiers)


def load(layers: Iterable[tuple[str, str]], families: Mapping[str, HasCalls]) -> Catalog:
    """Read TOML layers, `(file name, text)`, the lowest first; JSON if the name ends in `.json`.

    Raises CatalogError, naming file, row and reason: not TOML, an unknown column, a missing or mistyped value, an
    unknown family, a route to a provider without a row, an alias of two models.
    """
    rows: dict[str, dict[str, Json]] = {"providers": {}, "models": {}, "tiers": {}}
    written_in: dict[tuple[str, str], str] = {}
    for file, text in layers:
        for table, name, columns in _rows(file, text):
            rows[table][name] = {**rows[table].get(name, {}), **columns}
            written_in[table, name] = file
    providers = {
        n: _check(Provider, "providers", n, {"name": n, **r}, written_in) for n, r in rows["providers"].items()
    }
    models = {n: _check(Model, "models", n, {"id": n, **r}, written_in) for n, r in rows["models"].items()}
    tiers = {name: _check(Tier, "tiers", name, row, written_in) for name, row in rows["tiers"].items()}
    _check_providers(providers, families, written_in)
    _check_models(models, providers, families, written_in)
    return Catalog(providers, models, _names(models, written_in), tiers)


def _check_url(url: str) -> None:
    parts = urlsplit(url)  # raises ValueError for a port that is none
    if url and (parts.scheme not in ("http", "https") or not parts.hostname or (parts.port or 1) < 1):
        raise ValueError("it must be an http or https URL")
    if parts.username is not None or not url.isascii():
        raise ValueError("it must be ASCII, without a user name")


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


def _rows(file: str, text: str) -> Iterable[tuple[str, str, Json]]:
    document = json.loads(text) if file.endswith(".json") else _parse_toml(file, text)
    for table, entries in document.items():
        if table not in TABLES or not isinstance(entries, dict):
            raise CatalogError(
                f'{file}: [{table}]: a catalog holds [providers.NAME], [models."ID"] and [tiers.NAME] only'
            )
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
    return CatalogError(f"{written_in[table, name]}: {table}.{name}: {reason}")
