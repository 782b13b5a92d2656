"""Reads a stream of server-sent events as chunks, for every family that uses them."""

from collections.abc import Iterable, Iterator
from typing import Generic, Protocol, TypeVar

from tollgate.adapters.json_access import text
from tollgate.gateway.chat import Chunk, TextChunk, TextPlace
from tollgate.gateway.errors import UpstreamError
from tollgate.gateway.sse import EventReader
from tollgate.gateway.types import Json

GRACE = 3.0
"""Seconds that a stream may continue without data after every choice has its finish_reason."""
LONG_GRACE = 60.0
"""The same if that finish_reason may be premature."""


ChunkT = TypeVar("ChunkT")
ChunkT_co = TypeVar("ChunkT_co", covariant=True)


class EventHandler(Protocol[ChunkT_co]):
    """Translates the events of one stream of a family; it holds the stream's state."""

    done: bool
    """Whether the terminal marker has been read."""

    def read(self, data: str) -> Iterable[ChunkT_co]:
        """The chunks of one event. At the terminal marker it sets `done` and yields the chunks of `finish`."""
        ...

    def finish(self) -> Iterator[ChunkT_co]:
        """The last chunks: why each choice ended."""
        ...

    def is_complete(self) -> bool:
        """Whether every choice has a reason to end."""
        ...

    def may_continue(self) -> bool:
        """Whether data may follow a complete stream: some providers send a reason to end in every event."""
        ...


class EventStream(Generic[ChunkT]):
    """See `gateway.ports.StreamParser`."""

    def __init__(self, handler: EventHandler[ChunkT]) -> None:
        self._handler = handler
        self._events = EventReader()

    @property
    def done(self) -> bool:
        """See StreamParser."""
        return self._handler.done

    @property
    def grace(self) -> float | None:
        """See StreamParser."""
        if not self._handler.is_complete():
            return None
        return LONG_GRACE if self._handler.may_continue() else GRACE

    def feed(self, data: bytes) -> Iterator[ChunkT]:
        """See StreamParser."""
        handler = self._handler
        for event in self._events.feed(data):
            if handler.done:
                return
            if event.strip():  # an empty event keeps the connection alive
                yield from handler.read(event)

    def close(self) -> Iterator[ChunkT]:
        """See StreamParser."""
        for event in self._events.close():
            if event.strip() and not self.done:
                yield from self._handler.read(event)
        if not self.done:
            if not self._handler.is_complete():
                raise truncated()
            self._handler.done = True
            yield from self._handler.finish()


CONTENT = TextPlace(has_logprobs=True)
REASONING = TextPlace(name="reasoning_content", has_logprobs=True)
"""Where the text of a family with one choice belongs."""


def arguments_of(call: int) -> TextPlace:
    """Where the arguments of the tool call with this index belong, in a family with one choice."""
    return TextPlace(name="arguments", call=call, has_logprobs=True)


class OnlyChoice:
    """The choice of a stream that has one; its first delta has the role."""

    def __init__(self) -> None:
        self.has_begun = False

    def step(self, delta: Json) -> Json:
        """The choice with these fields."""
        if not self.has_begun:
            delta = {"role": "assistant", "content": "", **delta}
            self.has_begun = True
        return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}

    def chunk(self, added: Json | TextChunk) -> Chunk:
        """The chunk with these fields or this text."""
        if isinstance(added, TextChunk):
            return added if self.has_begun else Chunk([self.step(added.choices[0]["delta"])])
        return Chunk([self.step(added)])


EVENTS_WITH_RESPONSE = frozenset({
    "response.created", "response.in_progress", "response.completed", "response.incomplete", "response.queued",
})  # fmt: skip
"""Events of OpenAI's Responses that have the whole response, and so the model's name."""


def event_name(event: Json) -> str:
    """The `type` of an event that is passed on under this name; empty if it has none that can be one."""
    name = text(event, "type") or ""
    return name if name.isprintable() else ""


def truncated() -> UpstreamError:
    """The error for a stream that ends before the response is complete."""
    return UpstreamError("The provider's stream was cut off before the response was complete.", code="stream_truncated")
