"""Reads a chat completion, whole or streamed, as a sequence of parts: reasoning, text, refusals and tool calls.

The APIs that have parts take them one after another: a part that has ended gets nothing more. Chat Completions may send
the pieces of several tool calls by turns, so what comes while a tool call is open waits until that call has ended.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from tollgate.adapters.json_access import child, children, text
from tollgate.gateway.chat import Chunk, Completion, TextChunk
from tollgate.gateway.types import Json

Kind = Literal["reasoning", "text", "refusal", "call"]


@dataclass(slots=True)
class Part:
    """One part. `details` are the `reasoning_details` of reasoning, without those that only repeat its text.

    `annotations` are those of a text, in OpenAI's form.
    """

    kind: Kind
    call_id: str = ""
    name: str = ""
    pieces: list[str] = field(default_factory=list[str])
    details: list[Json] = field(default_factory=list[Json])
    annotations: list[Json] = field(default_factory=list[Json])

    @property
    def text(self) -> str:
        """The text, the refusal, the reasoning, or the arguments of the call."""
        return "".join(self.pieces)


class PartWriter(Protocol):
    """Writes the parts of one stream as events of an API."""

    def begin(self, part: Part) -> bytes:
        """A part begins, without a piece."""
        ...

    def piece(self, part: Part, text: str) -> bytes:
        """Another piece of the part that began last; it is in `part.pieces` already."""
        ...

    def end(self, part: Part) -> bytes:
        """The part that began last has ended."""
        ...


class PartStream:
    """The parts of one stream, written as they come. `finish_reason` is known after the last chunk."""

    def __init__(self, writer: PartWriter) -> None:
        self.finish_reason: str | None = None
        self.parts: list[Part] = []
        """Those that have begun, in their order."""
        self._writer = writer
        self._open: tuple[Kind | int, Part] | None = None
        self._queue: list[Part] = []
        self._waiting: dict[Kind | int, Part] = {}  # those in the queue that may get more pieces

    def add(self, chunk: Chunk) -> bytes:
        """What another chunk adds. Only the first choice is read: these APIs have no other."""
        if isinstance(chunk, TextChunk):
            place = chunk.place
            return b"" if place.index else self._text(_KEYS.get(place.name, place.call), chunk.text)
        return b"".join(
            written for choice in chunk.choices if choice.get("index") == 0 for written in self._choice(choice)
        )

    def finish(self) -> bytes:
        """The end of the open part, and the parts that waited for it."""
        written = [self._end_open()]
        written += [self._whole(part) for part in self._queue]
        self._queue.clear()
        return b"".join(written)

    def _choice(self, choice: Json) -> Iterator[bytes]:
        self.finish_reason = text(choice, "finish_reason") or self.finish_reason
        delta = child(choice, "delta")
        if reasoning := reasoning_text(delta):
            yield self._text("reasoning", reasoning)
        for detail in children(delta, "reasoning_details"):
            if is_replayable(detail):
                yield self._detail(detail)
        for name in ("content", "refusal"):
            if piece := text(delta, name):
                yield self._text(_KEYS[name], piece)
        if annotations := children(delta, "annotations"):
            self._annotate(annotations)
        for call in children(delta, "tool_calls"):
            yield self._call(call)

    def _call(self, call: Json) -> bytes:
        function, index = child(call, "function"), call.get("index")
        key = index if isinstance(index, int) else 0
        written = b""
        if self._find(key) is None:
            part = Part("call", text(call, "id") or "", text(function, "name") or "")
            written = self._start(key, part)
        return written + self._text(key, text(function, "arguments") or "")

    def _text(self, key: Kind | int, piece: str) -> bytes:
        if self._open is not None and self._open[0] == key:
            part = self._open[1]
            part.pieces.append(piece)
            return self._writer.piece(part, piece) if piece else b""
        part = self._waiting.get(key)
        if part is not None:
            part.pieces.append(piece)
            return b""
        return self._start(key, _new_part(key)) + self._text(key, piece)

    def _detail(self, detail: Json) -> bytes:
        """A signature ends the reasoning that it belongs to; encrypted reasoning is a part of its own."""
        part = self._find("reasoning")
        if part is not None and detail.get("type") != ENCRYPTED:
            part.details.append(detail)
            return self._end_open() if self._open is not None and self._open[1] is part else b""
        return self._start("reasoning", Part("reasoning", details=[detail])) + self._end_reasoning()

    def _end_reasoning(self) -> bytes:
        return self._end_open() if self._open is not None and self._open[0] == "reasoning" else b""

    def _find(self, key: Kind | int) -> Part | None:
        if self._open is not None and self._open[0] == key:
            return self._open[1]
        return self._waiting.get(key)

    def _annotate(self, annotations: list[Json]) -> None:
        """Add annotations to the last text."""
        texts = [part for part in (*self.parts, *self._queue) if part.kind == "text"]
        if texts:
            texts[-1].annotations += annotations

    def _start(self, key: Kind | int, part: Part) -> bytes:
        """Begin a part, or let it wait for the end of the open call."""
        if self._open is not None and isinstance(self._open[0], int):
            self._queue.append(part)
            self._waiting[key] = part
            return b""
        ended = self._end_open()
        self._open = key, part
        self.parts.append(part)
        return ended + self._writer.begin(part)

    def _end_open(self) -> bytes:
        if self._open is None:
            return b""
        part = self._open[1]
        self._open = None
        return self._writer.end(part)

    def _whole(self, part: Part) -> bytes:
        self.parts.append(part)
        begun = self._writer.begin(part)
        piece = self._writer.piece(part, part.text) if part.text else b""
        return begun + piece + self._writer.end(part)


ENCRYPTED = "reasoning.encrypted"
"""The type of encrypted reasoning in OpenRouter's `reasoning_details`."""
_KEYS: dict[str, Any] = {"content": "text", "reasoning_content": "reasoning", "refusal": "refusal"}


