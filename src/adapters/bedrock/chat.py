"""One attempt at a chat completion over Converse and ConverseStream."""

from tollgate.adapters.bedrock.chat_request import SUPPORTED, build_request
from tollgate.adapters.bedrock.chat_response import read_response
from tollgate.adapters.bedrock.chat_stream import BedrockStream
from tollgate.adapters.bedrock.errors import parse_error
from tollgate.adapters.bedrock.messages import tool_name
from tollgate.adapters.chat_plan import plan_chat
from tollgate.adapters.json_access import refuses_depth
from tollgate.adapters.params import ParamReader
from tollgate.gateway.chat import ChatRequest, Chunk, Completion
from tollgate.gateway.ports import StreamParser
from tollgate.gateway.routing import Route


class ChatCall:
    """See `gateway.ports.ProviderCall`."""

    parse_error = staticmethod(parse_error)

    @refuses_depth
    def __init__(self, request: ChatRequest, route: Route) -> None:
        params = ParamReader(request, route.model.capabilities)
        params.drop_unsupported(SUPPORTED)
        self._plan = plan_chat(request, route.model.capabilities, tool_name)
        self.request = build_request(params, route, self._plan)

    def parse_response(self, body: bytes) -> Completion:
        """See ProviderCall."""
        return read_response(body, self._plan)

    def open_stream(self) -> StreamParser[Chunk]:
        """See ProviderCall."""
        return BedrockStream(self._plan)
