"""A stream of server-sent events as chunks: what the parsers of all families that send such events share."""

from collections.abc import Iterator

from gateway.errors import UpstreamError
from gateway.sse import EventReader
from gateway.types import Chunk


class EventStream:
    """See gateway.ports.StreamParser. A family reads one event's data, and says when the answer is whole."""

    def __init__(self) -> None:
        self.done = False
        self._events = EventReader()

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
        if not self.done and not self.is_whole():
            raise truncated()

    def read(self, data: str) -> Iterator[Chunk]:
        """The chunks of one event; sets `done` at the terminal marker."""
        raise NotImplementedError

    def is_whole(self) -> bool:
        """Whether the answer is whole though its terminal marker has not come."""
        return False


def truncated() -> UpstreamError:
    """The error of a stream that ends in the middle of its answer."""
    return UpstreamError("The provider's stream was cut before the answer was whole.", code="stream_truncated")
