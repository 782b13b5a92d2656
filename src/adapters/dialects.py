"""Adapts a request to a provider that reads the client's own format, by the provider's and the model's rows."""

from collections.abc import Set

from tollgate.adapters.dropped_params import DroppedParams, unsupported
from tollgate.gateway.quirks import Dialect
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json, Request

NO_STREAM = ("stream", "stream_options")
"""These operations are not streamed."""
ROUTER_PREFERENCES = ("provider", "usage", "plugins", "models", "route")
ROUTER_TRANSFORMS = ("transforms",)
"""Fields for a router (OpenRouter's API reference): other servers do not get them. The gateway reads the preferences;
transforms are dropped and reported."""


def in_dialect(
    body: Json, request: Request, route: Route, dialect: Dialect, changes_the_result: Set[str]
) -> tuple[Json, tuple[str, ...]]:
    """The body with the provider's name of the model, and the parameters that were dropped from it.

    Raises BadRequestError for a parameter that changes the result and is not supported.
    """
    body, dropped = {**body, "model": route.upstream_model}, DroppedParams(request)
    is_router = route.provider.quirks.router
    for name in () if is_router else ROUTER_PREFERENCES:
        body.pop(name, None)
    router_fields = () if is_router else ROUTER_TRANSFORMS
    for name in (*NO_STREAM, *router_fields, *dialect.unsupported, *route.model.capabilities.unsupported):
        if name not in body:
            continue
        if name in changes_the_result:
            raise unsupported(name)
        dropped.drop(name)
        del body[name]
    for name, renamed in dialect.renamed.items():
        if name in body:
            body[renamed] = body.pop(name)
    return body, dropped.names
