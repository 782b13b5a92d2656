"""Reads what a request prefers of routes, and chooses and sorts them by it: OpenRouter's `provider` and `models`.

OpenRouter's guides "Provider Routing" and "Model Fallbacks" say what the fields mean. Where they speak of percentiles
of throughput and latency, averages are compared.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from math import inf
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, ValidationError, convert

from tollgate.gateway.errors import NotFoundError
from tollgate.gateway.routing import Route
from tollgate.gateway.speed import Speed
from tollgate.gateway.validation import bad_field, read_fault

Amount = Annotated[float, Meta(ge=0)]
Name = Annotated[str, Meta(min_length=1, max_length=256)]
MAX_MODELS = 16
"""What a request holds is computed for each."""
Names = Annotated[tuple[Name, ...], Meta(max_length=64)]
Quantization = Literal["int4", "int8", "fp4", "fp6", "fp8", "fp16", "bf16", "fp32", "unknown"]


class MaxPrice(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The most that a route may cost: USD per million tokens, or per image; no route has a price per request."""

    prompt: Decimal | None = None
    completion: Decimal | None = None
    request: Decimal | None = None
    image: Decimal | None = None
    audio: Decimal | None = None

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            price: Decimal | None = getattr(self, name)
            if price is not None and not (price.is_finite() and price >= 0):
                raise ValueError(f"{name}: it is not a number from 0 on")

    def allows(self, route: Route) -> bool:
        """Whether the route is known to cost no more. What has no price of its own costs nothing of its own."""
        if self.prompt is None and self.completion is None and self.image is None and self.audio is None:
            return True
        prices = route.prices
        return prices is not None and all(
            limit is None or price is None or price <= limit
            for limit, price in (
                (self.prompt, prices.input_usd_per_mtok),
                (self.completion, prices.output_usd_per_mtok),
                (self.image, prices.usd_per_unit.get("images")),
                (self.audio, prices.input_audio_usd_per_mtok),
            )
        )


Order = Literal["price", "throughput", "latency"]


class Sorting(Struct, frozen=True, kw_only=True):
    """The field `sort` as an object. `none` sorts the routes of all requested models together."""

    by: Order
    partition: Literal["model", "none"] = "model"


class Percentiles(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What several percentiles of throughput or latency should be."""

    p50: Amount | None = None
    p75: Amount | None = None
    p90: Amount | None = None
    p99: Amount | None = None

    @property
    def typical(self) -> float | None:
        """What the average is compared with: the median, else the first percentile that is given."""
        given = (self.p50, self.p75, self.p90, self.p99)
        return next((figure for figure in given if figure is not None), None)


Preferred = Amount | Percentiles


class ProviderPreferences(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The field `provider`. Names of providers that the catalog does not have are ignored; a field that OpenRouter does
    not have is refused, because a misspelt `only` would send the prompt where it must not go."""

    order: Names | None = None
    only: Names | None = None
    ignore: Names | None = None
    allow_fallbacks: bool | None = None
    require_parameters: bool | None = None
    """See gateway.chat_operation.requires_parameters."""
    sort: Order | Sorting | None = None
    max_price: MaxPrice | None = None
    data_collection: Literal["allow", "deny"] | None = None
    zdr: bool | None = None
    quantizations: Annotated[tuple[Quantization, ...], Meta(max_length=16)] | None = None
    preferred_min_throughput: Preferred | None = None
    preferred_max_latency: Preferred | None = None
    enforce_distillable_text: bool | None = None
    options: dict[str, Any] | None = None
    """Options for single providers, which OpenRouter passes on."""

    def __post_init__(self) -> None:
        if self.enforce_distillable_text:
            raise ValueError("enforce_distillable_text: the catalog does not know whose texts may train other models")

    @property
    def sorting(self) -> Sorting | None:
        """The field `sort`, whatever its form."""
        return Sorting(by=self.sort) if isinstance(self.sort, str) else self.sort

    @property
    def needs_speed(self) -> bool:
        """Whether the order depends on how fast the routes are."""
        is_by_speed = self.sorting is not None and self.sorting.by != "price"
        return is_by_speed or self.preferred_min_throughput is not None or self.preferred_max_latency is not None

    def chosen(self, routes: Sequence[Route], speed_of: Callable[[Route], Speed]) -> Sequence[Route]:
        """The routes of one model that fit, in the order that is preferred; none if none fits."""
        fitting = [route for route in routes if self._fits(route)]
        if self.allow_fallbacks is False:
            fitting = [route for route in fitting if self.names(route) or not self.order]
        return sorted(fitting, key=lambda route: self.rank(route, speed_of))

    def names(self, route: Route) -> bool:
        """Whether the route's provider is in `order`."""
        return _key(route.provider.name) in map(_key, self.order or ())

    def rank(self, route: Route, speed_of: Callable[[Route], Speed]) -> tuple[int, bool, float]:
        """Smaller is better: by the place in `order`, then fast enough before too slow, then by `sort`."""
        names = [_key(name) for name in self.order or ()]
        name = _key(route.provider.name)
        place = names.index(name) if name in names else len(names)
        if not self.needs_speed:
            return place, False, 0.0 if self.sorting is None else _price(route)
        speed, sorting = speed_of(route), self.sorting
        return place, self._is_too_slow(speed), 0.0 if sorting is None else _measure(sorting.by, route, speed)

    def _is_too_slow(self, speed: Speed) -> bool:
        """Whether it is known to be slower than preferred."""
        least, most = _limit(self.preferred_min_throughput), _limit(self.preferred_max_latency)
        return (least is not None and speed.throughput is not None and speed.throughput < least) or (
            most is not None and speed.latency is not None and speed.latency > most
        )

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


class UsageOptions(Struct, frozen=True, kw_only=True):
    """The field `usage`."""

    include: bool | None = None


class ReasoningOptions(Struct, frozen=True, kw_only=True):
    """The field `reasoning`; which efforts there are is for the adapters to say."""

    effort: str | None = None
    max_tokens: Annotated[int, Meta(ge=0)] | None = None
    exclude: bool | None = None
    enabled: bool | None = None


class RoutePreferences(Struct, frozen=True, kw_only=True):
    """What a request says of its routes. `models` are tried in order after the request's own.

    The other fields of OpenRouter's are read elsewhere; here their values are checked.
    """

    provider: ProviderPreferences | None = None
    models: Annotated[tuple[Name, ...], Meta(max_length=MAX_MODELS)] | None = None
    route: Literal["fallback"] | None = None
    transforms: Annotated[tuple[str, ...], Meta(max_length=16)] | None = None
    usage: UsageOptions | None = None
    reasoning: ReasoningOptions | None = None

    @property
    def mixes_models(self) -> bool:
        """Whether the routes of all requested models are sorted together."""
        sorting = None if self.provider is None else self.provider.sorting
        return sorting is not None and sorting.partition == "none"


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


def _measure(by: Order, route: Route, speed: Speed) -> float:
    """What is sorted by, smaller first. What was never measured comes first, so that it is."""
    if by == "price":
        return _price(route)
    if by == "latency":
        return speed.latency or 0.0
    return -inf if speed.throughput is None else -speed.throughput


def _limit(preferred: Preferred | None) -> float | None:
    return preferred.typical if isinstance(preferred, Percentiles) else preferred
