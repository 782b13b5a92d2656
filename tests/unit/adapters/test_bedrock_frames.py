"""Frames of AWS event streams, compared with botocore's own reader."""

from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer

from support.aws_event_stream import checksum, encode, frame, raw_frame, string_header
from tollgate.adapters.bedrock import frames
from tollgate.adapters.bedrock.frames import Frame, FrameReader
from tollgate.gateway.errors import UpstreamError

LINES: list[Any] = [
    {":event-type": "messageStart", "payload": {"role": "assistant"}},
    {":event-type": "contentBlockDelta", "payload": {"delta": {"text": "s\u00e9ven\u2028"}}},
    {":exception-type": "throttlingException", "payload": {"message": "m"}},
    {":error-code": "InternalFailure", ":error-message": "m"},
]
OTHER_HEADERS = {
    0: b"",
    1: b"",
    2: b"\x7f",
    3: b"\x00\x01",
    4: bytes(4),
    5: bytes(8),
    6: b"\x00\x02ab",
    8: bytes(8),
    9: bytes(16),
}


def read(*pieces: bytes) -> list[Frame]:
    reader = FrameReader()
    return [one for piece in pieces for one in reader.feed(piece)]


def test_frames_equal_those_of_botocore() -> None:
    theirs = EventStreamBuffer()
    theirs.add_data(encode(LINES))
    got = [(dict(one.headers), one.payload) for one in read(encode(LINES))]
    assert got == [(message.headers, message.payload) for message in theirs]


def test_frame_comes_with_its_last_byte() -> None:
    data = encode(LINES[:1])
    reader = FrameReader()
    assert [len(list(reader.feed(data[n : n + 1]))) for n in range(len(data))] == [0] * (len(data) - 1) + [1]


@pytest.mark.parametrize(("kind", "value"), OTHER_HEADERS.items())
def test_headers_of_other_types_are_skipped(kind: int, value: bytes) -> None:
    headers = string_header("a", "1") + b"\x01x" + bytes([kind]) + value + string_header("b", "2")
    (one,) = read(raw_frame(headers, b"{}"))
    assert one == Frame({"a": "1", "b": "2"}, b"{}")


def test_frame_may_be_empty() -> None:
    assert read(frame({}, b"")) == [Frame({}, b"")]


@pytest.mark.parametrize("place", range(len(frame({"a": "b"}, b"{}"))))
def test_flipped_bit_anywhere_is_an_error(place: int) -> None:
    data = bytearray(frame({"a": "b"}, b"{}"))
    data[place] ^= 1
    with pytest.raises(UpstreamError, match="corrupt"):
        read(bytes(data))


@pytest.mark.parametrize("headers", [b"\x05a", b"\x01a", b"\x01a\x0a", b"\x01a\x07\x00\x05x", b"\x01\xff\x07\x00\x00"])
def test_malformed_headers_are_an_error(headers: bytes) -> None:
    with pytest.raises(UpstreamError, match="corrupt"):
        read(raw_frame(headers, b"{}"))


@pytest.mark.parametrize(
    ("total", "headers"),
    [(0, 0), (15, 0), (20, 5), (2**31, 0), (frames.MAX_FRAME + 1, 0), (2**32 - 1, 2**32 - 1)],
)
def test_invalid_length_is_an_error(total: int, headers: int) -> None:
    head = total.to_bytes(4, "big") + headers.to_bytes(4, "big")
    with pytest.raises(UpstreamError, match="corrupt"):
        read(head + checksum(head))


def test_bytes_other_than_frames_are_an_error() -> None:
    with pytest.raises(UpstreamError):
        read(b"<html><body>502</body></html>")


def test_frames_before_an_error_are_returned_first() -> None:
    got: list[Frame] = []
    with pytest.raises(UpstreamError):
        got.extend(FrameReader().feed(encode(LINES[:1]) + b"\x00" * 12))
    assert len(got) == 1
