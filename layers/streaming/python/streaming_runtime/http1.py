"""HTTP/1.1 messages on asyncio streams, as far as the Runtime API requires.

The HTTP client of the standard library can neither send trailers nor guarantee that a head and a payload are sent in
one write; the Runtime API requires both.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

Fields = Iterable[tuple[str, str]]

MAX_CHUNK = 64 * 1024
"""Maximum of payload bytes in one chunk; one write is not larger than the transport's high-water mark."""

LAST_CHUNK = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Head:
    """Status line and header fields of a response; names are in lower case."""

    status: int
    fields: dict[str, str]


async def read_head(reader: asyncio.StreamReader) -> Head:
    """Read up to the blank line. Raises EOFError if the peer closes before it, ValueError if it is not HTTP."""
    raw = await reader.readuntil(b"\r\n\r\n")
    status_line, *lines = raw[:-4].decode("latin-1").split("\r\n")
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        fields[name.lower()] = value.strip()
    return Head(int(status_line.split(" ", 2)[1]), fields)


async def read_body(reader: asyncio.StreamReader, head: Head) -> bytes:
    """Read a body: by its length, by chunks (trailers are ignored), or else up to the end of the connection."""
    length = head.fields.get("content-length")
    if length is not None:
        return await reader.readexactly(int(length))
    if head.fields.get("transfer-encoding", "").lower() != "chunked":
        return await reader.read()
    parts: list[bytes] = []
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        parts.append((await reader.readexactly(size + 2))[:-2])
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass
    return b"".join(parts)


def request_head(method: str, path: str, host: str, fields: Fields) -> bytes:
    """The request line and header fields. Values are not checked for line breaks."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in fields), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def chunk(data: bytes | memoryview, *, last: bool = False) -> bytes:
    """A payload as one chunk, with ``last`` followed by the end of the body.

    An empty payload gives no chunk, because a chunk of size 0 is the end of the body.
    """
    if not data:
        return LAST_CHUNK if last else b""
    return b"%x\r\n%b\r\n%b" % (len(data), data, LAST_CHUNK if last else b"")


def last_chunk(trailers: Fields) -> bytes:
    """The end of a body, with trailer fields."""
    return b"0\r\n" + "".join(f"{name}: {value}\r\n" for name, value in trailers).encode("latin-1") + b"\r\n"