def is_replayable(detail: Json) -> bool:
    """Whether an entry of `reasoning_details` has what its provider wants back: a signature or encrypted data."""
    return bool(detail.get("signature") or detail.get("data"))


def reasoning_text(message: Json) -> str | None:
    """The reasoning of a message or a delta, under either of its names."""
    return text(message, "reasoning_content") or text(message, "reasoning")


def parts_of(completion: Completion) -> list[Part]:
    """The parts of a whole response, in the order in which a stream has them."""
    message = child(dict(completion.choices[0]), "message") if completion.choices else {}
    return [*_reasoning_parts(message), *_text_parts(message), *_call_parts(message)]


def _reasoning_parts(message: Json) -> Iterator[Part]:
    """One part for each signed text and each encrypted entry; else one with the text, if there is any."""
    details = [detail for detail in children(message, "reasoning_details") if is_replayable(detail)]
    reasoning = reasoning_text(message)
    if reasoning and not any(text(detail, "text") for detail in details):
        yield Part("reasoning", pieces=[reasoning])
    for detail in details:
        shown = text(detail, "text")
        yield Part("reasoning", pieces=[shown] if shown else [], details=[detail])


def _text_parts(message: Json) -> Iterator[Part]:
    if content := text(message, "content"):
        yield Part("text", pieces=[content], annotations=children(message, "annotations"))
    if refusal := text(message, "refusal"):
        yield Part("refusal", pieces=[refusal])


def _call_parts(message: Json) -> Iterator[Part]:
    for call in children(message, "tool_calls"):
        function = child(call, "function")
        arguments = text(function, "arguments")
        yield Part("call", text(call, "id") or "", text(function, "name") or "", [arguments] if arguments else [])


def _new_part(key: Kind | int) -> Part:
    return Part("call") if isinstance(key, int) else Part(key)
