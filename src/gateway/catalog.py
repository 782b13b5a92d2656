"""The catalog: providers, models and tiers as rows, and any model of a provider as `provider/model`.

Most rows are validated when they are read. Generated rows, some hundred models, stay JSON text until they are named,
because a cold start would have to read them all.
"""

import datetime
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Literal, Protocol
from urllib.parse import urlsplit

from msgspec import Meta, Raw, Struct, convert
from msgspec.json import decode
from msgspec.structs import replace

from tollgate.gateway.errors import ConfigurationError
from tollgate.gateway.limits import MAX_LIMIT, MAX_LIMIT_USD, Budget, Limits, Period
from tollgate.gateway.prices import Prices
from tollgate.gateway.quirks import Capabilities, Quirks
from tollgate.gateway.types import Json

if TYPE_CHECKING:
    from tollgate.gateway.guardrail_rows import Guardrail

UNKNOWN_DAY = datetime.date(1970, 1, 1)
"""Stands for a day that is not known, as in Anthropic's API reference, "List Models"."""
ASSUMED_CONTEXT_LENGTH = 128_000
"""For a model without a row."""


class HasCalls(Protocol):
    """A family, as far as the catalog is checked against it."""

    @property
    def calls(self) -> Mapping[str, object]:
        """Its calls by the name of their operation."""
        ...


class CatalogError(ConfigurationError):
    """A catalog cannot be used; the message names file, row and reason."""


Seconds = Annotated[float, Meta(gt=0, le=900)]


class Timeouts(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Seconds of one call: to connect, until the first byte, between bytes, and in total.

    A column of a provider that is not given is the gateway's.
    """

    connect: Seconds | None = None
    first_byte: Seconds | None = None
    idle: Seconds | None = None
    total: Seconds | None = None


class WeightedCredential(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One of several credentials of a provider, with its share of the requests."""

    name: str
    weight: Annotated[int, Meta(gt=0, le=1000)] = 1


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
    credentials: tuple[WeightedCredential, ...] = ()
    """Several credentials in place of `credential`."""
    timeouts: Timeouts = Timeouts()
    data_collection: Literal["allow", "deny"] = "allow"
    """`deny` if the provider keeps no prompts and trains on none: clients can ask for such providers alone."""
    region: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,32}\Z")] | None = None
    """The AWS region it is called in; by default the region of the gateway."""
    quirks: Quirks = Quirks()

    def __post_init__(self) -> None:
        try:
            _check_url(self.base_url)
        except ValueError as error:
            raise ValueError(f"base_url: {error}") from None
        if self.auth in ("bearer", "header") and not self.credential and not self.credentials:
            raise ValueError(f'credential: auth = "{self.auth}" needs a credential name')
        if self.credential and self.credentials:
            raise ValueError("credentials: a provider has `credential` or `credentials`, not both")

    def by_credential(self) -> "Sequence[tuple[Provider, int]]":
        """The provider once for each of its credentials, with the weight of that credential."""
        if not self.credentials:
            return ((self, 1),)
        return [(replace(self, credential=each.name, credentials=()), each.weight) for each in self.credentials]


