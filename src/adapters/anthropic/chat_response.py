"""What the Messages API answers, whole and as a stream (Anthropic's API reference, "Create a Message").

Thinking comes to the client as `reasoning_content`, and signed in OpenRouter's `reasoning_details`. A loop of tools
must go on with the thinking it began with, and a client of OpenAI's gives back standard fields alone: so the signed
thinking that led to a call also rides in that call's id.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tollgate.adapters import tool_call_state
from tollgate.adapters.anthropic.chat_request import tool_names
from tollgate.adapters.anthropic.messages import THINKING_FORMAT, THINKING_TYPES
from tollgate.adapters.event_stream import EventStream, truncated
from tollgate.adapters.finish_reasons import COMMON, Table, failure_of, finish
from tollgate.adapters.json_access import child, children, count, larger, parse_object, text
from tollgate.adapters.provider_errors import error_from_response, in_band
from tollgate.adapters.response_format import format_plan
from tollgate.adapters.tool_call_ids import CallIds
from tollgate.gateway.chat import ChatRequest, Chunk, Completion
from tollgate.gateway.errors import GatewayError, UpstreamError
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json, Usage

_FINISH_REASONS: Table = {**COMMON, "pause_turn": "stop"}
"""Native stop_reason, of Anthropic ("Handling stop reasons") and of those who speak its protocol."""

_TIERS = {"standard": "default", "priority": "priority", "batch": "batch"}


def parse_response(body: bytes, request: ChatRequest, route: Route) -> Completion:
    """A `message` object. Raises GatewayError for HTML, an error under status 200, or no content."""
    answer = parse_object(body)
    if not isinstance(answer.get("content"), list):
        raise in_band(answer) if answer.get("error") else UpstreamError("The provider's answer has no content.")
    message = _message(answer, _Caller(request), _by_tool(request, route))
    why = finish(text(answer, "stop_reason"), _FINISH_REASONS, "tool_calls" in message)
    choice = {"index": 0, "message": message, **why, "logprobs": None}
    usage = child(answer, "usage")
    return Completion([choice], _usage(usage), _extra(usage))


def parse_error(status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
    """`{"type": "error", "error": {"type", "message"}}`, or what stands in the way to it."""
    return error_from_response(status, headers, body)


def open_stream(request: ChatRequest, route: Route) -> "AnthropicStream":
    """A parser for one stream of a message's events."""
    return AnthropicStream(_Caller(request), _by_tool(request, route))


class _Caller:
    """Makes OpenAI's calls of the blocks of one answer, under the client's names for its tools."""

    def __init__(self, request: ChatRequest) -> None:
        self.called = 0
        self._names = tool_names(request)
        self._ids = CallIds(request)

    def call(self, block: Json, arguments: str) -> Json:
        """The next call."""
        name = text(block, "name") or ""
        function = {"name": self._names.get(name, name), "arguments": arguments}
        call_id = self._ids.give(text(block, "id"), 0, self.called)
        self.called += 1
        return {"id": call_id, "type": "function", "function": function}


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

    def __init__(self, caller: _Caller, by_tool: bool) -> None:
        super().__init__()
        self._caller = caller
        self._by_tool = by_tool
        self._begun = False
        self._blocks: dict[int, _Block] = {}
        self._trail = tool_call_state.ReasoningTrail()
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
        if kind == "error" or event.get("error"):
            raise in_band(event)
        if kind == "message_stop":
            self.done = True
            yield from self.finish()
            return
        reader = self._readers.get(kind) if isinstance(kind, str) else None
        delta = None if reader is None else reader(event)
        if delta is not None:
            yield Chunk([self._step(delta)], self._input() if kind == "message_start" else None)
        if provider_error := failure_of(text(self._end, "stop_reason"), _FINISH_REASONS):
            yield Chunk(usage=_usage(self._usage))
            raise provider_error

    def is_whole(self) -> bool:
        """See EventStream: the reason to stop comes after the last block."""
        return self._begun and text(self._end, "stop_reason") is not None

    def _step(self, delta: Json) -> Json:
        if not self._begun:
            delta = {"role": "assistant", "content": "", **delta}
            self._begun = True
        return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}

    def _start(self, event: Json) -> Json | None:
        self._usage = larger(self._usage, child(child(event, "message"), "usage"))
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
        block.tool = self._caller.called
        call = self._trail.call(self._caller.call(start, ""))
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
        self._usage = larger(self._usage, child(event, "usage"))

    def finish(self) -> Iterator[Chunk]:
        """See EventStream."""
        if not self._begun:
            raise UpstreamError("The provider's stream held no answer.")
        why = finish(text(self._end, "stop_reason"), _FINISH_REASONS, self._caller.called > 0)
        if why["finish_reason"] == "tool_calls" and any(block.tool is not None for block in self._blocks.values()):
            raise truncated()
        refusal = _refusal(self._end)
        step = {**self._step({"refusal": refusal} if refusal else {}), **why}
        yield Chunk([step], _usage(self._usage), _extra(self._usage))


