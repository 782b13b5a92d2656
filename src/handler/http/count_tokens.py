"""`POST /v1/messages/count_tokens` (Anthropic's API reference, "Count tokens in a Message")."""

from starlette.requests import Request
from starlette.responses import Response

from tollgate.adapters.clients.anthropic import api_key, error_body
from tollgate.handler.http.requests import components_of, context_of, read_body
from tollgate.handler.http.responses import json_response
from tollgate.handler.http.routes import route


async def count(request: Request) -> Response:
    """The tokens of a prompt. Claude Code requests 25 counts at once, so they are outside the limits of the key."""
    gateway, context = components_of(request).gateway, context_of(request)
    request.state.error_body = error_body
    from tollgate.adapters.clients.anthropic_messages_request import MessagesRequest, chat_request
    from tollgate.adapters.clients.json_body import parse_json
    from tollgate.gateway.token_count import count_tokens

    account = await gateway.authenticate(api_key(request.headers), context)
    parsed = chat_request(parse_json(request.headers, await read_body(request), MessagesRequest), request.headers)
    counted = await count_tokens(gateway, account, parsed, context)
    headers = {"x-tollgate-estimated": "true"} if counted.is_estimated else {}
    return json_response({"input_tokens": counted.tokens}, headers=headers)


ROUTES = (route("POST", "/v1/messages/count_tokens", count),)
