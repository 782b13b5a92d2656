"""The parser of HTTP/1.1 responses: valid ones in any pieces, and what it refuses."""

import tracemalloc
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollgate.http_client.errors import ConnectionClosedError, HttpClientError, ProtocolError
from tollgate.http_client.parser import MAX_HEAD_BYTES, MAX_HEADERS, MAX_LINE_BYTES, ResponseParser


@dataclass(frozen=True)
class Example:
    """A response as it is sent, and what it means. `ends_by_close` tells whether only the closing server ends it."""

    raw: bytes
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    status: int = 200
    method: str = "POST"
    keep_alive: bool = True
    ends_by_close: bool = False


CHUNKED = {"transfer-encoding": "chunked"}
EXAMPLES = {
    "length": Example(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok", {"content-length": "2"}),
    "empty": Example(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", b"", {"content-length": "0"}),
    "no reason": Example(b"HTTP/1.1 404\r\ncontent-length:1\r\n\r\nx", b"x", {"content-length": "1"}, 404),
    "white space": Example(b"HTTP/1.1 200 \r\nA: \t b c \t\r\nContent-Length: 1 \r\n\r\nx", b"x",
                           {"a": "b c", "content-length": "1"}),
    "repeated header": Example(b"HTTP/1.1 200 OK\r\nset-cookie: a\r\nSet-Cookie: b\r\ncontent-length: 0\r\n\r\n", b"",
                               {"set-cookie": "a, b", "content-length": "0"}),
    "repeated length": Example(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\nx", b"x",
                               {"content-length": "1, 1"}),
    "bytes above ASCII": Example(b"HTTP/1.1 200 \xe9\r\na: \xe9\r\ncontent-length: 1\r\n\r\n\xff", b"\xff",
                                 {"a": "\xe9", "content-length": "1"}),
    "chunks": Example(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n00A\r\n0123456789\r\n"
                      b"0\r\n\r\n", b"abc0123456789", {"transfer-encoding": "Chunked"}),
    "line breaks in chunks": Example(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\n\r\n\r\n\r\n0\r\n\r\n",
                                     b"\r\n\r\n", CHUNKED),
    "chunk extensions": Example(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1 ;a=b;c=\"d e\"\r\nx\r\n"
                                b"0;z\r\n\r\n", b"x", CHUNKED),
    "trailers": Example(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nETag: 1\r\na: b\r\n\r\n",
                        b"x", CHUNKED),
    "until close": Example(b"HTTP/1.1 200 OK\r\n\r\nall of it\r\n\r\n", b"all of it\r\n\r\n", keep_alive=False,
                           ends_by_close=True),
    "1.0 until close": Example(b"HTTP/1.0 200 OK\r\n\r\nx", b"x", keep_alive=False, ends_by_close=True),
    "1.0 with length": Example(b"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\nx", b"x", {"content-length": "1"},
                               keep_alive=False),
    "1.0 kept": Example(b"HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\ncontent-length: 1\r\n\r\nx", b"x",
                        {"connection": "Keep-Alive", "content-length": "1"}),
    "close": Example(b"HTTP/1.1 200 OK\r\nconnection: a, Close\r\ncontent-length: 1\r\n\r\nx", b"x",
                     {"connection": "a, Close", "content-length": "1"}, keep_alive=False),
    "no content": Example(b"HTTP/1.1 204 No Content\r\n\r\n", status=204),
    "not modified": Example(b"HTTP/1.1 304 X\r\ncontent-length: 5\r\n\r\n", b"", {"content-length": "5"}, 304),
    "HEAD": Example(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", headers={"content-length": "5"}, method="HEAD"),
    "HEAD of chunks": Example(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", headers=CHUNKED, method="HEAD"),
    "tunnel": Example(b"HTTP/1.0 200 Established\r\ncontent-length: 5\r\n\r\n", headers={"content-length": "5"},
                      method="CONNECT"),
    "interim": Example(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nlink: a\r\n\r\n"
                       b"HTTP/1.1 201 Y\r\ncontent-length: 1\r\n\r\nx", b"x", {"content-length": "1"}, 201),
}  # fmt: skip

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKS = HEAD + b"transfer-encoding: chunked\r\n\r\n"
REFUSED = {
    "other protocol": b"SSH-2.0-x\r\n",
    "HTTP/2": b"HTTP/2 200\r\n\r\n",
    "HTTP/1.2": b"HTTP/1.2 200 OK\r\n\r\n",
    "line break first": b"\r\nHTTP/1.1 200 OK\r\n\r\n",
    "status": b"HTTP/1.1 abc\r\n\r\n",
    "short status": b"HTTP/1.1 20 OK\r\n\r\n",
    "long status": b"HTTP/1.1 2000 OK\r\n\r\n",
    "two spaces": b"HTTP/1.1  200 OK\r\n\r\n",
    "control character in the reason": b"HTTP/1.1 200 O\0K\r\n\r\n",
    "upgrade": b"HTTP/1.1 101 Switching\r\n\r\n",
    "interim responses": b"HTTP/1.1 100 X\r\n\r\n" * 17,
    "no colon": HEAD + b"name\r\n\r\n",
    "no name": HEAD + b": value\r\n\r\n",
    "space after a name": HEAD + b"content-length : 1\r\n\r\nx",
    "space in a name": HEAD + b"content length: 1\r\n\r\nx",
    "folded": HEAD + b"a: b\r\n c: d\r\n\r\n",
    "folded first": HEAD + b" a: b\r\n\r\n",
    "bare line feed": HEAD + b"a: b\ncontent-length: 1\r\n\r\nx",
    "bare carriage return": HEAD + b"a: b\rcontent-length: 1\r\n\r\nx",
    "NUL in a value": HEAD + b"a: \0\r\n\r\n",
    "NUL in a name": HEAD + b"a\0: b\r\n\r\n",
    "name above ASCII": HEAD + b"\xe9: b\r\n\r\n",
    "headers": HEAD + b"a: b\r\n" * (MAX_HEADERS + 1) + b"\r\n",
    "large head": HEAD + b"a: " + b"b" * MAX_HEAD_BYTES + b"\r\n\r\n",
    "endless head": HEAD + b"a: " + b"b" * MAX_HEAD_BYTES,
    "length and chunks": HEAD + b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": HEAD + b"content-length: 1\r\ncontent-length: 2\r\n\r\nxx",
    "two lengths in one": HEAD + b"content-length: 1, 2\r\n\r\nxx",
    "negative length": HEAD + b"content-length: -1\r\n\r\n",
    "signed length": HEAD + b"content-length: +1\r\n\r\nx",
    "underscore": HEAD + b"content-length: 1_0\r\n\r\n",
    "superscript": HEAD + b"content-length: \xb2\r\n\r\nxx",
    "empty length": HEAD + b"content-length: \r\n\r\n",
    "long length": HEAD + b"content-length: " + b"1" * 19 + b"\r\n\r\n",
    "gzip and chunks": HEAD + b"transfer-encoding: gzip, chunked\r\n\r\n",
    "chunks twice": HEAD + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
    "identity": HEAD + b"transfer-encoding: identity\r\n\r\n",
    "no coding": HEAD + b"transfer-encoding:\r\n\r\n",
    "chunks in 1.0": b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunk without a size": CHUNKS + b"\r\n",
    "chunk size with a prefix": CHUNKS + b"0x1\r\nx\r\n",
    "signed chunk size": CHUNKS + b"+1\r\nx\r\n",
    "chunk size after a space": CHUNKS + b" 1\r\nx\r\n",
    "chunk size with a line feed": CHUNKS + b"1\nx\r\n",
    "extension with a line feed": CHUNKS + b"1;a\nb\r\nx\r\n",
    "long chunk size": CHUNKS + b"1" * 16 + b"\r\n",
    "endless chunk size": CHUNKS + b"0" * MAX_LINE_BYTES,
    "endless extension": CHUNKS + b"1;" + b"a" * MAX_LINE_BYTES,
    "chunk that is too long": CHUNKS + b"1\r\nxy\r\n",
    "chunk that is too long by a line break": CHUNKS + b"1\r\nx\n\r\n",
    "chunk after the last one": CHUNKS + b"0\r\nabc\r\n",
    "trailer with a space in its name": CHUNKS + b"0\r\na b: c\r\n\r\n",
    "trailer with a carriage return": CHUNKS + b"0\r\na: b\rc\r\n\r\n",
    "endless trailer": CHUNKS + b"0\r\n" + b"a" * MAX_LINE_BYTES,
    "trailers": CHUNKS + b"0\r\n" + b"a: b\r\n" * MAX_HEAD_BYTES,
}  # fmt: skip


def parse(example: Example, pieces: list[bytes]) -> ResponseParser:
    parser = ResponseParser(example.method)
    for piece in pieces:
        assert example.ends_by_close or not parser.complete
        parser.feed(piece)
    if example.ends_by_close:
        assert not parser.complete
        parser.feed_eof()
    return parser


def meaning(parser: ResponseParser) -> tuple[int, dict[str, str], bytes, bool, bool]:
    return parser.status, parser.headers, b"".join(parser.body), parser.complete, parser.keep_alive


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)
def test_response_means_the_same_in_any_pieces(example: Example) -> None:
    expected = (example.status, example.headers, example.body, True, example.keep_alive)
    raw = example.raw
    assert meaning(parse(example, [raw])) == expected
    assert meaning(parse(example, [raw[i : i + 1] for i in range(len(raw))])) == expected
    for cut in range(1, len(raw)):
        assert meaning(parse(example, [raw[:cut], raw[cut:]])) == expected


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)
def test_response_that_is_cut_off_is_not_complete(example: Example) -> None:
    end = example.raw.index(b"\r\n\r\n") if example.ends_by_close else len(example.raw)
    for cut in range(end):
        parser = ResponseParser(example.method)
        parser.feed(example.raw[:cut])
        with pytest.raises(ConnectionClosedError):
            parser.feed_eof()
        assert example.body.startswith(b"".join(parser.body))
        assert not parser.complete


@pytest.mark.parametrize("example", [e for e in EXAMPLES.values() if not e.ends_by_close])
def test_bytes_after_the_response_end_the_connection(example: Example) -> None:
    extra = b"HTTP/1.1 200 OK\r\n\r\n"
    for pieces in ([example.raw + extra], [example.raw, extra], [example.raw[:-1], example.raw[-1:] + b"!"]):
        parser = ResponseParser(example.method)
        for piece in pieces:
            parser.feed(piece)
        assert meaning(parser) == (example.status, example.headers, example.body, True, False)


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED)
def test_response_that_is_not_valid_is_refused_in_any_pieces(raw: bytes) -> None:
    for size in (len(raw), 1, 2, 3):
        parser = ResponseParser("POST")
        with pytest.raises(ProtocolError):  # noqa: PT012
            for start in range(0, len(raw), size):
                parser.feed(raw[start : start + size])
        assert not parser.complete


def test_body_before_an_invalid_chunk_is_kept() -> None:
    parser = ResponseParser("POST")
    with pytest.raises(ProtocolError):
        parser.feed(CHUNKS + b"2\r\nab\r\nzz\r\n")
    assert parser.body == [b"ab"]


def test_head_at_the_limit_is_read() -> None:
    line = b"a: " + b"b" * (MAX_HEAD_BYTES - len(HEAD) - len(b"a: "))
    parser = ResponseParser("POST")
    parser.feed(HEAD + line + b"\r\n\r\n")
    assert parser.status == 200
    parser = ResponseParser("POST")
    parser.feed(HEAD + b"a: b\r\n" * MAX_HEADERS + b"\r\n")
    assert parser.headers["a"].count("b") == MAX_HEADERS


def test_tiny_chunks_take_little_memory() -> None:
    parser = ResponseParser("POST")
    parser.feed(CHUNKS)
    data = b"2\r\nab\r\n" * 30_000
    tracemalloc.start()
    try:
        parser.feed(data)
        assert tracemalloc.get_traced_memory()[1] < 20 * len(data)
    finally:
        tracemalloc.stop()


@given(st.sampled_from(list(EXAMPLES.values())), st.data())
def test_changed_response_is_read_or_refused_but_the_pieces_do_not_matter(
    example: Example, data: st.DataObject
) -> None:
    raw = bytearray(example.raw)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 2))] = data.draw(
            st.sampled_from([b"", b"\r", b"\n", b"\r\n", b"0", b":", b" ", b"\0"])
        )
    cut = data.draw(st.integers(0, len(raw)))

    def outcome(pieces: list[bytes]) -> object:
        parser = ResponseParser(example.method)
        try:
            for piece in pieces:
                parser.feed(piece)
            parser.feed_eof()
        except HttpClientError as error:
            return type(error), b"".join(parser.body)
        return meaning(parser)

    assert outcome([bytes(raw)]) == outcome([bytes(raw[:cut]), bytes(raw[cut:])])


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for prefix in (b"", b"HTTP/1.1 ", HEAD, CHUNKS):
        parser = ResponseParser("POST")
        try:
            parser.feed(prefix + data)
            parser.feed_eof()
        except HttpClientError:
            continue
        assert parser.complete
