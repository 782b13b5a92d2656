"""The frames of `application/vnd.amazon.eventstream`, read from bytes that come in any pieces.

A frame is its total length, its headers' length and a CRC32 of these two, then headers, payload, and a CRC32 of all
before it; numbers are big-endian (AWS, Smithy specification, "Amazon Event Stream Specification").
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from zlib import crc32

from tollgate.gateway.errors import UpstreamError

MAX_FRAME = 16 * 1024 * 1024
"""A frame that claims to be longer is not waited for."""

_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")
_LEAST_FRAME = _PRELUDE.size + _CRC.size
_STRING = 7
_FIXED_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Bytes of a header's value by its type: booleans, numbers, a timestamp, a UUID. Bytes and strings tell theirs."""
_COUNTED = (6, _STRING)


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame; of its headers only the strings, which are all that Converse sends."""

    headers: Mapping[str, str]
    payload: bytes


class FrameReader:
    """Holds what has come of a frame until it is whole."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._length = 0  # of the frame that is coming; 0 before its prelude has come
        self._headers = b""
        self._read_headers: Mapping[str, str] = {}

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that these bytes complete. Raises UpstreamError for what is no frame, or a damaged one."""
        self._buffer += data
        while self._is_complete():
            frame = bytes(self._buffer[: self._length])
            del self._buffer[: self._length]
            self._length = 0
            yield self._frame(frame)

    def _is_complete(self) -> bool:
        if not self._length and len(self._buffer) >= _PRELUDE.size:
            self._length = _checked_length(self._buffer)
        return 0 < self._length <= len(self._buffer)

    def _frame(self, frame: bytes) -> Frame:
        if crc32(frame[: -_CRC.size]) != _CRC.unpack_from(frame, len(frame) - _CRC.size)[0]:
            raise _damaged()
        payload_at = _PRELUDE.size + _PRELUDE.unpack_from(frame)[1]
        headers = frame[_PRELUDE.size : payload_at]
        if headers != self._headers:  # most frames of an answer have the headers of the one before
            self._headers, self._read_headers = headers, _read(headers)
        return Frame(self._read_headers, frame[payload_at : -_CRC.size])


def _checked_length(buffer: bytearray) -> int:
    total, headers, crc = _PRELUDE.unpack_from(buffer)
    if crc32(buffer[: _PRELUDE.size - _CRC.size]) != crc or not headers + _LEAST_FRAME <= total <= MAX_FRAME:
        raise _damaged()
    return total


def _read(data: bytes) -> Mapping[str, str]:
    """The headers that are strings, by name."""
    found: dict[str, str] = {}
    place = 0
    try:
        while place < len(data):
            name_at = place + 1
            type_at = name_at + data[place]
            kind, place = data[type_at], type_at + 1
            if kind in _COUNTED:
                size, place = int.from_bytes(data[place : place + 2], "big"), place + 2
            else:
                size = _FIXED_SIZES[kind]
            if kind == _STRING:
                found[data[name_at:type_at].decode()] = data[place : place + size].decode()
            place += size
    except (IndexError, KeyError, UnicodeDecodeError):
        raise _damaged() from None
    if place != len(data):
        raise _damaged()
    return found


def _damaged() -> UpstreamError:
    return UpstreamError("The provider's stream is damaged.")
