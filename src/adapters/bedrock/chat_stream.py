"""ConverseStream's events as chunks (AWS, Amazon Bedrock API Reference, "ConverseStream")."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from tollgate.adapters import tool_call_state
from tollgate.adapters.bedrock.chat_response import (
    FINISH_REASONS,
    Caller,
    by_tool,
    in_band,
    is_call,
    object_or_empty,
    read_extra,
    read_usage,
    reasoning_details,
)
from tollgate.adapters.bedrock.frames import Frame, FrameReader
from tollgate.adapters.event_stream import grace, truncated
from tollgate.adapters.finish_reasons import failure_of, finish
from tollgate.adapters.json_access import child, count, parse_object, text
from tollgate.gateway.chat import ChatRequest, Chunk
from tollgate.gateway.errors import UpstreamError
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json


def open_stream(request: ChatRequest, route: Route) -> "BedrockStream":
    """A parser for one stream of ConverseStream's events."""
    return BedrockStream(Caller(request), by_tool(request, route))


@dataclass(slots=True)
class _Block:
    """A content block that has begun. `call` is what it calls, and `place` that call's among the client's calls."""

    call: Json | None = None
    place: int | None = None
    spoken: bool = False  # whether any of the arguments has come
    thinking: list[str] = field(default_factory=list[str])
    signature: str | None = None
    redacted: str | None = None


class BedrockStream:
    """See gateway.ports.StreamParser. One stream: the blocks that are open, and the end, held until usage has come."""

    def __init__(self, caller: Caller, by_tool: bool) -> None:
        self.done = False
        self._frames = FrameReader()
        self._caller = caller
        self._by_tool = by_tool
        self._begun = False
        self._blocks: dict[int, _Block] = {}
        self._trail = tool_call_state.ReasoningTrail()
        self._end: Json | None = None
        self._readers: Mapping[str, Callable[[Json], Json | None]] = {
            "messageStart": self._start,
            "contentBlockStart": self._open,
            "contentBlockDelta": self._delta,
            "contentBlockStop": self._close,
            "messageStop": self._stop,
        }

    @property
    def grace(self) -> float | None:
        """See StreamParser."""
        return grace(self._end is not None)

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """See StreamParser."""
        for frame in self._frames.feed(data):
            if self.done:
                return
            yield from self._read(frame)

    def close(self) -> Iterator[Chunk]:
        """See StreamParser; an answer whose usage was cut off is whole."""
        if self._end is None:
            raise truncated()
        if not self.done:
            yield from self._finish({})

    def _read(self, frame: Frame) -> Iterator[Chunk]:
        """One event; kinds that are not known yet are passed over."""
        kind = frame.headers.get(":message-type")
        if kind == "error":
            words = frame.headers.get(":error-message")
            raise in_band(frame.headers.get(":error-code", ""), {"message": words})
        if kind == "exception":
            raise in_band(frame.headers.get(":exception-type", ""), object_or_empty(frame.payload))
        event = frame.headers.get(":event-type", "")
        if event == "metadata" and self._end is not None:
            yield from self._finish(parse_object(frame.payload))
            return
        reader = self._readers.get(event)
        if reader is None or self._end is not None:
            return
        delta = reader(parse_object(frame.payload))
        if delta is not None:
            yield Chunk([self._step(delta)])

    def _step(self, delta: Json) -> Json:
        if not self._begun:
            delta = {"role": "assistant", "content": "", **delta}
            self._begun = True
        return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}

    def _start(self, event: Json) -> Json | None:
        return None if self._begun else {}

    def _open(self, event: Json) -> Json | None:
        call = child(child(event, "start"), "toolUse")
        if not is_call(call):
            return None
        block = self._blocks[count(event, "contentBlockIndex")] = _Block(call)
        if self._by_tool:
            return None
        block.place = self._caller.called
        native = self._trail.call(self._caller.call(call, ""))
        return {"tool_calls": [{"index": block.place, **native}]}

    def _delta(self, event: Json) -> Json | None:
        delta = child(event, "delta")
        if said := text(delta, "text"):
            return {"content": said}
        index = count(event, "contentBlockIndex")
        if piece := text(child(delta, "toolUse"), "input"):
            block = self._blocks.get(index)
            return None if block is None or block.call is None else self._arguments(block, piece)
        reasoning = child(delta, "reasoningContent")
        return self._think(self._blocks.setdefault(index, _Block()), reasoning) if reasoning else None

    def _arguments(self, block: _Block, piece: str) -> Json:
        block.spoken = True
        if block.place is None:
            return {"content": piece}
        return {"tool_calls": [{"index": block.place, "function": {"arguments": piece}}]}

    def _think(self, block: _Block, reasoning: Json) -> Json | None:
        thought = text(reasoning, "text")
        block.thinking.append(thought or "")
        block.signature = text(reasoning, "signature") or block.signature
        block.redacted = text(reasoning, "redactedContent") or block.redacted
        return {"reasoning_content": thought} if thought else None

    def _close(self, event: Json) -> Json | None:
        block = self._blocks.pop(count(event, "contentBlockIndex"), None)
        if block is None:
            return None
        if block.call is not None:
            return None if block.spoken else self._arguments(block, "{}")
        details = reasoning_details("".join(block.thinking), block.signature, block.redacted, len(self._trail.details))
        self._trail.details += details
        return {"reasoning_details": details} if details else None

    def _stop(self, event: Json) -> None:
        if not self._begun:
            raise UpstreamError("The provider's stream held no answer.")
        self._end = event

    def _finish(self, metadata: Json) -> Iterator[Chunk]:
        native, usage = text(self._end or {}, "stopReason"), read_usage(child(metadata, "usage"))
        if provider_error := failure_of(native, FINISH_REASONS):
            yield Chunk(usage=usage)
            raise provider_error
        why = finish(native, FINISH_REASONS, self._caller.called > 0)
        if why["finish_reason"] == "tool_calls" and any(block.place is not None for block in self._blocks.values()):
            raise truncated()
        self.done = True
        yield Chunk([{**self._step({}), **why}], usage, read_extra(metadata))
