"""What OpenAI's clients ask for under /v1: parse, call the core, JSON or SSE out."""

from fastapi import APIRouter, Request, Response

from gateway import keys
from gateway.catalog import Model
from gateway.chat import Answer
from gateway.keys import KeyRecord
from gateway.routing import describe, find_model, unknown_model
from handler.requests import bearer_key, house_of, is_small, parse_chat, read_body, trace_of
from handler.responses import StreamedAnswer, WholeAnswer, json_response, while_connected

router = APIRouter(prefix="/v1")


@router.post("/chat/completions")
async def create_chat_completion(request: Request) -> Response:
    """OpenAI's "Create chat completion"."""
    house, trace = house_of(request), trace_of(request)
    api_key = bearer_key(request)
    if not is_small(request):
        await house.gateway.recognise(api_key, trace)
    async with house.gateway.told_to_key_holders(api_key, trace):
        chat_request = parse_chat(await read_body(request))
    answer = await while_connected(request.receive, house.gateway.chat(api_key, chat_request, trace))
    if isinstance(answer, Answer):
        return WholeAnswer(answer)
    return StreamedAnswer(answer, trace.request_id, house.telemetry)


@router.get("/models")
async def list_models(request: Request) -> Response:
    """OpenAI's "List models": those that the key may use, each under the first name it may use it by."""
    gateway = house_of(request).gateway
    record = (await gateway.authenticate(bearer_key(request), trace_of(request))).record
    allowed = ((model, _allowed_name(record, model)) for model in gateway.catalog.models.values())
    return json_response({"object": "list", "data": [describe(model, name) for model, name in allowed if name]})


@router.get("/models/{model_id:path}")
async def retrieve_model(request: Request) -> Response:
    """OpenAI's "Retrieve model"; ids may contain slashes. To a key, models it may not use do not exist."""
    gateway = house_of(request).gateway
    record = (await gateway.authenticate(bearer_key(request), trace_of(request))).record
    # Not a declared parameter: building a validator for it would cost every cold start 17 ms.
    asked: str = request.path_params["model_id"]
    model = find_model(gateway.catalog, asked)
    if not keys.may_use(record, asked):
        raise unknown_model(asked)
    return json_response(describe(model, model.id if keys.may_use(record, model.id) else asked))


def _allowed_name(record: KeyRecord, model: Model) -> str | None:
    """The model's id, or else its first alias, that the key may ask by."""
    return next((name for name in (model.id, *model.aliases) if keys.may_use(record, name)), None)
