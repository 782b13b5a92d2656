"""`GET /v1/models`: the models that a key may use, for clients of OpenAI's, OpenRouter's and Anthropic's APIs."""

import hashlib
from collections.abc import Iterator

from starlette.requests import Request
from starlette.responses import Response

from tollgate.adapters.clients import anthropic
from tollgate.adapters.clients.openai import bearer_key
from tollgate.gateway import keys
from tollgate.gateway.catalog import Catalog, Model
from tollgate.gateway.keys import KeyRecord
from tollgate.gateway.routing import find_model, list_routes, unknown_model
from tollgate.gateway.types import Json
from tollgate.handler.http.requests import components_of, context_of
from tollgate.handler.http.responses import json_response
from tollgate.handler.http.routes import route

CACHE_HEADERS = {"cache-control": "private, no-cache", "vary": "authorization, x-api-key, anthropic-version"}
"""The list depends on the key, and is valid until its ETag changes."""


async def list_models(request: Request) -> Response:
    """The models that the key may use, each under the first name it may use it by; pages for Anthropic's clients."""
    record, catalog = await _authenticate(request), components_of(request).gateway.catalog
    allowed = _allowed(record, catalog)
    if _is_anthropic(request):
        from tollgate.adapters.clients import anthropic_models  # no start of a function waits for it

        with_chat = [(model, name) for model, name in allowed if "chat" in model.operations]
        return _cached(request, anthropic_models.page(with_chat, request.query_params))
    data = [_describe(request, model, name) for model, name in allowed]
    return _cached(request, {"object": "list", "data": data})


async def retrieve_model(request: Request) -> Response:
    """One model; ids may contain slashes. To a key, models that it may not use do not exist."""
    model, name = await _requested_model(request)
    return _cached(request, _describe(request, model, name))


async def list_endpoints(request: Request) -> Response:
    """The routes of one model, for OpenRouter's clients; to a key, models that it may not use do not exist."""
    from tollgate.adapters.clients.openai_models import describe_endpoints

    model, name = await _requested_model(request)
    gateway = components_of(request).gateway
    health, speeds = gateway.dependencies.health, gateway.dependencies.speeds
    health.refresh()
    speeds.refresh()
    routes = list_routes(gateway.catalog, model)
    described = [(route, speeds.speed(route), health.is_on_cooldown(route)) for route in routes]
    return json_response({"data": describe_endpoints(model, name, described)})


async def list_providers(request: Request) -> Response:
    """The providers of the models that the key may use, for OpenRouter's clients."""
    from tollgate.adapters.clients.openai_models import describe_provider

    record, catalog = await _authenticate(request), components_of(request).gateway.catalog
    names = dict.fromkeys(row.provider for model, _ in _allowed(record, catalog) for row in model.routes)
    return json_response({"data": [describe_provider(catalog.providers[name]) for name in names]})


async def _requested_model(request: Request) -> tuple[Model, str]:
    """The model of the path, and the name by which the key may use it. Raises AuthenticationError, NotFoundError."""
    record, catalog = await _authenticate(request), components_of(request).gateway.catalog
    requested: str = request.path_params["model_id"]
    model = find_model(catalog, requested)
    if not keys.allows_model(record, requested):
        raise unknown_model(requested)
    return model, model.id if keys.allows_model(record, model.id) else requested


def _is_anthropic(request: Request) -> bool:
    """Whether the client speaks Anthropic's API, which requires this header (API reference, "Versions")."""
    return "anthropic-version" in request.headers


async def _authenticate(request: Request) -> KeyRecord:
    """The record of the client's key. Raises AuthenticationError."""
    api_key = anthropic.api_key if _is_anthropic(request) else bearer_key
    return (await components_of(request).gateway.authenticate(api_key(request.headers), context_of(request))).record


def _allowed(record: KeyRecord, catalog: Catalog) -> Iterator[tuple[Model, str]]:
    """Each model of which the key may use the id or an alias, with the first of these."""
    for model in catalog.listed():
        name = next((name for name in (model.id, *model.aliases) if keys.allows_model(record, name)), None)
        if name is not None:
            yield model, name


def _describe(request: Request, model: Model, name: str) -> Json:
    """The model as the client reads it."""
    from tollgate.adapters.clients import anthropic_models, openai_models

    if _is_anthropic(request):
        return anthropic_models.describe(model, name)
    return openai_models.describe(
        model, name, components_of(request).gateway.catalog.providers[model.routes[0].provider]
    )


def _cached(request: Request, body: Json) -> Response:
    """The body with its ETag, or 304 without a body if the client has it (RFC 9110, section 13.1.2)."""
    response = json_response(body, headers=CACHE_HEADERS)
    etag = f'"{hashlib.sha256(response.body).hexdigest()[:32]}"'
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if known & {etag, "*"}:
        response = Response(status_code=304, headers=CACHE_HEADERS)
    response.headers["etag"] = etag
    return response


ROUTES = (
    route("GET", "/v1/models", list_models),
    route("GET", "/v1/models/{model_id:path}/endpoints", list_endpoints),
    route("GET", "/v1/models/{model_id:path}", retrieve_model),
    route("GET", "/v1/providers", list_providers),
)
