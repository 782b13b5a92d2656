"""Reads the events of streamed audio and transcripts (OpenAI's API reference, "Audio"), which are passed on."""

from collections.abc import Callable, Iterable, Iterator

from tollgate.adapters.event_stream import truncated
from tollgate.adapters.json_access import parse_object, text
from tollgate.adapters.provider_errors import in_band_error
from tollgate.gateway.audio import AudioEvent
from tollgate.gateway.types import Json, Usage


class AudioEvents:
    """See `adapters.event_stream.EventHandler`.

    `last` is the type of the last event, `read_usage` reads what it reports, and `text_bytes` measures each event.
    """

    def __init__(
        self, last: str, read_usage: Callable[[Json], Usage | None], text_bytes: Callable[[Json], int]
    ) -> None:
        self.done = False
        self._last = last
        self._read_usage = read_usage
        self._text_bytes = text_bytes

    def read(self, data: str) -> Iterable[AudioEvent]:
        """See EventHandler. Raises the error of an event that reports one."""
        if data.strip() == "[DONE]":
            return ()
        event = parse_object(data)
        if event.get("error") or text(event, "type") == "error":
            raise in_band_error(event)
        if text(event, "type") != self._last:
            return (AudioEvent(data, text_bytes=self._text_bytes(event)),)
        self.done = True
        return (AudioEvent(data, self._read_usage(event), finish_reason="stop"),)

    def finish(self) -> Iterator[AudioEvent]:
        """See EventHandler: a stream without its last event was cut."""
        raise truncated()

    def is_complete(self) -> bool:
        """See EventHandler."""
        return False

    def may_continue(self) -> bool:
        """See EventHandler."""
        return False
