"""Reads the frames of `application/vnd.amazon.eventstream` from bytes in pieces of any size.

A frame has its total length, the length of its headers, a CRC32 of these two, headers, payload, and a CRC32 of all
bytes before it; numbers are big-endian (AWS, Smithy specification, "Amazon Event Stream Specification").
"""

import struct
from collections.abc import Iterator, Mapping
from typing import NamedTuple
from zlib import crc32

from tollgate.gateway.errors import UpstreamError

MAX_FRAME = 16 * 1024 * 1024
"""The maximum length of a frame in bytes."""

_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")
_MIN_FRAME = _PRELUDE.size + _CRC.size
_STRING = 7
_FIXED_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""The length in bytes of a header's value by its type: booleans, numbers, a timestamp, a UUID."""
_WITH_LENGTH = (6, _STRING)
"""Byte arrays and strings, which have their length before the value."""


class Frame(NamedTuple):
    """One frame; `headers` has those of type string, the only type that Converse sends."""

    headers: Mapping[str, str]
    payload: bytes


class FrameReader:
    """Buffers bytes until a frame is complete."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._raw_headers = b""
        self._headers: Mapping[str, str] = {}

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that these bytes complete. Raises UpstreamError for bytes that are not a valid frame."""
        buffer, start = self._buffer, 0
        buffer += data
        try:
            while len(buffer) - start >= _PRELUDE.size:
                end = start + _checked_length(buffer, start)
                if len(buffer) < end:
                    break
                frame, start = bytes(buffer[start:end]), end
                yield self._frame(frame)
        finally:
            del buffer[:start]

    def _frame(self, frame: bytes) -> Frame:
        if crc32(frame[: -_CRC.size]) != _CRC.unpack_from(frame, len(frame) - _CRC.size)[0]:
            raise _corrupt()
        payload_at = _PRELUDE.size + _PRELUDE.unpack_from(frame)[1]
        headers = frame[_PRELUDE.size : payload_at]
        if headers != self._raw_headers:  # most frames of a response have the headers of the previous one
            self._raw_headers, self._headers = headers, _read_headers(headers)
        return Frame(self._headers, frame[payload_at : -_CRC.size])


def _checked_length(buffer: bytearray, start: int) -> int:
    """The length of the frame that begins at `start`."""
    total, headers, crc = _PRELUDE.unpack_from(buffer, start)
    prelude = buffer[start : start + _PRELUDE.size - _CRC.size]
    if crc32(prelude) != crc or not headers + _MIN_FRAME <= total <= MAX_FRAME:
        raise _corrupt()
    return total


def _read_headers(data: bytes) -> Mapping[str, str]:
    """The headers of type string, by name."""
    headers: dict[str, str] = {}
    offset = 0
    try:
        while offset < len(data):
            name_at = offset + 1
            type_at = name_at + data[offset]
            kind, offset = data[type_at], type_at + 1
            if kind in _WITH_LENGTH:
                size, offset = int.from_bytes(data[offset : offset + 2], "big"), offset + 2
            else:
                size = _FIXED_SIZES[kind]
            if kind == _STRING:
                headers[data[name_at:type_at].decode()] = data[offset : offset + size].decode()
            offset += size
    except (IndexError, KeyError, UnicodeDecodeError):
        raise _corrupt() from None
    if offset != len(data):
        raise _corrupt()
    return headers


def _corrupt() -> UpstreamError:
    return UpstreamError("The provider's stream is corrupt.")
