"""The server side of HTTP/1.1: reads request heads and bodies, writes responses."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import SupportsIndex

DELIMITER = bytes(8)
"""Separates the prelude and the payload of a streamed response (Lambda developer guide, response streaming)."""
LAST_CHUNK = b"0\r\n\r\n"

_REASONS = {100: "Continue", 200: "OK", 202: "Accepted", 400: "Bad Request", 404: "Not Found", 410: "Gone"}


class TooLargeError(Exception):
    """The body is larger than the limit; it was read and discarded."""


@dataclass(frozen=True, slots=True)
class RequestHead:
    """Request line and header fields. Names are in lower case; order and repetitions are kept."""

    method: str
    target: str
    version: str
    fields: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str:
        """The first value of a field; empty if it is missing."""
        return next((value for key, value in self.fields if key == name), "")

    @property
    def is_chunked(self) -> bool:
        """Whether the body has chunked transfer encoding."""
        return self.get("transfer-encoding").lower() == "chunked"


class RecordingReader(asyncio.StreamReader):
    """A stream reader that keeps the data of its first TCP read."""

    first_read = b""

    def feed_data(self, data: Iterable[SupportsIndex]) -> None:
        """Add the data of one TCP read."""
        self.first_read = self.first_read or bytes(data)
        super().feed_data(data)


async def read_request(reader: asyncio.StreamReader) -> RequestHead | None:
    """Read a request head; None if the peer has closed the connection. Raises ValueError if it is not HTTP/1."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    line, *lines = raw[:-4].decode("latin-1").lstrip("\r\n").split("\r\n")
    method, target, version = line.split(" ")
    return RequestHead(method, target, version, tuple(_field(text) for text in lines))


async def read_chunk(reader: asyncio.StreamReader) -> bytes:
    """Read one chunk. An empty one is the end, and trailer fields follow it."""
    size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
    return (await reader.readexactly(size + 2))[:-2] if size else b""


async def read_trailers(reader: asyncio.StreamReader) -> dict[str, str]:
    """Read the fields after the last chunk. Raises ValueError for a line break in a field, which Lambda rejects too."""
    trailers: dict[str, str] = {}
    while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
        if b"\n" in line[:-2]:
            raise ValueError("a trailer contains a line break")
        name, value = _field(line[:-2].decode("latin-1"))
        trailers[name] = value
    return trailers


async def read_body(reader: asyncio.StreamReader, head: RequestHead, limit: int | None = None) -> bytes:
    """Read a body. Raises TooLargeError if it has more than ``limit`` bytes, after it was read to its end."""
    parts: list[bytes] = []
    total = 0
    left = int(head.get("content-length") or 0)
    while part := await read_chunk(reader) if head.is_chunked else await reader.read(min(left, 65536)):
        left -= len(part)
        total += len(part)
        if limit is None or total <= limit:
            parts.append(part)
    if head.is_chunked:
        await read_trailers(reader)
    elif left > 0:
        raise asyncio.IncompleteReadError(b"", left)
    if limit is not None and total > limit:
        raise TooLargeError
    return b"".join(parts)


def response_head(status: int, fields: Iterable[tuple[str, str]]) -> bytes:
    """A status line with header fields."""
    lines = [
        f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}",
        *(f"{name}: {value}" for name, value in fields),
        "",
        "",
    ]
    return "\r\n".join(lines).encode("latin-1", "replace")


def response(status: int, body: bytes, fields: Iterable[tuple[str, str]] = ()) -> bytes:
    """A whole response with its content-length."""
    return response_head(status, [*fields, ("content-length", str(len(body)))]) + body


def chunk(data: bytes) -> bytes:
    """One chunk of a body. ``data`` must not be empty."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def _field(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.lower(), value.strip()
