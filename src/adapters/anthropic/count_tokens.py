"""Counts the tokens of a request at Anthropic, which bills nothing (API reference, "Count tokens in a Message")."""

from dataclasses import replace

from tollgate.adapters.anthropic.chat_request import VERSION
from tollgate.adapters.anthropic.native_messages import native_body
from tollgate.adapters.dropped_params import DroppedParams, unsupported
from tollgate.adapters.json_access import count, encode, parse_object, refuses_depth
from tollgate.adapters.provider_errors import error_from_response
from tollgate.gateway.chat import ChatRequest, Completion
from tollgate.gateway.routing import Route
from tollgate.gateway.types import UpstreamRequest, Usage

_FIELDS = frozenset({
    "model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "cache_control",
    "context_management", "mcp_servers",
})  # fmt: skip
"""Fields that can be counted; the others of a message are refused there."""


class CountTokensCall:
    """See `gateway.ports.ProviderCall`. The usage of its result has input tokens alone."""

    parse_error = staticmethod(error_from_response)

    @refuses_depth
    def __init__(self, request: ChatRequest, route: Route) -> None:
        native = request.native
        if native is None or native.api != "messages":
            raise unsupported("messages", "Tokens are counted of requests to the Messages API alone.")
        counted = replace(native, body=_without_options(native.body))
        body = native_body(request.with_fields(max_tokens=None), counted, route, DroppedParams(request))
        headers = {"content-type": "application/json", "anthropic-version": VERSION, **native.headers}
        url = f"{route.provider.base_url.rstrip('/')}/messages/count_tokens"
        self.request = UpstreamRequest(url, encode(body), headers)

    def parse_response(self, body: bytes) -> Completion:
        """See ProviderCall."""
        return Completion(usage=Usage(input_tokens=count(parse_object(body), "input_tokens")))

    def open_stream(self) -> None:
        """Counts are not streamed."""
        return


def _without_options(body: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in body.items() if name in _FIELDS}
