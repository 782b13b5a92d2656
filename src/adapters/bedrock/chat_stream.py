"""Reads ConverseStream's events as chunks (AWS, Amazon Bedrock API Reference, "ConverseStream")."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tollgate.adapters.bedrock.chat_response import (
    FINISH_REASONS,
    converse_usage,
    extra_fields,
    is_client_call,
    reasoning_details,
)
from tollgate.adapters.bedrock.errors import exception_error, object_or_empty
from tollgate.adapters.bedrock.frames import Frame, FrameReader
from tollgate.adapters.chat_plan import ChatPlan
from tollgate.adapters.claude import ThinkingBlock
from tollgate.adapters.event_stream import CONTENT, GRACE, REASONING, OnlyChoice, arguments_of, truncated
from tollgate.adapters.finish_reasons import finish_error, finish_fields
from tollgate.adapters.json_access import child, count, parse_object, text
from tollgate.adapters.tool_call_ids import ToolCallBuilder
from tollgate.adapters.tool_call_state import ReasoningDetails
from tollgate.gateway.chat import Chunk, TextChunk, TextPlace
from tollgate.gateway.errors import UpstreamError
from tollgate.gateway.types import Json


@dataclass(slots=True)
class _Block:
    """A content block that has begun. `arguments` is where those of a tool call belong that the client gets as one."""

    is_call: bool = False
    arguments: TextPlace | None = None
    has_arguments: bool = False
    thinking: list[str] = field(default_factory=list[str])
    signature: str | None = None
    redacted: str | None = None


class BedrockStream:
    """See `gateway.ports.StreamParser`. The end is held back until the usage has come."""

    def __init__(self, plan: ChatPlan) -> None:
        self.done = False
        self._frames = FrameReader()
        self._calls = ToolCallBuilder(plan)
        self._json_by_tool = plan.json_by_tool
        self._choice = OnlyChoice()
        self._blocks: dict[int, _Block] = {}  # the open blocks by their index
        self._details = ReasoningDetails()
        self._message_stop: Json | None = None
        self._readers: Mapping[str, Callable[[Json], Json | TextChunk | None]] = {
            "messageStart": self._message_start,
            "contentBlockStart": self._block_start,
            "contentBlockDelta": self._block_delta,
            "contentBlockStop": self._block_stop,
            "messageStop": self._read_message_stop,
        }

    @property
    def grace(self) -> float | None:
        """See StreamParser."""
        return None if self._message_stop is None else GRACE

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """See StreamParser."""
        for frame in self._frames.feed(data):
            if self.done:
                return
            yield from self._read(frame)

    def close(self) -> Iterator[Chunk]:
        """See StreamParser. A response without its usage is complete."""
        if self._message_stop is None:
            raise truncated()
        if not self.done:
            yield from self._finish({})

    def _read(self, frame: Frame) -> Iterable[Chunk]:
        """One event, nearly always a piece of text."""
        headers = frame.headers
        if headers.get(":event-type") != "contentBlockDelta" or headers.get(":message-type") != "event":
            return self._read_other(frame)
        if self._message_stop is not None or not self._choice.has_begun:
            return self._read_other(frame)
        chunk = self._block_delta(parse_object(frame.payload))
        return () if chunk is None else (chunk,)

    def _read_other(self, frame: Frame) -> Iterator[Chunk]:
        """Any event; unknown types are skipped."""
        kind = frame.headers.get(":message-type")
        if kind == "error":
            message = frame.headers.get(":error-message")
            raise exception_error(frame.headers.get(":error-code", ""), {"message": message})
        if kind == "exception":
            raise exception_error(frame.headers.get(":exception-type", ""), object_or_empty(frame.payload))
        event = frame.headers.get(":event-type", "")
        if event == "metadata" and self._message_stop is not None:
            yield from self._finish(parse_object(frame.payload))
            return
        reader = self._readers.get(event)
        if reader is None or self._message_stop is not None:
            return
        added = reader(parse_object(frame.payload))
        if added is not None:
            yield self._choice.chunk(added)

    def _message_start(self, event: Json) -> Json | None:
        return None if self._choice.has_begun else {}

    def _block_start(self, event: Json) -> Json | None:
        native_call = child(child(event, "start"), "toolUse")
        if not is_client_call(native_call):
            return None
        block = self._blocks[count(event, "contentBlockIndex")] = _Block(is_call=True)
        if self._json_by_tool:
            return None
        index = self._calls.count
        block.arguments = arguments_of(index)
        call = self._calls.build(text(native_call, "name"), text(native_call, "toolUseId"), "")
        return {"tool_calls": [{"index": index, **self._details.attach_to(call)}]}

    def _block_delta(self, event: Json) -> TextChunk | None:
        delta = child(event, "delta")
        if content := text(delta, "text"):
            return TextChunk(CONTENT, content)
        index = count(event, "contentBlockIndex")
        if piece := text(child(delta, "toolUse"), "input"):
            block = self._blocks.get(index)
            return None if block is None or not block.is_call else self._arguments(block, piece)
        reasoning = child(delta, "reasoningContent")
        return self._thinking(self._blocks.setdefault(index, _Block()), reasoning) if reasoning else None

    def _arguments(self, block: _Block, piece: str) -> TextChunk:
        block.has_arguments = True
        return TextChunk(block.arguments or CONTENT, piece)

    def _thinking(self, block: _Block, reasoning: Json) -> TextChunk | None:
        thinking = text(reasoning, "text")
        block.thinking.append(thinking or "")
        block.signature = text(reasoning, "signature") or block.signature
        block.redacted = text(reasoning, "redactedContent") or block.redacted
        return TextChunk(REASONING, thinking) if thinking else None

    def _block_stop(self, event: Json) -> Json | TextChunk | None:
        block = self._blocks.pop(count(event, "contentBlockIndex"), None)
        if block is None:
            return None
        if block.is_call:
            return None if block.has_arguments else self._arguments(block, "{}")
        thinking = ThinkingBlock("".join(block.thinking), block.signature, block.redacted)
        details = reasoning_details(thinking, len(self._details.entries))
        self._details.entries += details
        return {"reasoning_details": details} if details else None

    def _read_message_stop(self, event: Json) -> None:
        if not self._choice.has_begun:
            raise UpstreamError("The provider's stream contained no response.")
        self._message_stop = event

    def _finish(self, metadata: Json) -> Iterator[Chunk]:
        native, usage = text(self._message_stop or {}, "stopReason"), converse_usage(child(metadata, "usage"))
        if error := finish_error(native, FINISH_REASONS):
            yield Chunk(usage=usage)
            raise error
        finish = finish_fields(native, FINISH_REASONS, self._calls.count > 0)
        has_open_calls = any(block.arguments is not None for block in self._blocks.values())
        if finish["finish_reason"] == "tool_calls" and has_open_calls:
            raise truncated()
        self.done = True
        yield Chunk([{**self._choice.step({}), **finish}], usage, extra_fields(metadata))
