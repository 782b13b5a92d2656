"""One attempt at a chat completion over Chat Completions."""

from tollgate.adapters.chat_plan import ChatPlan
from tollgate.adapters.event_stream import EventStream
from tollgate.adapters.json_access import refuses_depth
from tollgate.adapters.openai.chat_request import build_request, is_json_by_tool
from tollgate.adapters.openai.chat_response import read_response
from tollgate.adapters.openai.chat_stream import OpenAIEvents
from tollgate.adapters.provider_errors import error_from_response
from tollgate.adapters.tools import all_names, called_names
from tollgate.gateway.chat import ChatRequest, Chunk, Completion
from tollgate.gateway.ports import StreamParser
from tollgate.gateway.routing import Route


class ChatCall:
    """See `gateway.ports.ProviderCall`.

    An error is `{"error": {...}}`, the same fields without `error` or in an array, FastAPI's `detail`, or no JSON.
    """

    parse_error = staticmethod(error_from_response)

    @refuses_depth
    def __init__(self, request: ChatRequest, route: Route) -> None:
        called = called_names(request.messages)
        self._plan = ChatPlan(
            request.messages,
            {name: name for name in all_names(request, called)},
            format="tool" if is_json_by_tool(request, route.model.capabilities, called) else "text",
            choices=request.n or 1,
            reasoning_in_ids=route.provider.quirks.thinking_switch,
        )
        self.request = build_request(request, route, self._plan.json_by_tool)

    def parse_response(self, body: bytes) -> Completion:
        """See ProviderCall."""
        return read_response(body, self._plan)

    def open_stream(self) -> StreamParser[Chunk]:
        """See ProviderCall."""
        return EventStream(OpenAIEvents(self._plan))
