"""One attempt at a chat completion over Converse and ConverseStream."""

from tollgate.adapters.bedrock.chat_request import build_request
from tollgate.adapters.bedrock.chat_response import parse_error, parse_response
from tollgate.adapters.bedrock.chat_stream import open_stream
from tollgate.gateway.chat import ChatRequest, Completion
from tollgate.gateway.ports import StreamParser
from tollgate.gateway.routing import Route


class ChatCall:
    """See `gateway.ports.ProviderCall`."""

    parse_error = staticmethod(parse_error)

    def __init__(self, request: ChatRequest, route: Route) -> None:
        self.request = build_request(request, route)
        self._request = request
        self._route = route

    def parse_response(self, body: bytes) -> Completion:
        """See ProviderCall."""
        return parse_response(body, self._request, self._route)

    def open_stream(self) -> StreamParser:
        """See ProviderCall."""
        return open_stream(self._request, self._route)
