"""Parses one HTTP/1.1 response from bytes as they arrive (RFC 9112). It does no I/O.

It refuses what parsers disagree about, because a disagreement about where a response ends would give the rest of one
response to the next request.
"""

import re
from collections.abc import Mapping

from tollgate.http_client.errors import ConnectionClosedError, ProtocolError

MAX_HEAD_BYTES = 64 * 1024
"""Maximum size of a response's head, and of its trailers."""
MAX_HEADERS = 200
MAX_INTERIM_RESPONSES = 16
MAX_LINE_BYTES = 8 * 1024
"""Maximum size of a line with a chunk's size, and of a trailer."""

_START = b"HTTP/1."
_STATUS_LINE = re.compile(r"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: [\t -~\x80-\xff]*)?\r\n")
_FIELDS = re.compile(r"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]++:[\t -~\x80-\xff]*+\r\n)*+")
_LENGTH = re.compile(r"[0-9]{1,18}")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t -~\x80-\xff]*|[ \t]*)")
_NO_BODY = frozenset({204, 304})
_UNTIL_CLOSE = -1


class ResponseParser:
    """The state of one response to a request with `method`. Body bytes are added to `body`; the reader removes them."""

    __slots__ = (
        "_chunk_open",
        "_chunked",
        "_head",
        "_interim_responses",
        "_method",
        "_partial_line",
        "_remaining",
        "_trailer_bytes",
        "body",
        "complete",
        "headers",
        "keep_alive",
        "status",
    )

    def __init__(self, method: str) -> None:
        self.status = 0
        """0 until the head has arrived."""
        self.headers: dict[str, str] = {}
        """Names are lower-case. The values of a repeated header are joined by a comma (RFC 9110, section 5.3)."""
        self.body: list[bytes] = []
        self.complete = False
        self.keep_alive = False
        """Whether the connection can serve another request once this response is complete."""
        self._method = method
        self._head = bytearray()
        self._interim_responses = 0
        self._chunked = False
        self._remaining = 0  # bytes of the body, or of the current chunk
        self._chunk_open = False  # the line break after a chunk's data is missing
        self._partial_line: bytes = b""
        self._trailer_bytes: int | None = None  # None before the trailers

    def feed(self, data: bytes) -> None:
        """Parse bytes. Raises ProtocolError; what was added to `body` before stays valid."""
        if not self.status:
            data = self._feed_head(data)
            if not data:
                return
        if self.complete:
            self.keep_alive = False  # nothing was requested: these bytes must not become the next response
        elif self._chunked:
            self._feed_chunks(data)
        else:
            self._feed_plain(data)

    def feed_eof(self) -> None:
        """The server has closed. Raises ConnectionClosedError if the response is not complete."""
        self.keep_alive = False
        if self.status and self._remaining == _UNTIL_CLOSE:
            self.complete = True
        if not self.complete:
            raise ConnectionClosedError("The connection was closed before the end of the response.")

    def _feed_head(self, data: bytes) -> bytes:
        """Parse until the end of the head. The bytes after it; empty while it is not complete."""
        head = self._head
        searched = max(0, len(head) - 3)
        head += data
        if not head.startswith(_START[: len(head)]):
            raise ProtocolError("The response is not HTTP/1.1.")
        while (end := head.find(b"\r\n\r\n", searched)) >= 0:
            if end > MAX_HEAD_BYTES:
                break
            self._parse_head(head[: end + 2].decode("latin-1"))
            del head[: end + 4]
            if self.status:
                rest = bytes(head)
                head.clear()
                return rest
            searched = 0
        if len(head) > MAX_HEAD_BYTES:
            raise ProtocolError("The head of the response is too large.")
        return b""

    def _parse_head(self, head: str) -> None:
        """Parse a status line and headers. An interim response (1xx) is skipped: then `status` stays 0."""
        status_line = _STATUS_LINE.match(head)
        if status_line is None:
            raise ProtocolError("The response has no valid status line.")
        status = int(status_line[2])
        headers = _parse_headers(head, status_line.end())
        if status < 200:
            self._interim_responses += 1
            if status == 101 or self._interim_responses > MAX_INTERIM_RESPONSES:
                raise ProtocolError("The server switches protocols, or sends too many interim responses.")
            return
        options = {option.strip().lower() for option in headers.get("connection", "").split(",")}
        is_http_1_1 = status_line[1] == "1"
        self.keep_alive = "close" not in options and (is_http_1_1 or "keep-alive" in options)
        self._frame_body(status, headers, is_http_1_1)
        self.status, self.headers = status, headers

    def _frame_body(self, status: int, headers: Mapping[str, str], is_http_1_1: bool) -> None:
        """Determine where the body ends (RFC 9112, section 6.3)."""
        coding, length = headers.get("transfer-encoding"), headers.get("content-length")
        if coding is not None:
            if coding.lower() != "chunked" or length is not None or not is_http_1_1:
                raise ProtocolError("The response has an invalid or unsupported transfer encoding.")
            self._chunked = True
        elif length is not None:
            self._remaining = _parse_length(length)
        else:
            self._remaining = _UNTIL_CLOSE
        is_tunnel = self._method == "CONNECT" and status < 300
        if is_tunnel or self._method == "HEAD" or status in _NO_BODY:
            self._chunked = False
            self._remaining = 0
        self.complete = not self._chunked and self._remaining == 0
        if self._remaining == _UNTIL_CLOSE:
            self.keep_alive = False
        elif is_tunnel:
            self.keep_alive = True  # the connection is the client's now, whatever its headers say

    def _feed_plain(self, data: bytes) -> None:
        if self._remaining == _UNTIL_CLOSE:
            self.body.append(data)
            return
        if len(data) > self._remaining:
            data = data[: self._remaining]
            self.keep_alive = False
        self.body.append(data)
        self._remaining -= len(data)
        self.complete = self._remaining == 0

    def _feed_chunks(self, data: bytes) -> None:
        if self._partial_line:
            data = self._partial_line + data
            self._partial_line = b""
        position, size = 0, len(data)
        while position < size and not self.complete:
            if self._remaining:
                piece = data[position : position + self._remaining]
                self.body.append(piece)
                position += len(piece)
                self._remaining -= len(piece)
                continue
            end = data.find(b"\r\n", position, position + MAX_LINE_BYTES)
            if end < 0:
                self._partial_line = data[position:]
                break
            self._parse_line(data[position:end])
            position = end + 2
        if len(self._partial_line) >= MAX_LINE_BYTES or (self._chunk_open and self._partial_line not in (b"", b"\r")):
            raise ProtocolError("A chunk of the response is not valid.")
        if self.complete and position < size:
            self.keep_alive = False

    def _parse_line(self, line: bytes) -> None:
        """One line outside of the chunks' data: a line break after data, the size of a chunk, or a trailer."""
        if self._chunk_open:
            if line:
                raise ProtocolError("A chunk of the response is longer than its size.")
            self._chunk_open = False
        elif self._trailer_bytes is None:
            match = _CHUNK_SIZE.fullmatch(line)
            if match is None:
                raise ProtocolError("A chunk of the response has an invalid size.")
            self._remaining = int(match[1], 16)
            if self._remaining:
                self._chunk_open = True
            else:
                self._trailer_bytes = 0
        elif line:
            self._trailer_bytes += len(line)
            if self._trailer_bytes > MAX_HEAD_BYTES:
                raise ProtocolError("The trailers of the response are too large.")
            _parse_headers(f"{line.decode('latin-1')}\r\n", 0)  # dropped, but not if it is no trailer
        else:
            self.complete = True


def _parse_headers(head: str, position: int) -> dict[str, str]:
    lines = head[position:].split("\r\n")
    if not _FIELDS.fullmatch(head, position) or len(lines) - 1 > MAX_HEADERS:
        raise ProtocolError("The response has an invalid header, or too many.")
    headers: dict[str, str] = {}
    for line in lines[:-1]:
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _parse_length(value: str) -> int:
    """A content length, which may be repeated if it is always the same (RFC 9112, section 6.3, rule 5)."""
    lengths = {length.strip(" \t") for length in value.split(",")}
    length = lengths.pop()
    if lengths or not _LENGTH.fullmatch(length):
        raise ProtocolError("The response has an invalid content length.")
    return int(length)
