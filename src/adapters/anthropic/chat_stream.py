"""Reads the events of a streamed message as chunks (Anthropic's documentation, "Streaming messages")."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from tollgate.adapters.anthropic.chat_response import (
    FINISH_REASONS,
    extra_fields,
    message_usage,
    refusal_of,
    thinking_block,
)
from tollgate.adapters.anthropic.messages import THINKING_TYPES
from tollgate.adapters.chat_plan import ChatPlan
from tollgate.adapters.event_stream import CONTENT, REASONING, OnlyChoice, arguments_of, truncated
from tollgate.adapters.finish_reasons import finish_error, finish_fields
from tollgate.adapters.json_access import child, count, merge_counts, parse_object, text
from tollgate.adapters.provider_errors import in_band_error
from tollgate.adapters.tool_call_ids import ToolCallBuilder
from tollgate.adapters.tool_call_state import ReasoningDetails
from tollgate.gateway.chat import Chunk, TextChunk, TextPlace
from tollgate.gateway.errors import UpstreamError
from tollgate.gateway.types import Json, Usage


@dataclass(slots=True)
class _Block:
    """A content block that has begun. `arguments` is where those of a tool call belong that the client gets as one."""

    start: Json
    arguments: TextPlace | None = None
    has_arguments: bool = False
    thinking: list[str] = field(default_factory=list[str])
    signature: str = ""


class AnthropicEvents:
    """See `adapters.event_stream.EventHandler`."""

    def __init__(self, plan: ChatPlan) -> None:
        self.done = False
        self._calls = ToolCallBuilder(plan)
        self._json_by_tool = plan.json_by_tool
        self._choice = OnlyChoice()
        self._blocks: dict[int, _Block] = {}  # the open blocks by their index
        self._details = ReasoningDetails()
        self._usage: Json = {}
        self._message_delta: Json = {}
        self._readers: Mapping[str, Callable[[Json], Json | TextChunk | None]] = {
            "message_start": self._message_start,
            "content_block_start": self._block_start,
            "content_block_delta": self._block_delta,
            "content_block_stop": self._block_stop,
            "message_delta": self._read_message_delta,
        }

    def read(self, data: str) -> Iterable[Chunk]:
        """See EventHandler. The data names the event's type; unknown types are skipped."""
        event = parse_object(data)
        if event.get("type") != "content_block_delta" or event.get("error") or not self._choice.has_begun:
            return self._read(event)
        chunk = self._block_delta(event)
        return () if chunk is None else (chunk,)

    def _read(self, event: Json) -> Iterator[Chunk]:
        kind = event.get("type")
        if kind == "error" or event.get("error"):
            raise in_band_error(event)
        if kind == "message_stop":
            self.done = True
            yield from self.finish()
            return
        reader = self._readers.get(kind) if isinstance(kind, str) else None
        added = None if reader is None else reader(event)
        if added is not None:
            chunk = self._choice.chunk(added)
            if kind == "message_start":
                chunk.usage = self._input_usage()
            yield chunk
        if error := finish_error(text(self._message_delta, "stop_reason"), FINISH_REASONS):
            yield Chunk(usage=message_usage(self._usage))
            raise error

    def finish(self) -> Iterator[Chunk]:
        """See EventHandler."""
        if not self._choice.has_begun:
            raise UpstreamError("The provider's stream contained no response.")
        finish = finish_fields(text(self._message_delta, "stop_reason"), FINISH_REASONS, self._calls.count > 0)
        has_open_calls = any(block.arguments is not None for block in self._blocks.values())
        if finish["finish_reason"] == "tool_calls" and has_open_calls:
            raise truncated()
        refusal = refusal_of(self._message_delta)
        step = {**self._choice.step({"refusal": refusal} if refusal else {}), **finish}
        yield Chunk([step], message_usage(self._usage), extra_fields(self._usage))

    def is_complete(self) -> bool:
        """See EventHandler: the stop reason comes after the last block."""
        return self._choice.has_begun and text(self._message_delta, "stop_reason") is not None

    def may_continue(self) -> bool:
        """See EventHandler."""
        return False

    def _message_start(self, event: Json) -> Json | None:
        self._usage = merge_counts(self._usage, child(child(event, "message"), "usage"))
        return None if self._choice.has_begun else {}

    def _input_usage(self) -> Usage | None:
        """The usage of the input, which is reported first and holds for a stream that breaks off."""
        usage = message_usage(self._usage)
        return usage and usage._replace(output_tokens=0, reasoning_tokens=0)

    def _block_start(self, event: Json) -> Json | TextChunk | None:
        start = child(event, "content_block")
        block = self._blocks[count(event, "index")] = _Block(start)
        if start.get("type") == "text":
            return _piece(CONTENT, text(start, "text"))
        if start.get("type") != "tool_use" or self._json_by_tool:
            return None
        index = self._calls.count
        block.arguments = arguments_of(index)
        call = self._details.attach_to(self._calls.build(text(start, "name"), text(start, "id"), ""))
        return {"tool_calls": [{"index": index, **call}]}

    def _block_delta(self, event: Json) -> TextChunk | None:
        delta = child(event, "delta")
        kind = delta.get("type")
        if kind == "text_delta":
            return _piece(CONTENT, text(delta, "text"))
        block = self._blocks.get(count(event, "index"))
        if block is None:
            return None
        if kind == "input_json_delta":
            return self._arguments(block, text(delta, "partial_json"))
        if kind == "thinking_delta":
            thinking = text(delta, "thinking")
            block.thinking.append(thinking or "")
            return _piece(REASONING, thinking)
        if kind == "signature_delta":
            block.signature = text(delta, "signature") or ""
        return None

    def _arguments(self, block: _Block, piece: str | None) -> TextChunk | None:
        if piece is None or block.start.get("type") != "tool_use":
            return None
        block.has_arguments = True
        return _piece(block.arguments or CONTENT, piece)

    def _block_stop(self, event: Json) -> Json | TextChunk | None:
        block = self._blocks.pop(count(event, "index"), None)
        if block is None:
            return None
        if block.start.get("type") == "tool_use":
            return None if block.has_arguments else self._arguments(block, json.dumps(child(block.start, "input")))
        if block.start.get("type") not in THINKING_TYPES:
            return None
        thinking = thinking_block(block.start)
        if thinking.redacted is None:
            whole_text = thinking.text + "".join(block.thinking)
            thinking = replace(thinking, text=whole_text, signature=block.signature or thinking.signature)
        detail = thinking.to_detail(len(self._details.entries))
        self._details.entries.append(detail)
        return {"reasoning_details": [detail]}

    def _read_message_delta(self, event: Json) -> None:
        """Remember the stop reason and the usage; counts are cumulative."""
        self._message_delta.update({name: value for name, value in child(event, "delta").items() if value is not None})
        self._usage = merge_counts(self._usage, child(event, "usage"))


def _piece(place: TextPlace, value: str | None) -> TextChunk | None:
    return TextChunk(place, value) if value else None
