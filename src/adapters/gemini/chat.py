"""One attempt at a chat completion over generateContent and streamGenerateContent."""

from tollgate.adapters.chat_plan import ChatPlan
from tollgate.adapters.event_stream import EventStream
from tollgate.adapters.gemini.chat_request import SUPPORTED, build_request
from tollgate.adapters.gemini.chat_response import read_response
from tollgate.adapters.gemini.chat_stream import GeminiEvents
from tollgate.adapters.gemini.messages import tool_name
from tollgate.adapters.json_access import refuses_depth
from tollgate.adapters.params import ParamReader
from tollgate.adapters.provider_errors import error_from_response
from tollgate.adapters.tools import all_names, called_names
from tollgate.gateway.chat import ChatRequest, Chunk, Completion
from tollgate.gateway.ports import StreamParser
from tollgate.gateway.routing import Route


class ChatCall:
    """See `gateway.ports.ProviderCall`.

    An error is `{"error": {"code", "message", "status", "details"}}`, also in an array of one.
    """

    parse_error = staticmethod(error_from_response)

    @refuses_depth
    def __init__(self, request: ChatRequest, route: Route) -> None:
        params = ParamReader(request, route.model.capabilities)
        params.drop_unsupported(SUPPORTED)
        names = {tool_name(name): name for name in all_names(request, called_names(request.messages))}
        self._plan = ChatPlan(request.messages, names, choices=request.n or 1)
        self.request = build_request(params, route)

    def parse_response(self, body: bytes) -> Completion:
        """See ProviderCall."""
        return read_response(body, self._plan)

    def open_stream(self) -> StreamParser[Chunk]:
        """See ProviderCall."""
        return EventStream(GeminiEvents(self._plan))
