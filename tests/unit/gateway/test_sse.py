"""Server-sent events: the same events are read however the bytes are split."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollgate.gateway import sse
from tollgate.gateway.errors import UpstreamError
from tollgate.gateway.sse import EventReader, encode


def read(*pieces: bytes) -> list[str]:
    reader = EventReader()
    events = [event for piece in pieces for event in reader.feed(piece)]
    return [*events, *reader.close()]


def split(data: bytes, positions: list[int]) -> list[bytes]:
    bounds = [0, *sorted(position % (len(data) + 1) for position in positions), len(data)]
    return [data[start:end] for start, end in pairwise(bounds)]


STREAM = (
    b"\xef\xbb\xbf: hello\r\nid: 1\nretry: 10\rdata: one\r\n\r\n"
    b'event: ping\rdata:{"a":\rdata:  "\xe2\x80\xa8\xc2\x85"}\r\r'
    b"data\n\ndata: last \xf0\x9f\x98\x80\n"
)
EVENTS = [
    "one",
    '{"a":\n "\u2028\u0085"}',
    "",
    "last \U0001f600",
]


def test_stream_in_one_piece() -> None:
    assert read(STREAM) == EVENTS


def test_stream_split_at_every_byte() -> None:
    for position in range(len(STREAM) + 1):
        assert read(STREAM[:position], STREAM[position:]) == EVENTS, position


def test_stream_byte_by_byte() -> None:
    assert read(*(bytes([byte]) for byte in STREAM)) == EVENTS


@given(positions=st.lists(st.integers(0, 10_000), max_size=12))
def test_stream_split_anywhere(positions: list[int]) -> None:
    assert read(*split(STREAM, positions)) == EVENTS


@given(
    data=st.lists(st.text(st.characters(exclude_characters="\r\n", codec="utf-8")), min_size=1, max_size=4),
    end=st.sampled_from(["\n", "\r", "\r\n"]),
    positions=st.lists(st.integers(0, 10_000), max_size=6),
)
def test_any_text_is_read_unchanged(data: list[str], end: str, positions: list[int]) -> None:
    raw = "".join(f"data: {line}{end}" for line in data) + end
    assert read(*split(raw.encode(), positions)) == ["\n".join(data)]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_lines_end_at_cr_lf_and_crlf(end: bytes) -> None:
    assert read(b"data: a" + end + b"data: b" + end + end + b"data: c" + end + end) == [
        "a\nb",
        "c",
    ]


def test_crlf_split_between_reads_is_one_line_end() -> None:
    assert read(b"data: a\r", b"\ndata: b\r", b"\n\r", b"\n") == ["a\nb"]


def test_lf_in_a_later_read_after_a_cr_ends_no_line() -> None:
    assert read(b"data: a\r", b"", b"\n", b"data: b\n\n") == ["a\nb"]


def test_line_split_between_reads_is_one_event() -> None:
    assert read(b"da", b"ta: on", b"e\n\n") == ["one"]


def test_event_is_returned_with_the_byte_that_ends_it() -> None:
    reader = EventReader()
    assert list(reader.feed(b"data: a\n")) == []
    assert list(reader.feed(b"\n")) == ["a"]


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\u0085", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e"])
def test_unicode_line_separators_are_part_of_the_data(separator: str) -> None:
    assert read(f"data: a{separator}b\n\n".encode()) == [f"a{separator}b"]


def test_one_space_after_the_colon_is_not_data() -> None:
    assert read(b"data:a\n\n", b"data: a\n\n", b"data:  a\n\n") == ["a", "a", " a"]


def test_comments_ids_retry_times_and_unknown_fields_are_ignored() -> None:
    assert read(b": x\n\nid: 4\n\nretry: 3\n\nfoo: bar\n\ndatax: no\n\n data: no\n\n") == []


def test_event_name_without_data_is_dropped() -> None:
    assert read(b"event: ping\n\ndata: a\n\n") == ["a"]


def test_last_event_without_a_blank_line_is_read_at_the_end() -> None:
    assert read(b"data: a") == ["a"]
    assert read(b"data: a\n") == ["a"]
    assert read(b"data: a\r") == ["a"]


def test_closing_twice_gives_nothing_more() -> None:
    reader = EventReader()
    assert list(reader.feed(b"data: a")) == []
    assert len(list(reader.close())) == 1
    assert list(reader.close()) == []


def test_invalid_utf8_is_replaced() -> None:
    assert read(b"data: a\xffb\n\n") == ["a\ufffdb"]


def test_byte_order_mark_at_the_start_is_not_part_of_the_first_field() -> None:
    assert read(b"\xef", b"\xbb\xbf", b"data: a\n\n") == ["a"]
    assert read(b"data: \xef\xbb\xbfa\n\n") == ["\ufeffa"]


def test_unbounded_line_is_refused() -> None:
    reader = EventReader()
    piece = b"x" * (1024 * 1024)
    for _ in range(sse.MAX_EVENT_BYTES // len(piece)):
        assert list(reader.feed(piece)) == []
    with pytest.raises(UpstreamError, match="too large"):
        list(reader.feed(piece))


def test_event_of_unbounded_lines_is_refused() -> None:
    reader = EventReader()
    piece = b"data: " + b"x" * (1024 * 1024) + b"\n"
    for _ in range(sse.MAX_EVENT_BYTES // len(piece)):
        assert list(reader.feed(piece)) == []
    with pytest.raises(UpstreamError, match="too large"):
        list(reader.feed(piece + piece))


def test_size_limit_is_per_event() -> None:
    reader = EventReader()
    piece = b"data: " + b"x" * (1024 * 1024) + b"\n\n"
    for _ in range(sse.MAX_EVENT_BYTES // len(piece) + 2):
        assert len(list(reader.feed(piece))) == 1


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_encoded_value_is_ascii_and_is_read_back(value: object) -> None:
    raw = encode(value)
    assert raw.isascii()
    assert raw.endswith(b"\n\n")
    (event,) = read(raw)
    assert json.loads(event) == value


def test_keep_alive_is_not_an_event_and_done_is() -> None:
    assert read(sse.KEEP_ALIVE, sse.DONE) == ["[DONE]"]
