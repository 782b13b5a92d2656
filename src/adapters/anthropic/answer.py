"""What the Messages API answers, whole and as a stream (Anthropic's API reference, "Create a Message").

Thinking comes to the client as `reasoning_content`, and signed in OpenRouter's `reasoning_details`. A loop of tools
must go on with the thinking it began with, and a client of OpenAI's gives back standard fields alone: so the signed
thinking that led to a call also rides in that call's id.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from adapters import carried
from adapters.anthropic.request import tool_names
from adapters.anthropic.turns import THINKING_FORMAT, THINKING_TYPES
from adapters.events import EventStream, truncated
from adapters.failures import failure, retry_after
from adapters.formats import format_plan
from adapters.shapes import child, children, count, parse_object, text
from gateway.errors import GatewayError, UpstreamError
from gateway.routing import Route
from gateway.types import ChatRequest, Chunk, Completion, Json, Usage

_FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
"""Native stop_reason to OpenAI's; what is not in here is a stop."""

_STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""The HTTP status of an error that comes under 200 (Anthropic's API reference, "Errors")."""

_TIERS = {"standard": "default", "priority": "priority", "batch": "batch"}


def parse_response(body: bytes, request: ChatRequest, route: Route) -> Completion:
    """A `message` object. Raises GatewayError for HTML, an error under status 200, or no content."""
    answer = parse_object(body)
    if answer.get("type") == "error":
        raise _in_band(answer)
    if not isinstance(answer.get("content"), list):
        raise UpstreamError("The provider's answer has no content.")
    message = _message(answer, tool_names(request), _by_tool(request, route))
    finish = _finish_reason(text(answer, "stop_reason"), "tool_calls" in message)
    choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
    usage = child(answer, "usage")
    return Completion([choice], _usage(usage), _extra(usage))


def parse_error(status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
    """`{"type": "error", "error": {"type", "message"}}`, or what stands in the way to it and speaks no JSON."""
    try:
        error = child(parse_object(body), "error")
    except UpstreamError:
        error = {}
    return failure(status, text(error, "message") or "", retry_after=retry_after(headers))


def open_stream(request: ChatRequest, route: Route) -> "AnthropicStream":
    """A parser for one stream of a message's events."""
    return AnthropicStream(tool_names(request), _by_tool(request, route))


@dataclass(slots=True)
class _Block:
    """A content block that has begun. `tool` is its place among the calls, None where it is no call of the client's."""

    start: Json
    tool: int | None = None
    spoken: bool = False  # whether any of its JSON has come
    thinking: list[str] = field(default_factory=list[str])
    signature: str = ""


class AnthropicStream(EventStream):
    """One stream: the blocks that are open, and what is told only at its end."""

    def __init__(self, names: Mapping[str, str], by_tool: bool) -> None:
        super().__init__()
        self._names = names
        self._by_tool = by_tool
        self._begun = False
        self._blocks: dict[int, _Block] = {}
        self._called = 0
        self._trail = carried.Trail()
        self._usage: Json = {}
        self._end: Json = {}
        self._readers: Mapping[str, Callable[[Json], Json | None]] = {
            "message_start": self._start,
            "content_block_start": self._open,
            "content_block_delta": self._delta,
            "content_block_stop": self._close,
            "message_delta": self._remember,
        }

    def read(self, data: str) -> Iterator[Chunk]:
        """One event; its kind is told by its data, and kinds that are not known yet are passed over."""
        event = parse_object(data)
        kind = event.get("type")
        if kind == "error":
            raise _in_band(event)
        if kind == "message_stop":
            yield self._finish()
            return
        reader = self._readers.get(kind) if isinstance(kind, str) else None
        delta = None if reader is None else reader(event)
        if delta is not None:
            yield Chunk([self._step(delta)], self._input() if kind == "message_start" else None)

    def _step(self, delta: Json, finish: str | None = None) -> Json:
        if not self._begun:
            delta = {"role": "assistant", "content": "", **delta}
            self._begun = True
        return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}

    def _start(self, event: Json) -> Json | None:
        self._usage.update(child(child(event, "message"), "usage"))
        return None if self._begun else {}

    def _input(self) -> Usage | None:
        """What was read. It is told first, and holds for a stream that breaks off; what is said counts at the end."""
        usage = _usage(self._usage)
        return usage and replace(usage, output_tokens=0, reasoning_tokens=0)

    def _open(self, event: Json) -> Json | None:
        start = child(event, "content_block")
        block = self._blocks[count(event, "index")] = _Block(start)
        kind = start.get("type")
        if kind == "text":
            said = text(start, "text")
            return {"content": said} if said else None
        if kind != "tool_use" or self._by_tool:
            return None
        block.tool = self._called
        self._called += 1
        call = self._trail.call(_call(start, self._names, block.tool, ""))
        return {"tool_calls": [{"index": block.tool, **call}]}

    def _delta(self, event: Json) -> Json | None:
        delta = child(event, "delta")
        kind = delta.get("type")
        if kind == "text_delta":
            said = text(delta, "text")
            return {"content": said} if said else None
        block = self._blocks.get(count(event, "index"))
        if block is None:
            return None
        if kind == "input_json_delta":
            return self._json(block, text(delta, "partial_json"))
        if kind == "thinking_delta":
            thought = text(delta, "thinking")
            block.thinking.append(thought or "")
            return {"reasoning_content": thought} if thought else None
        if kind == "signature_delta":
            block.signature = text(delta, "signature") or ""
        return None

    def _json(self, block: _Block, piece: str | None) -> Json | None:
        if piece is None or block.start.get("type") != "tool_use":
            return None
        block.spoken = True
        if block.tool is None:
            return {"content": piece}
        return {"tool_calls": [{"index": block.tool, "function": {"arguments": piece}}]}

    def _close(self, event: Json) -> Json | None:
        block = self._blocks.pop(count(event, "index"), None)
        if block is None:
            return None
        if block.start.get("type") == "tool_use":
            return None if block.spoken else self._json(block, json.dumps(child(block.start, "input")))
        whole = block.start
        if whole.get("type") not in THINKING_TYPES:
            return None
        if whole.get("type") == "thinking":
            first = text(whole, "thinking") or ""
            signature = block.signature or text(whole, "signature")
            whole = {"type": "thinking", "thinking": first + "".join(block.thinking), "signature": signature}
        detail = _detail(whole, len(self._trail.details))
        self._trail.details.append(detail)
        return {"reasoning_details": [detail]}

    def _remember(self, event: Json) -> None:
        """What is told of the end; counts are of the whole message so far, and not added."""
        self._end.update({name: value for name, value in child(event, "delta").items() if value is not None})
        self._usage.update({name: value for name, value in child(event, "usage").items() if value is not None})

    def _finish(self) -> Chunk:
        if not self._begun:
            raise UpstreamError("The provider's stream held no answer.")
        finish = _finish_reason(text(self._end, "stop_reason"), self._called > 0)
        if finish == "tool_calls" and any(block.tool is not None for block in self._blocks.values()):
            raise truncated()
        self.done = True
        refusal = _refusal(self._end)
        step = self._step({"refusal": refusal} if refusal else {}, finish)
        return Chunk([step], _usage(self._usage), _extra(self._usage))


def _message(answer: Json, names: Mapping[str, str], by_tool: bool) -> Json:
    """The blocks of a whole answer, of which any may be missing, as OpenAI's one message."""
    blocks = children(answer, "content")
    said = "".join(_said(block, by_tool) for block in blocks)
    used = [] if by_tool else [block for block in blocks if block.get("type") == "tool_use"]
    message: Json = {"role": "assistant", "content": said or (None if used else ""), "refusal": _refusal(answer)}
    if thought := "".join(text(block, "thinking") or "" for block in blocks if block.get("type") == "thinking"):
        message["reasoning_content"] = thought
    details, calls = _details_and_calls(blocks, names)
    if details:
        message["reasoning_details"] = details
    if used:
        message["tool_calls"] = calls
    return message


def _details_and_calls(blocks: list[Json], names: Mapping[str, str]) -> tuple[list[Json], list[Json]]:
    """The blocks of thinking, and the calls, each with the thinking that led to it."""
    trail, calls = carried.Trail(), list[Json]()
    for block in blocks:
        if block.get("type") in THINKING_TYPES:
            trail.details.append(_detail(block, len(trail.details)))
        elif block.get("type") == "tool_use":
            calls.append(trail.call(_call(block, names, len(calls), json.dumps(child(block, "input")))))
    return trail.details, calls


def _said(block: Json, by_tool: bool) -> str:
    if by_tool and block.get("type") == "tool_use":
        return json.dumps(child(block, "input"))
    return (text(block, "text") or "") if block.get("type") == "text" else ""


def _by_tool(request: ChatRequest, route: Route) -> bool:
    """Whether the answer comes as the call of a tool that the client knows nothing of."""
    return format_plan(request, route.model.capabilities) == "tool"


def _call(block: Json, names: Mapping[str, str], place: int, arguments: str) -> Json:
    """A call of a tool, under the client's name for it."""
    name = text(block, "name") or ""
    function = {"name": names.get(name, name), "arguments": arguments}
    return {"id": text(block, "id") or f"call_{place}", "type": "function", "function": function}


def _detail(block: Json, index: int) -> Json:
    """A block of thinking as an entry of OpenRouter's `reasoning_details`, from which it can be made again."""
    if block.get("type") == "redacted_thinking":
        entry = {"type": "reasoning.encrypted", "data": text(block, "data") or ""}
    else:
        thought, signature = text(block, "thinking") or "", text(block, "signature")
        entry = {"type": "reasoning.text", "text": thought, "signature": signature}
    return {**entry, "format": THINKING_FORMAT, "index": index}


def _finish_reason(native: str | None, called: bool) -> str:
    reason = _FINISH_REASONS.get(native or "", "stop")
    if reason in ("stop", "tool_calls"):
        return "tool_calls" if called else "stop"
    return reason


def _refusal(answer: Json) -> str | None:
    """Why the model refused, in the provider's words."""
    return text(child(answer, "stop_details"), "explanation") if answer.get("stop_reason") == "refusal" else None


def _usage(usage: Json) -> Usage | None:
    """The API counts cached input apart; None where nothing is counted."""
    if not any(isinstance(usage.get(name), int) for name in ("input_tokens", "output_tokens")):
        return None
    cached, written = count(usage, "cache_read_input_tokens"), count(usage, "cache_creation_input_tokens")
    return Usage(
        input_tokens=count(usage, "input_tokens") + cached + written,
        output_tokens=count(usage, "output_tokens"),
        cached_tokens=cached,
        cache_write_tokens=written,
        cache_write_1h_tokens=min(count(child(usage, "cache_creation"), "ephemeral_1h_input_tokens"), written),
        reasoning_tokens=count(child(usage, "output_tokens_details"), "thinking_tokens"),
    )


def _extra(usage: Json) -> Mapping[str, Any]:
    tier = _TIERS.get(text(usage, "service_tier") or "")
    return {"service_tier": tier} if tier else {}


def _in_band(event: Json) -> GatewayError:
    error = child(event, "error")
    return failure(_STATUSES.get(text(error, "type") or "", 502), text(error, "message") or "The provider failed.")
