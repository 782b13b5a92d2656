"""Connections of the local server: slow and silent ones are closed, and requests in time get a response."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Mapping

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from support.waiting import LIMIT_SECONDS
from tollgate.handler.cli.connections import bounded_protocol, listen

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Read the whole body and respond with its length."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message["body"]), message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
    await send({"type": "http.response.body", "body": str(size).encode()})


@contextlib.asynccontextmanager
async def running_server(limits: Mapping[str, float]) -> AsyncGenerator[int]:
    """A server with these limits. Yields its port."""
    listener = listen("127.0.0.1", 0)
    protocol = type("Limited", (bounded_protocol(),), dict(limits))
    server = uvicorn.Server(uvicorn.Config(app, http=protocol, lifespan="off", log_level="error"))
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await running


async def read_to_end(reader: asyncio.StreamReader) -> bytes:
    """The bytes until the server closes the connection."""
    with contextlib.suppress(ConnectionError):
        return await asyncio.wait_for(reader.read(), LIMIT_SECONDS)
    return b""


@pytest.mark.parametrize("head", [b"", b"GET / HTT", b"GET / HTTP/1.1\r\nx-a: b\r\n"])
async def test_incomplete_head_closes_the_connection(head: bytes) -> None:
    async with running_server({"head_seconds": 0.2}) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head)
        assert await read_to_end(reader) == b""
        writer.close()


async def test_incomplete_body_closes_the_connection() -> None:
    async with running_server({"message_seconds": 0.2}) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(POST + b"ab")
        assert await read_to_end(reader) == b""
        writer.close()


async def test_slowly_sent_head_closes_the_connection() -> None:
    async with running_server({"head_seconds": 0.3}) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        closed = asyncio.create_task(read_to_end(reader))
        writer.write(b"GET / HTTP/1.1\r\nx-a: ")
        with contextlib.suppress(ConnectionError):
            while not closed.done():
                writer.write(b"x")
                await asyncio.sleep(0.01)
        assert await closed == b""
        writer.close()


@pytest.mark.parametrize(
    "head", [b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n", b"GET / HTTP/1.1\r\n" + b"x-a: b\r\n" * 700]
)
async def test_too_large_head_is_refused(head: bytes) -> None:
    async with running_server({}) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head)
        assert (await read_to_end(reader)).startswith(b"HTTP/1.1 400 ")
        writer.close()


async def test_endless_header_closes_the_connection() -> None:
    async with running_server({"head_seconds": LIMIT_SECONDS * 2}) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        closed = asyncio.create_task(read_to_end(reader))
        writer.write(b"GET / HTTP/1.1\r\nx-a: ")
        with contextlib.suppress(ConnectionError):
            while not closed.done():
                writer.write(b"x" * 65_536)
                await asyncio.sleep(0)
                await writer.drain()
        assert await closed == b""
        writer.close()


async def test_several_requests_are_served_on_one_connection() -> None:
    async with running_server({}) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request, body in ((GET, b"0"), (POST + b"abcd", b"4"), (GET, b"0")):
            writer.write(request)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            assert await reader.readexactly(1) == body
        writer.close()


async def test_oldest_of_too_many_waiting_connections_is_closed() -> None:
    async with running_server({"max_waiting": 2}) as port:
        connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        assert await read_to_end(connections[0][0]) == b""
        for reader, writer in connections[1:]:
            writer.write(GET)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        for _, writer in connections:
            writer.close()


async def test_small_writes_are_sent_immediately() -> None:
    """Without TCP_NODELAY the second of two small writes waits for the first to be acknowledged: 40 ms."""
    no_delay: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    listener = listen("127.0.0.1", 0)
    server = await asyncio.get_running_loop().create_server(lambda: _OptionReader(no_delay), sock=listener)
    _, writer = await asyncio.open_connection("127.0.0.1", listener.getsockname()[1])
    assert await no_delay == 1
    writer.close()
    server.close()


class _OptionReader(asyncio.Protocol):
    def __init__(self, no_delay: "asyncio.Future[int]") -> None:
        self._no_delay = no_delay

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        accepted: socket.socket = transport.get_extra_info("socket")
        self._no_delay.set_result(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        transport.close()