def _message(answer: Json, caller: _Caller, by_tool: bool) -> Json:
    """The blocks of a whole answer, of which any may be missing, as OpenAI's one message."""
    blocks = children(answer, "content")
    said = "".join(_said(block, by_tool) for block in blocks)
    used = [] if by_tool else [block for block in blocks if block.get("type") == "tool_use"]
    message: Json = {"role": "assistant", "content": said or (None if used else ""), "refusal": _refusal(answer)}
    if thought := "".join(text(block, "thinking") or "" for block in blocks if block.get("type") == "thinking"):
        message["reasoning_content"] = thought
    details, calls = _details_and_calls(blocks, caller)
    if details:
        message["reasoning_details"] = details
    if used:
        message["tool_calls"] = calls
    return message


def _details_and_calls(blocks: list[Json], caller: _Caller) -> tuple[list[Json], list[Json]]:
    """The blocks of thinking, and the calls, each with the thinking that led to it."""
    trail, calls = tool_call_state.ReasoningTrail(), list[Json]()
    for block in blocks:
        if block.get("type") in THINKING_TYPES:
            trail.details.append(_detail(block, len(trail.details)))
        elif block.get("type") == "tool_use":
            calls.append(trail.call(caller.call(block, json.dumps(child(block, "input")))))
    return trail.details, calls


def _said(block: Json, by_tool: bool) -> str:
    if by_tool and block.get("type") == "tool_use":
        return json.dumps(child(block, "input"))
    return (text(block, "text") or "") if block.get("type") == "text" else ""


def _by_tool(request: ChatRequest, route: Route) -> bool:
    """Whether the answer comes as the call of a tool that the client knows nothing of."""
    return format_plan(request, route.model.capabilities) == "tool"


def _detail(block: Json, index: int) -> Json:
    """A block of thinking as an entry of OpenRouter's `reasoning_details`, from which it can be made again."""
    if block.get("type") == "redacted_thinking":
        entry = {"type": "reasoning.encrypted", "data": text(block, "data") or ""}
    else:
        thought, signature = text(block, "thinking") or "", text(block, "signature")
        entry = {"type": "reasoning.text", "text": thought, "signature": signature}
    return {**entry, "format": THINKING_FORMAT, "index": index}


def _refusal(answer: Json) -> str | None:
    """Why the model refused, in the provider's words."""
    return text(child(answer, "stop_details"), "explanation") if answer.get("stop_reason") == "refusal" else None


def _usage(usage: Json) -> Usage | None:
    """The API counts cached input apart; None where nothing is counted: a count of zero is none."""
    cached, written = count(usage, "cache_read_input_tokens"), count(usage, "cache_creation_input_tokens")
    read = Usage(
        input_tokens=count(usage, "input_tokens") + cached + written,
        output_tokens=count(usage, "output_tokens"),
        cached_tokens=cached,
        cache_write_tokens=written,
        cache_write_1h_tokens=min(count(child(usage, "cache_creation"), "ephemeral_1h_input_tokens"), written),
        reasoning_tokens=count(child(usage, "output_tokens_details"), "thinking_tokens"),
    )
    return read if read.input_tokens or read.output_tokens else None


def _extra(usage: Json) -> Mapping[str, Any]:
    tier = _TIERS.get(text(usage, "service_tier") or "")
    return {"service_tier": tier} if tier else {}
