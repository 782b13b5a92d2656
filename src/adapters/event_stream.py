"""A stream of server-sent events as chunks: what the parsers of all families that send such events share."""

from collections.abc import Iterator

from tollgate.gateway.chat import Chunk
from tollgate.gateway.errors import UpstreamError
from tollgate.gateway.sse import EventReader

GRACE = 3.0
"""Seconds that a stream may go on without saying anything after every choice has its finish_reason."""
LONG_GRACE = 60.0
"""The same where that finish_reason is doubtful."""


def grace(is_whole: bool, is_doubtful: bool = False) -> float | None:
    """See gateway.ports.StreamParser."""
    return (LONG_GRACE if is_doubtful else GRACE) if is_whole else None


class EventStream:
    """See gateway.ports.StreamParser. A family reads one event's data, and says when the answer is whole."""

    def __init__(self) -> None:
        self.done = False
        self._events = EventReader()

    @property
    def grace(self) -> float | None:
        """See StreamParser."""
        return grace(self.is_whole(), self.is_doubtful())

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """See StreamParser."""
        for event in self._events.feed(data):
            if self.done:
                return
            if event.data.strip():  # an empty event keeps the connection alive
                yield from self.read(event.data)

    def close(self) -> Iterator[Chunk]:
        """See StreamParser."""
        for event in self._events.close():
            if event.data.strip() and not self.done:
                yield from self.read(event.data)
        if not self.done:
            if not self.is_whole():
                raise truncated()
            self.done = True
            yield from self.finish()

    def read(self, data: str) -> Iterator[Chunk]:
        """The chunks of one event. At the terminal marker `done` is set, and `finish` has its turn."""
        raise NotImplementedError

    def finish(self) -> Iterator[Chunk]:
        """What is told at the end only: why each choice ended."""
        raise NotImplementedError

    def is_whole(self) -> bool:
        """Whether every choice was given a reason to end."""
        raise NotImplementedError

    def is_doubtful(self) -> bool:
        """Whether the provider gives reasons to end before the end, as some do in every event."""
        return False


def truncated() -> UpstreamError:
    """The error of a stream that ends in the middle of its answer."""
    return UpstreamError("The provider's stream was cut before the answer was whole.", code="stream_truncated")
