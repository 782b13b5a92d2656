"""One attempt at a chat completion whose client speaks the Messages API itself: its body and the events are passed on.

Only the model's name, the output limit and what belongs to other providers are changed in the body.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from tollgate.adapters.anthropic.chat_request import VERSION
from tollgate.adapters.anthropic.chat_response import FINISH_REASONS, extra_fields, message_usage, read_response
from tollgate.adapters.anthropic.chat_stream import AnthropicEvents
from tollgate.adapters.anthropic.messages import FORMAT, tool_name
from tollgate.adapters.chat_plan import ChatPlan
from tollgate.adapters.dropped_params import DroppedParams
from tollgate.adapters.event_stream import EventStream, event_name, truncated
from tollgate.adapters.finish_reasons import finish_error
from tollgate.adapters.identifiers import sanitize
from tollgate.adapters.json_access import (
    child,
    children,
    count,
    encode,
    merge_counts,
    parse_object,
    refuses_depth,
    text,
)
from tollgate.adapters.provider_errors import error_from_response, in_band_error
from tollgate.adapters.replayed_reasoning import read_reasoning
from tollgate.adapters.tool_call_state import strip_state
from tollgate.adapters.tools import all_names, called_names
from tollgate.gateway.chat import ChatRequest, Chunk, Completion, NativeBody, NativeChunk, NativeCompletion
from tollgate.gateway.errors import UpstreamError
from tollgate.gateway.ports import StreamParser
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json, UpstreamRequest, utf8_length

_ENDS = ("message_delta", "message_stop")
_PIECES = ("text", "thinking", "partial_json")
"""Fields of a delta that have text."""


class NativeMessagesCall:
    """See `gateway.ports.ProviderCall`."""

    parse_error = staticmethod(error_from_response)

    @refuses_depth
    def __init__(self, request: ChatRequest, native: NativeBody, route: Route) -> None:
        called = called_names(request.messages)
        self._plan = ChatPlan(request.messages, {tool_name(name): name for name in all_names(request, called)})
        self._is_stream = request.stream
        headers = {"content-type": "application/json", "anthropic-version": VERSION, **native.headers}
        url = f"{route.provider.base_url.rstrip('/')}/messages"
        dropped = DroppedParams(request)
        body = native_body(request, native, route, dropped)
        self.request = UpstreamRequest(url, encode(body), headers, dropped=dropped.names)

    def parse_response(self, body: bytes) -> Completion:
        """See ProviderCall."""
        return NativeCompletion(read_response(body, self._plan), parse_object(body))

    def open_stream(self) -> StreamParser[Chunk]:
        """See ProviderCall."""
        return EventStream(NativeEvents() if self._is_stream else AnthropicEvents(self._plan))


class NativeEvents:
    """See `adapters.event_stream.EventHandler`. Each event is one chunk, as Anthropic wrote it."""

    def __init__(self) -> None:
        self.done = False
        self._has_begun = False
        self._usage: Json = {}
        self._stop_reason: str | None = None
        self._readers: Mapping[str, Callable[[Json], None]] = {
            "message_start": lambda event: self._add_usage(child(event, "message")),
            "message_delta": self._read_message_delta,
        }

    def read(self, data: str) -> Iterable[NativeChunk]:
        """See EventHandler. Raises the error of an `error` event, and of a reason that means a failure."""
        event = parse_object(data)
        kind = event_name(event)
        if kind == "error" or event.get("error"):
            raise in_band_error(event)
        if not kind:
            return ()
        if not self._has_begun and kind != "ping":
            self._begin(kind, event)
        if kind == "content_block_delta":
            delta = child(event, "delta")
            length = sum(utf8_length(text(delta, name) or "") for name in _PIECES)
            return (NativeChunk(kind, data, text_bytes=length),)
        if reader := self._readers.get(kind):
            reader(event)
        self.done = kind == "message_stop"
        return self._event(kind, data)

    def finish(self) -> Iterator[NativeChunk]:
        """See EventHandler: nothing is left, because every event was passed on."""
        raise truncated()

    def is_complete(self) -> bool:
        """See EventHandler: a client has the end only with `message_stop`."""
        return False

    def may_continue(self) -> bool:
        """See EventHandler."""
        return False

    def _event(self, kind: str, data: str) -> Iterator[NativeChunk]:
        finish_reason = None
        if kind in _ENDS and self._stop_reason is not None:
            finish_reason = FINISH_REASONS.get(self._stop_reason, "stop")
        has_usage = kind in ("message_start", "message_delta")
        usage = message_usage(self._usage) if has_usage else None
        extra = extra_fields(self._usage) if has_usage else None
        yield NativeChunk(kind, data, finish_reason=finish_reason, usage=usage, extra=extra)
        if error := finish_error(self._stop_reason, FINISH_REASONS):
            raise error

    def _begin(self, kind: str, event: Json) -> None:
        if kind != "message_start" or not isinstance(event.get("message"), dict):
            raise UpstreamError("The provider's stream does not begin with a message.")
        self._has_begun = True

    def _read_message_delta(self, event: Json) -> None:
        self._stop_reason = text(child(event, "delta"), "stop_reason") or self._stop_reason
        self._add_usage(event)

    def _add_usage(self, holder: Json) -> None:
        self._usage = merge_counts(self._usage, child(holder, "usage"))


def native_body(request: ChatRequest, native: NativeBody, route: Route, dropped: DroppedParams) -> Json:
    """The client's body for this route, with the lowered output limit if there is one: thinking has to fit into it."""
    body = {name: value for name, value in native.body.items() if name != "provider"}
    changed: Json = {"model": route.upstream_model, "messages": _own_messages(children(body, "messages"))}
    limit = request.output_limit
    if limit is not None and limit != body.get("max_tokens"):
        changed["max_tokens"] = limit
        if count(child(body, "thinking"), "budget_tokens") >= limit:
            dropped.drop("thinking", f"The thinking does not fit into the {limit} tokens that the budget pays for.")
            changed["thinking"] = {"type": "disabled"}
    return {**body, **changed}


def _own_messages(messages: list[Json]) -> list[Json]:
    """The messages without other providers' reasoning, and without their state in the ids of tool calls."""
    translated = (_own_message(message) for message in messages)
    return [message for message in translated if message.get("content") != []]


def _own_message(message: Json) -> Json:
    if not isinstance(message.get("content"), list):
        return message
    blocks = [_with_own_ids(block) for block in children(message, "content") if not _is_foreign(block)]
    return {**message, "content": blocks}


def _is_foreign(block: Json) -> bool:
    signature = text(block, "signature") if block.get("type") == "thinking" else None
    return signature is not None and read_reasoning(signature) is not None


def _with_own_ids(block: Json) -> Json:
    name = {"tool_use": "id", "tool_result": "tool_use_id"}.get(str(block.get("type")))
    call_id = text(block, name) if name else None
    if name is None or call_id is None:
        return block
    own_id = sanitize(strip_state(call_id), FORMAT.invalid_in_ids, FORMAT.max_id_length)
    return block if own_id == call_id else {**block, name: own_id}
