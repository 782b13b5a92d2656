"""Reads a stream of server-sent events as chunks, for every family that uses them."""

from collections.abc import Iterator
from typing import Protocol, get_args

from tollgate.gateway.chat import Chunk, TextChunk, TextField
from tollgate.gateway.errors import UpstreamError
from tollgate.gateway.sse import EventReader
from tollgate.gateway.types import Json

GRACE = 3.0
"""Seconds that a stream may continue without data after every choice has its finish_reason."""
LONG_GRACE = 60.0
"""The same if that finish_reason may be premature."""


_TEXT_FIELDS: tuple[TextField, ...] = get_args(TextField)
_NO_FIELDS: Json = {}


class EventHandler(Protocol):
    """Translates the events of one stream of a family; it holds the stream's state."""

    done: bool
    """Whether the terminal marker has been read."""

    def read(self, data: str) -> Iterator[Chunk]:
        """The chunks of one event. At the terminal marker it sets `done` and yields the chunks of `finish`."""
        ...

    def finish(self) -> Iterator[Chunk]:
        """The last chunks: why each choice ended."""
        ...

    def is_complete(self) -> bool:
        """Whether every choice has a reason to end."""
        ...

    def may_continue(self) -> bool:
        """Whether data may follow a complete stream: some providers send a reason to end in every event."""
        ...


class EventStream:
    """See `gateway.ports.StreamParser`."""

    def __init__(self, handler: EventHandler) -> None:
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

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """See StreamParser."""
        for event in self._events.feed(data):
            if self.done:
                return
            if event.data.strip():  # an empty event keeps the connection alive
                yield from self._handler.read(event.data)

    def close(self) -> Iterator[Chunk]:
        """See StreamParser."""
        for event in self._events.close():
            if event.data.strip() and not self.done:
                yield from self._handler.read(event.data)
        if not self.done:
            if not self._handler.is_complete():
                raise truncated()
            self._handler.done = True
            yield from self._handler.finish()


def delta_chunk(delta: Json) -> Chunk:
    """A chunk of a response with one choice, which has begun; nearly always a piece of text."""
    if len(delta) == 1:
        for name in _TEXT_FIELDS:
            if name in delta:
                return TextChunk(0, delta[name], _NO_FIELDS, name, has_logprobs=True)
    return Chunk([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}])


def truncated() -> UpstreamError:
    """The error for a stream that ends before the response is complete."""
    return UpstreamError("The provider's stream was cut off before the response was complete.", code="stream_truncated")
