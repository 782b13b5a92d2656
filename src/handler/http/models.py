"""`GET /v1/models`: the models that a key may use."""

from starlette.requests import Request
from starlette.responses import Response

from tollgate.adapters.clients.openai import bearer_key
from tollgate.gateway import keys
from tollgate.gateway.catalog import Model
from tollgate.gateway.keys import KeyRecord
from tollgate.gateway.routing import describe, find_model, unknown_model
from tollgate.handler.http.requests import components_of, context_of
from tollgate.handler.http.responses import json_response
from tollgate.handler.http.routes import route


async def list_models(request: Request) -> Response:
    """OpenAI's "List models": those that the key may use, each under the first name it may use it by."""
    gateway = components_of(request).gateway
    record = (await gateway.authenticate(bearer_key(request.headers), context_of(request))).record
    allowed = ((model, _allowed_name(record, model)) for model in gateway.catalog.models.values())
    return json_response({"object": "list", "data": [describe(model, name) for model, name in allowed if name]})


async def retrieve_model(request: Request) -> Response:
    """OpenAI's "Retrieve model"; ids may contain slashes. To a key, models it may not use do not exist."""
    gateway = components_of(request).gateway
    record = (await gateway.authenticate(bearer_key(request.headers), context_of(request))).record
    name: str = request.path_params["model_id"]
    model = find_model(gateway.catalog, name)
    if not keys.allows_model(record, name):
        raise unknown_model(name)
    return json_response(describe(model, model.id if keys.allows_model(record, model.id) else name))


def _allowed_name(record: KeyRecord, model: Model) -> str | None:
    """The model's id, or else its first alias, that the key may ask by."""
    return next((name for name in (model.id, *model.aliases) if keys.allows_model(record, name)), None)


ROUTES = (
    route("GET", "/v1/models", list_models),
    route("GET", "/v1/models/{model_id:path}", retrieve_model),
)
