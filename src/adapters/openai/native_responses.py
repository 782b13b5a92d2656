"""One attempt at a chat completion whose client and provider both speak Responses: body and events are passed on.

Only the model's name, the output limit, `store` and what belongs to other providers are changed in the body.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from tollgate.adapters.event_stream import EVENTS_WITH_RESPONSE, EventStream, event_name, truncated
from tollgate.adapters.json_access import child, children, count, encode, parse_object, refuses_depth, text
from tollgate.adapters.provider_errors import error_from_response, in_band_error
from tollgate.adapters.replayed_reasoning import read_reasoning
from tollgate.adapters.tool_call_state import strip_state
from tollgate.gateway.chat import ChatRequest, Chunk, Completion, NativeBody, NativeChunk, NativeCompletion
from tollgate.gateway.errors import GatewayError, UpstreamError
from tollgate.gateway.ports import StreamParser
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json, UpstreamRequest, Usage, utf8_length

_OURS = ("client_metadata", "provider")
"""Fields that OpenAI refuses: Codex's own, and the preferences for a router."""
_ENDS = ("response.completed", "response.incomplete")
_CALLS = ("function_call", "custom_tool_call")
_OWN_ID = re.compile(r"(?:msg|fc|ctc)_[0-9a-f]{32}_[0-9]+", re.ASCII)
"""Ids of items that the gateway wrote for another provider, as `adapters.clients.responses_response` makes them."""


class NativeResponsesCall:
    """See `gateway.ports.ProviderCall`."""

    parse_error = staticmethod(error_from_response)

    @refuses_depth
    def __init__(self, request: ChatRequest, native: NativeBody, route: Route) -> None:
        url = f"{route.provider.base_url.rstrip('/')}/responses"
        self.request = UpstreamRequest(url, encode(_body(request, native, route)))

    def parse_response(self, body: bytes) -> Completion:
        """See ProviderCall. Raises the error of a response that failed."""
        response = parse_object(body)
        if response.get("error"):
            raise in_band_error(response)
        if response.get("status") not in ("completed", "incomplete"):
            raise UpstreamError("The provider's response is not complete.", code="unusable_response")
        message: Json = {"role": "assistant", "content": _all_text(response)}
        choice = {"index": 0, "message": message, "finish_reason": _finish_reason(response)}
        return NativeCompletion(Completion([choice], _usage(response), _extra(response)), response)

    def open_stream(self) -> StreamParser[Chunk]:
        """See ProviderCall."""
        return EventStream(ResponsesEvents())


class ResponsesEvents:
    """See `adapters.event_stream.EventHandler`. Each event is one chunk, as the provider wrote it."""

    def __init__(self) -> None:
        self.done = False

    def read(self, data: str) -> Iterable[NativeChunk]:
        """See EventHandler. Raises the error of `error` and of `response.failed`."""
        if data.strip() == "[DONE]":
            return ()
        event = parse_object(data)
        kind = event_name(event)
        response = child(event, "response")
        if error := _error(kind, event, response):
            raise error
        if kind in EVENTS_WITH_RESPONSE and not response:
            raise UpstreamError("The provider's stream has an event without its response.")
        if not kind:
            return ()
        if kind not in _ENDS:
            delta = text(event, "delta") or "" if kind.endswith(".delta") else ""
            return (NativeChunk(kind, data, text_bytes=utf8_length(delta)),)
        self.done = True
        reason = _finish_reason(response)
        return (NativeChunk(kind, data, finish_reason=reason, usage=_usage(response), extra=_extra(response)),)

    def finish(self) -> Iterator[NativeChunk]:
        """See EventHandler: a stream without its last event was cut."""
        raise truncated()

    def is_complete(self) -> bool:
        """See EventHandler."""
        return False

    def may_continue(self) -> bool:
        """See EventHandler."""
        return False


def _body(request: ChatRequest, native: NativeBody, route: Route) -> Json:
    body = {name: value for name, value in native.body.items() if name not in _OURS}
    changed: Json = {"model": route.upstream_model, "store": False}
    if request.output_limit is not None:
        changed["max_output_tokens"] = request.output_limit
    if isinstance(body.get("input"), list):
        changed["input"] = [_own_item(item) for item in children(body, "input") if not _is_foreign(item)]
    return {**body, **changed}


def _is_foreign(item: Json) -> bool:
    """Whether an item is another provider's reasoning, or has only the id of reasoning that nobody has stored."""
    if item.get("type") != "reasoning":
        return False
    encrypted = text(item, "encrypted_content")
    return encrypted is None or read_reasoning(encrypted) is not None


def _own_item(item: Json) -> Json:
    """The item without another provider's state in the id of its call, and without an id of the gateway's own."""
    call_id = text(item, "call_id")
    if _OWN_ID.fullmatch(text(item, "id") or ""):
        item = {name: value for name, value in item.items() if name != "id"}
    return item if call_id is None else {**item, "call_id": strip_state(call_id)}


def _error(kind: str, event: Json, response: Json) -> GatewayError | None:
    if kind == "response.failed":
        return in_band_error(response)
    return in_band_error(event) if kind == "error" or (event.get("error") and not response) else None


def _finish_reason(response: Json) -> str:
    if response.get("status") == "incomplete":
        reason = text(child(response, "incomplete_details"), "reason")
        return "content_filter" if reason == "content_filter" else "length"
    has_calls = any(item.get("type") in _CALLS for item in children(response, "output"))
    return "tool_calls" if has_calls else "stop"


def _all_text(response: Json) -> str:
    """The text of a response, which measures it if the provider reports no usage."""
    items = children(response, "output")
    texts = [text(part, "text") or "" for item in items for part in children(item, "content")]
    arguments = [text(item, "arguments") or text(item, "input") or "" for item in items]
    return "".join((*texts, *arguments))


def _usage(response: Json) -> Usage | None:
    usage = child(response, "usage")
    inputs, outputs = child(usage, "input_tokens_details"), child(usage, "output_tokens_details")
    total = Usage(
        input_tokens=count(usage, "input_tokens"),
        output_tokens=count(usage, "output_tokens"),
        cached_tokens=count(inputs, "cached_tokens"),
        cache_write_tokens=count(inputs, "cache_write_tokens"),
        reasoning_tokens=count(outputs, "reasoning_tokens"),
    )
    return total if total.input_tokens or total.output_tokens else None


def _extra(response: Json) -> Mapping[str, str]:
    tier = text(response, "service_tier")
    return {"service_tier": tier} if tier else {}