class Architecture(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The `architecture` of a model in `GET /v1/models`."""

    modality: Annotated[str, Meta(pattern=r"^[a-z+]+->[a-z+]+\Z")] = "text->text"
    """What goes in, an arrow, and what comes out, each joined by `+`."""
    tokenizer: str = "unknown"
    instruct_type: str | None = None


class RouteRow(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One route to a model: the provider, and the provider's name of the model."""

    provider: str
    model: Annotated[str, Meta(pattern=r"^[!-~]+\Z")]
    weight: Annotated[int, Meta(ge=0, le=1000)] = 1
    """Its share of the requests. A route of weight 0 is tried only when the others have failed."""
    prices: Prices | None = None
    """What the model costs on this route; by default what the row of the model says."""
    quantization: str | None = None
    """The precision of the model's weights there, as OpenRouter names it: `fp8`, `int4` ..."""


class Model(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One model that clients can name."""

    id: Annotated[str, Meta(pattern=r"^\S+\Z", max_length=256)]
    aliases: tuple[str, ...] = ()
    created: datetime.date = UNKNOWN_DAY
    """The day on which it was first offered."""
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
    fallbacks: tuple[str, ...] = ()
    """Models that are tried when no route of this one answers."""
    context_window_fallbacks: tuple[str, ...] = ()
    """Models that are tried when the prompt is too long for this one."""
    content_policy_fallbacks: tuple[str, ...] = ()
    """Models that are tried when this one's provider refuses the prompt for its content."""


class AutoModel(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the model `auto` stands for: `plain` or, from a score of `threshold` on, `complex` (see gateway.auto)."""

    plain: str
    complex: str
    threshold: Annotated[int, Meta(ge=1, le=100)] = 4


class Routing(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How models are chosen that a client does not name: the table `[routing]`."""

    default_model: str | None = None
    """The model of a request without one."""
    auto: AutoModel | None = None

    @property
    def named(self) -> Sequence[str]:
        """The models that it names."""
        auto = () if self.auto is None else (self.auto.plain, self.auto.complex)
        return [name for name in (self.default_model, *auto) if name]


NO_ROUTING = Routing()


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


def _check_url(url: str) -> None:
    parts = urlsplit(url)  # raises ValueError for a port that is none
    if url and (parts.scheme not in ("http", "https") or not parts.hostname or (parts.port or 1) < 1):
        raise ValueError("it must be an http or https URL")
    if parts.username is not None or not url.isascii():
        raise ValueError("it must be ASCII, without a user name")


@dataclass(frozen=True, slots=True)
class Catalog:
    """Validated rows, and the generated ones. `names` maps every model id and alias of validated rows to its model."""

    providers: Mapping[str, Provider]
    models: Mapping[str, Model]
    names: Mapping[str, Model]
    tiers: Mapping[str, Tier]
    generated: Mapping[str, Raw] = field(default_factory=dict[str, Raw], repr=False)
    """The columns of generated rows in JSON, by the model's id."""
    families: Mapping[str, HasCalls] = field(default_factory=dict[str, HasCalls], repr=False, compare=False)
    routing: Routing = NO_ROUTING
    guardrails: "Mapping[str, Guardrail]" = field(default_factory=dict[str, "Guardrail"])
    _validated: dict[str, Model] = field(default_factory=dict[str, Model], init=False, repr=False, compare=False)

    def find(self, name: str) -> Model | None:
        """The model with this id or alias, or the one that `provider/model` names: any that a provider may have.

        The first row with this route, else the generated row, tells what it costs and supports. A model without a row
        has no price, and is assumed to support what its provider's family does.
        """
        provider, slash, upstream_model = name.partition("/")
        if name in self.names or not slash or provider not in self.providers:
            return self.names.get(name)
        if not _ROUTE.fullmatch(name):
            return None
        for model in self.models.values():
            for row in model.routes:
                if (row.provider, row.model) == (provider, upstream_model):
                    return replace(model, id=name, aliases=(), routes=(row,))
        if name in self.generated:
            return self._find_generated(name)
        row = RouteRow(provider=provider, model=upstream_model)
        operations = tuple(self.families[self.providers[provider].family].calls)
        context = ASSUMED_CONTEXT_LENGTH
        return Model(id=name, owned_by=provider, context_length=context, operations=operations, routes=(row,))

    @property
    def credentials(self) -> Sequence[str]:
        """The names of the credentials of all providers."""
        providers = (each for row in self.providers.values() for each, _ in row.by_credential())
        return list(dict.fromkeys(provider.credential for provider in providers if provider.credential))

    def listed(self) -> Iterator[Model]:
        """Every model with a row, those written by hand first."""
        yield from self.models.values()
        yield from filter(None, (self.find(name) for name in self.generated if name not in self.names))

    def _find_generated(self, name: str) -> Model:
        if name not in self._validated:
            self._validated[name] = convert({"id": name, **generated_columns(name, self.generated[name])}, Model)
        return self._validated[name]

    def without_family(self, family: str) -> "Catalog":
        """The same catalog, less the providers of this family and the models that only they answer."""
        providers = {name: provider for name, provider in self.providers.items() if provider.family != family}
        models = {
            name: model if len(routes) == len(model.routes) else replace(model, routes=routes)
            for name, model in self.models.items()
            if (routes := tuple(route for route in model.routes if route.provider in providers))
        }
        names = {name: models[model.id] for name, model in self.names.items() if model.id in models}
        rest = (self.tiers, self.generated, self.families, self.routing, self.guardrails)
        return Catalog(providers, models, names, *rest)


def generated_columns(name: str, text: Raw) -> Json:
    """The columns of a generated row, with the owner and the route that its id names."""
    provider, _, upstream_model = name.partition("/")
    return {**decode(text), "owned_by": provider, "routes": [{"provider": provider, "model": upstream_model}]}


_ROUTE = re.compile(r"(?=.{3,256}$)[!-.0-~]+/[!-~]+", re.ASCII)
"""What both an id and a route may consist of."""
