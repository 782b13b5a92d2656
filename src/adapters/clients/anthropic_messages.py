"""Anthropic's Messages (API reference, "Create a Message"): the chat operation as Claude Code speaks it."""

from collections.abc import Callable, Mapping

from tollgate.adapters.clients.anthropic import api_key, error_body
from tollgate.adapters.clients.anthropic_messages_request import MessagesRequest, chat_request
from tollgate.adapters.clients.anthropic_messages_response import MessagesEncoder
from tollgate.adapters.clients.json_body import parse_json
from tollgate.adapters.json_access import refuses_depth
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.chat_operation import CHAT
from tollgate.gateway.client_format import Encoder, ResponseInfo
from tollgate.gateway.validation import missing


class AnthropicMessages:
    """See `gateway.client_format.ClientFormat`."""

    operation = CHAT
    api_key = staticmethod(api_key)
    error = staticmethod(error_body)

    @refuses_depth
    def parse(self, headers: Mapping[str, str], body: bytes) -> tuple[ChatRequest, Callable[[ResponseInfo], Encoder]]:
        """The request, translated, and as the client wrote it for Anthropic. Raises BadRequestError."""
        request = parse_json(headers, body, MessagesRequest)
        if request.max_tokens is None:
            raise missing("max_tokens")
        return chat_request(request, headers), MessagesEncoder
