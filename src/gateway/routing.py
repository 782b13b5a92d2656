"""Routing: from the model that a client names to the routes that can serve it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from math import inf, log
from typing import Any, cast

from tollgate.gateway.catalog import Catalog, Model, Provider
from tollgate.gateway.errors import NotFoundError
from tollgate.gateway.prices import Prices
from tollgate.gateway.types import Json


@dataclass(frozen=True, slots=True)
class Route:
    """One route: the provider, the provider's name of the model, and what the model costs there."""

    model: Model
    provider: Provider
    upstream_model: str
    prices: Prices | None
    weight: float = 1
    """Its share of the requests; 0 if it is only tried after the others."""
    quantization: str | None = None

    @property
    def target(self) -> str:
        """What fails or is slow together: the provider's model, by one credential."""
        return f"{self.provider.name}/{self.upstream_model}#{self.provider.credential or ''}"

    @property
    def account(self) -> str:
        """What a refused credential concerns: every model of the provider by that credential."""
        return f"{self.provider.name}#{self.provider.credential or ''}"


def find_model(catalog: Catalog, name: str) -> Model:
    """The model with this id or alias, or of this route (see Catalog.find). Raises NotFoundError `model_not_found`."""
    model = catalog.find(name)
    if model is None:
        raise unknown_model(name)
    return model


def unknown_model(name: str) -> NotFoundError:
    """The error for a model that does not exist, or that the key may not use."""
    return NotFoundError(f"The model {name[:200]!r} does not exist.", param="model", code="model_not_found")


def find_routes(
    catalog: Catalog,
    name: str,
    can_serve: Callable[[Route], bool],
    has_credential: Callable[[Provider], bool],
    substitute: Model | None,
) -> Sequence[Route]:
    """The routes of a model that can serve the operation, best first, without providers that have no credential here.

    Empty if no route can serve the operation. If no provider has a credential, the routes of the model `substitute` are
    returned; if those cannot serve it either, all routes are, and the call reports the missing credential.
    """
    model = find_model(catalog, name)
    routes = [route for route in list_routes(catalog, model) if can_serve(route)]
    usable = [route for route in routes if has_credential(route.provider)]
    if usable or not routes or substitute is None:
        return usable or routes
    replacements = [replace(route, model=model) for route in list_routes(catalog, substitute)]
    return [route for route in replacements if can_serve(route)] or routes


def list_routes(catalog: Catalog, model: Model) -> list[Route]:
    """Every route of a model, once for each credential of its provider."""
    return [
        Route(model, provider, row.model, row.prices or model.prices, row.weight * share, row.quantization)
        for row in model.routes
        for provider, share in catalog.providers[row.provider].by_credential()
    ]


def in_order(routes: Sequence[Route], seed: str) -> Sequence[Route]:
    """The routes in a random order by their weights.

    The same seed gives the same order, so that the requests of a session reach the provider that has their prompt in
    its cache; when a route goes, only its sessions move (weighted rendezvous hashing). Routes of weight 0 come after
    all others, as they are written.
    """
    if len(routes) < 2:
        return routes
    return sorted(routes, key=lambda route: _draw(route, seed))


def _draw(route: Route, seed: str) -> float:
    """Exponentially distributed with the weight as its rate: the smallest of several is each with its share."""
    if not route.weight:
        return inf
    digest = blake2b(f"{seed}\0{route.target}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return -log((int.from_bytes(digest) + 1) / (2**64 + 1)) / route.weight


def other_models(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """The models that a request names beside `model`, in fields for a router (OpenRouter's API reference).

    They are fallbacks, a preset, or models that a plugin or a tool of the router calls.
    """
    relevant: Json = {name: fields[name] for name in (*_ROUTER_FIELDS, "tools") if name in fields}
    preset = relevant.get("preset")
    return (*([f"@preset/{preset}"] if preset else []), *_named(relevant))


_ROUTER_FIELDS = ("models", "route", "provider", "plugins", "preset", "transforms")
_NAMING = ("model", "models", "allowed_models")


def _named(value: Any) -> Iterator[str]:
    """The texts under names of _NAMING, at any depth."""
    waiting = [value]
    while waiting:
        at = waiting.pop()
        if isinstance(at, list):
            waiting += cast("list[Any]", at)
        elif isinstance(at, dict):
            for name, inner in cast(Json, at).items():
                waiting.append(inner)
                if name in _NAMING:
                    texts = cast("list[Any]", inner) if isinstance(inner, list) else [inner]
                    yield from (text for text in texts if isinstance(text, str))
