"""What OpenAI's clients ask for under /v1: parse, call the core, JSON or SSE out."""

from fastapi import APIRouter, Request, Response

from tollgate.gateway import keys
from tollgate.gateway.catalog import Model
from tollgate.gateway.keys import KeyRecord
from tollgate.gateway.routing import describe, find_model, unknown_model
from tollgate.gateway.serving import Answer
from tollgate.handler.http.requests import bearer_key, components_of, context_of, is_small, parse_chat, read_body
from tollgate.handler.http.responses import StreamedAnswer, WholeAnswer, cancel_on_disconnect, json_response

router = APIRouter(prefix="/v1")


@router.post("/chat/completions")
async def create_chat_completion(request: Request) -> Response:
    """OpenAI's "Create chat completion"."""
    components, context = components_of(request), context_of(request)
    api_key = bearer_key(request)
    if not is_small(request):
        await components.gateway.require_known_key(api_key, context)
    async with components.gateway.check_key_before_errors(api_key, context):
        chat_request = parse_chat(await read_body(request))
    answer = await cancel_on_disconnect(request.receive, components.gateway.chat(api_key, chat_request, context))
    if isinstance(answer, Answer):
        return WholeAnswer(answer)
    return StreamedAnswer(answer, context.request_id, components.telemetry)


@router.get("/models")
async def list_models(request: Request) -> Response:
    """OpenAI's "List models": those that the key may use, each under the first name it may use it by."""
    gateway = components_of(request).gateway
    record = (await gateway.authenticate(bearer_key(request), context_of(request))).record
    allowed = ((model, _allowed_name(record, model)) for model in gateway.catalog.models.values())
    return json_response({"object": "list", "data": [describe(model, name) for model, name in allowed if name]})


@router.get("/models/{model_id:path}")
async def retrieve_model(request: Request) -> Response:
    """OpenAI's "Retrieve model"; ids may contain slashes. To a key, models it may not use do not exist."""
    gateway = components_of(request).gateway
    record = (await gateway.authenticate(bearer_key(request), context_of(request))).record
    # Not a declared parameter: building a validator for it would cost every cold start 17 ms.
    asked: str = request.path_params["model_id"]
    model = find_model(gateway.catalog, asked)
    if not keys.allows_model(record, asked):
        raise unknown_model(asked)
    return json_response(describe(model, model.id if keys.allows_model(record, model.id) else asked))


def _allowed_name(record: KeyRecord, model: Model) -> str | None:
    """The model's id, or else its first alias, that the key may ask by."""
    return next((name for name in (model.id, *model.aliases) if keys.allows_model(record, name)), None)
