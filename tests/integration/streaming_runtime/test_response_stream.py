"""The streamed POST over a loopback socket: framing, and that the end is sent once."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from streaming_runtime import http1
from streaming_runtime.invocation import Invocation
from streaming_runtime.runtime_api import ResponseRefusedError, ResponseStream, RuntimeApi

INVOCATION = Invocation("id-1", 0, "", None, None, None, b"{}")
TRAILERS = (("X-One", "1"),)
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def stream_to(serve: Serve, *, last: bool = False) -> AsyncGenerator[ResponseStream, None]:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(once, "127.0.0.1", 0)
    async with server:
        api = RuntimeApi(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        yield api.begin_response(await api.connect_response(), INVOCATION, b"first", last=last)


async def keep_writing(stream: ResponseStream) -> None:
    for _ in range(1000):
        await stream.write(b"more")
        await asyncio.sleep(0.001)


async def test_end_is_not_sent_twice() -> None:
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        received.append(await reader.readuntil(http1.LAST_CHUNK))
        writer.write(b"HTTP/1.1 202 Accepted\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        received.append(await reader.read())

    async with stream_to(serve, last=True) as stream:
        await stream.end(b"late", TRAILERS)
        assert await stream.finish() == 202
        await asyncio.sleep(0.05)
    assert received == [b"5\r\nfirst\r\n0\r\n\r\n", b""]


async def test_broken_connection_has_no_status_and_refuses_writes() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"first\r\n")

    async with stream_to(serve) as stream:
        with pytest.raises(ResponseRefusedError):
            await keep_writing(stream)
        assert await stream.finish() is None


def test_chunks_are_framed_and_empty_payloads_give_none() -> None:
    assert http1.chunk(b"a" * 17) == b"11\r\n" + b"a" * 17 + b"\r\n"
    assert http1.chunk(b"a", last=True) == b"1\r\na\r\n0\r\n\r\n"
    assert http1.chunk(b"") == b""
    assert http1.chunk(b"", last=True) == http1.LAST_CHUNK
    assert http1.last_chunk(TRAILERS) == b"0\r\nX-One: 1\r\n\r\n"


async def test_chunked_response_is_read() -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: 1\r\n\r\n"
    )
    head = await http1.read_head(reader)
    assert (head.status, await http1.read_body(reader, head)) == (200, b"abcde")
