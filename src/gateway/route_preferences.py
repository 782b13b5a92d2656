"""Reads what a request prefers of routes, and chooses and sorts them by it: OpenRouter's `provider` and `models`.

OpenRouter's guides "Provider Routing" and "Model Fallbacks" say what the fields mean. Throughput and latency are not
measured: preferences for them leave the order as it is.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from math import inf
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, ValidationError, convert

from tollgate.gateway.errors import NotFoundError
from tollgate.gateway.routing import Route
from tollgate.gateway.validation import bad_field, read_fault

Amount = Annotated[float, Meta(ge=0)]
Name = Annotated[str, Meta(min_length=1, max_length=256)]
MAX_MODELS = 16
"""What a request holds is computed for each."""
Names = Annotated[tuple[Name, ...], Meta(max_length=64)]
Quantization = Literal["int4", "int8", "fp4", "fp6", "fp8", "fp16", "bf16", "fp32", "unknown"]


class MaxPrice(Struct, frozen=True, kw_only=True):
    """The most that a route may cost: USD per million tokens. Requests, images and audio have no price of their own."""

    prompt: Amount | None = None
    completion: Amount | None = None
    request: Amount | None = None
    image: Amount | None = None
    audio: Amount | None = None

    def allows(self, route: Route) -> bool:
        """Whether the route is known to cost no more."""
        if self.prompt is None and self.completion is None:
            return True
        prices = route.prices
        return (
            prices is not None
            and (self.prompt is None or prices.input_usd_per_mtok <= Decimal(str(self.prompt)))
            and (self.completion is None or prices.output_usd_per_mtok <= Decimal(str(self.completion)))
        )


class ProviderPreferences(Struct, frozen=True, kw_only=True):
    """The field `provider`. Names of providers that the catalog does not have are ignored."""

    order: Names | None = None
    only: Names | None = None
    ignore: Names | None = None
    allow_fallbacks: bool | None = None
    require_parameters: bool | None = None
    """See gateway.chat_operation.requires_parameters."""
    sort: Literal["price", "throughput", "latency"] | None = None
    max_price: MaxPrice | None = None
    data_collection: Literal["allow", "deny"] | None = None
    zdr: bool | None = None
    quantizations: Annotated[tuple[Quantization, ...], Meta(max_length=16)] | None = None
    preferred_min_throughput: Amount | dict[str, Amount | None] | None = None
    preferred_max_latency: Amount | dict[str, Amount | None] | None = None

    def chosen(self, routes: Sequence[Route]) -> Sequence[Route]:
        """The routes of one model that fit, in the order that is preferred; none if none fits."""
        fitting = [route for route in routes if self._fits(route)]
        if self.allow_fallbacks is False:
            fitting = [route for route in fitting if self.names(route)] or fitting
        ordered = [_key(name) for name in self.order or ()]
        if ordered or self.sort == "price":
            fitting.sort(key=lambda route: self._rank(route, ordered))
        return fitting

    def names(self, route: Route) -> bool:
        """Whether the route's provider is in `order`."""
        return _key(route.provider.name) in map(_key, self.order or ())

    def _fits(self, route: Route) -> bool:
        name = _key(route.provider.name)
        if self.only and name not in map(_key, self.only):
            return False
        if self.ignore and name in map(_key, self.ignore):
            return False
        if (self.zdr or self.data_collection == "deny") and route.provider.data_collection != "deny":
            return False
        if self.quantizations and (route.quantization or "unknown") not in self.quantizations:
            return False
        return self.max_price is None or self.max_price.allows(route)

    def _rank(self, route: Route, ordered: Sequence[str]) -> tuple[int, float]:
        name = _key(route.provider.name)
        place = ordered.index(name) if name in ordered else len(ordered)
        return place, _price(route) if self.sort == "price" else 0


class RoutePreferences(Struct, frozen=True, kw_only=True):
    """What a request says of its routes. `models` are tried in order after the request's own."""

    provider: ProviderPreferences | None = None
    models: Annotated[tuple[Name, ...], Meta(max_length=MAX_MODELS)] | None = None
    route: Literal["fallback"] | None = None


def read_preferences(fields: Mapping[str, Any]) -> RoutePreferences | None:
    """The preferences in the fields of a request; None if it has none. Raises BadRequestError naming the field."""
    present = {name: fields[name] for name in RoutePreferences.__struct_fields__ if name in fields}
    if not present:
        return None
    try:
        return convert(present, RoutePreferences)
    except ValidationError as error:
        raise bad_field(read_fault(error)) from None


def no_route(model: str) -> NotFoundError:
    """The error for a model none of whose routes fits the preferences."""
    message = f"No route of the model {model[:200]!r} fits the preferences in `provider`."
    return NotFoundError(message, param="provider", code="no_matching_provider")


def _key(name: str) -> str:
    """What is compared of a provider's name: `DeepInfra/turbo` names a variant of `deepinfra`."""
    return name.partition("/")[0].strip().lower().replace(" ", "-")


def _price(route: Route) -> float:
    """The prices of prompt and output together; a route without prices is the dearest."""
    prices = route.prices
    return inf if prices is None else float(prices.input_usd_per_mtok + prices.output_usd_per_mtok)
