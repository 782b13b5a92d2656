"""OpenAI's Responses (API reference, "Create a model response"): the chat operation as Codex speaks it."""

from collections.abc import Callable, Mapping
from functools import partial

from tollgate.adapters.clients.json_body import parse_json
from tollgate.adapters.clients.openai import bearer_key, error_body
from tollgate.adapters.clients.responses_request import ResponsesRequest, chat_request
from tollgate.adapters.clients.responses_response import ResponsesEncoder
from tollgate.adapters.json_access import refuses_depth
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.chat_operation import CHAT
from tollgate.gateway.client_format import Encoder, ResponseInfo
from tollgate.gateway.types import Json


class OpenAIResponses:
    """See `gateway.client_format.ClientFormat`."""

    operation = CHAT
    api_key = staticmethod(bearer_key)
    error = staticmethod(error_body)

    @refuses_depth
    def parse(self, headers: Mapping[str, str], body: bytes) -> tuple[ChatRequest, Callable[[ResponseInfo], Encoder]]:
        """The request, translated, and as the client wrote it for a provider that has Responses.

        Raises BadRequestError.
        """
        request = parse_json(headers, body, ResponsesRequest)
        chat, tools = chat_request(request)
        return chat, partial(ResponsesEncoder, echoed=_echoed(request), tools=tools)


def _echoed(request: ResponsesRequest) -> Json:
    """The fields of the request that its response repeats."""
    reasoning = request.reasoning or {}
    return {
        "instructions": request.instructions,
        "max_output_tokens": request.max_output_tokens,
        "metadata": request.metadata or {},
        "parallel_tool_calls": request.parallel_tool_calls is not False,
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "temperature": request.temperature,
        "text": {"format": {"type": "text"}, **(request.text or {})},
        "tool_choice": request.tool_choice or "auto",
        "tools": request.tools or [],
        "top_p": request.top_p,
        "user": request.extra.get("user"),
    }
