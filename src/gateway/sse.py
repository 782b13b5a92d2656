"""Server-sent events, both ways: bytes of a provider to events, objects to bytes.

The format is the WHATWG HTML standard's, section 9.2 "Server-sent events". Lines end at CR, LF or CRLF and nowhere
else; `str.splitlines` and the line iterators of HTTP clients also split at U+2028 and others, and break JSON apart.
"""

import codecs
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tollgate.gateway.errors import UpstreamError
from tollgate.gateway.json_text import dump

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
MAX_EVENT_BYTES = 16 * 1024 * 1024


class EventReader:
    """Splits a byte stream, cut anywhere, into the data of its events, whose lines are joined by newlines.

    Comments, names, ids and retry times are skipped.
    """

    def __init__(self) -> None:
        self._partial: list[bytes] = []
        self._partial_size = 0
        self._data_size = 0
        self._begun = False
        self._after_cr = False
        self._data: list[bytes] = []

    def feed(self, data: bytes) -> Iterator[str]:
        """The events that these bytes complete. Raises UpstreamError if one grows past MAX_EVENT_BYTES."""
        if not (self._begun or self._partial) and len(data) >= len(codecs.BOM_UTF8):
            data = data.removeprefix(codecs.BOM_UTF8)
            self._begun = True
        if self._is_in_one_line():
            events, data = self._split_off_events(data)
            yield from events
        if not data:
            return
        if self._after_cr:
            data = data.removeprefix(b"\n")
        for line in data.splitlines(keepends=True):  # bytes split at CR, LF and CRLF only
            if line.endswith((b"\n", b"\r")):
                event = self._line(self._whole(line))
                if event is not None:
                    yield event
            else:
                self._keep(line)
        self._after_cr = data.endswith(b"\r")

    def _is_in_one_line(self) -> bool:
        """Whether the bytes so far are whole events and perhaps the beginning of the first line of another."""
        return self._begun and not (self._data or self._after_cr)

    def _split_off_events(self, data: bytes) -> tuple[Iterable[str], bytes]:
        """The usual read: events that need no state between lines; and the bytes after them."""
        end = data.rfind(b"\n\n") + 2
        if b"\r" in data:
            end = max(end, data.rfind(b"\r\n\r\n") + 4)
        if end <= 3:
            return (), data
        whole = b"".join((*self._partial, data[:end]))
        if b"\r" in whole:
            whole = whole.replace(b"\r\n", b"\n")
        if b"\r" in whole or len(whole) > MAX_EVENT_BYTES:
            return (), data
        self._partial.clear()
        self._partial_size = 0
        return self._whole_events(whole), data[end:]

    def _whole_events(self, data: bytes) -> Iterator[str]:
        """The events in bytes that end with a blank line; lines end at LF."""
        for block in data[:-2].decode("utf-8", "replace").split("\n\n"):
            name, mark, value = block.partition("data: ")
            if mark and "\n" not in value and (not name or _is_one_name(name)):
                yield value
            else:
                for line in (*block.encode().split(b"\n"), b""):
                    event = self._line(line)
                    if event is not None:
                        yield event

    def close(self) -> Iterator[str]:
        """The event that the end of the stream completes: some providers omit the last blank line."""
        for line in (self._whole(b""), b""):
            event = self._line(line)
            if event is not None:
                yield event

    def _whole(self, end: bytes) -> bytes:
        if self._partial:
            end = b"".join((*self._partial, end))
            self._partial.clear()
            self._partial_size = 0
        return end.rstrip(b"\r\n")

    def _keep(self, piece: bytes) -> None:
        self._partial.append(piece)
        self._partial_size += len(piece)
        self._check_size()

    def _check_size(self) -> None:
        if self._partial_size + self._data_size > MAX_EVENT_BYTES:
            raise UpstreamError("The provider sent an event too large to read.")

    def _line(self, line: bytes) -> str | None:
        if not self._begun:
            line = line.removeprefix(codecs.BOM_UTF8)
            self._begun = True
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
            self._data_size += len(value) + 1
            self._check_size()
        return None

    def _dispatch(self) -> str | None:
        data = self._data
        self._data, self._data_size = [], 0
        return b"\n".join(data).decode("utf-8", "replace") if data else None


def _is_one_name(lines: str) -> bool:
    """Whether this is one line with the name of an event."""
    return lines.startswith("event:") and lines.find("\n") == len(lines) - 1


def encode(value: Any) -> bytes:
    """One event."""
    return b"data: " + dump(value) + b"\n\n"


def encode_named(event: Mapping[str, Any]) -> bytes:
    """One event that is named by its `type`, as Anthropic's Messages and OpenAI's Responses have them."""
    return b"event: " + event["type"].encode() + b"\n" + encode(event)


def relay(data: str, name: str = "") -> bytes:
    """An event of a provider, in one line: JSON has line breaks only between its tokens."""
    head = f"event: {name}\n" if name else ""
    return (head + "data: " + data.replace("\n", " ") + "\n\n").encode()
