"""Connections of the local server: what is sent slowly, or not at all, ends; what is sent in time is answered."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Mapping

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from tollgate.handler.cli.connections import bounded_protocol, listen

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the whole body and says how long it is."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message["body"]), message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
    await send({"type": "http.response.body", "body": str(size).encode()})


@contextlib.asynccontextmanager
async def served(limits: Mapping[str, float]) -> AsyncGenerator[int]:
    """The port of a server with these limits."""
    listener = listen("127.0.0.1", 0)
    protocol = type("Limited", (bounded_protocol(),), dict(limits))
    server = uvicorn.Server(uvicorn.Config(app, http=protocol, lifespan="off", log_level="error"))
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await running


async def ended(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the server closes."""
    with contextlib.suppress(ConnectionError):
        return await asyncio.wait_for(reader.read(), 30)
    return b""


@pytest.mark.parametrize("said", [b"", b"GET / HTT", b"GET / HTTP/1.1\r\nx-a: b\r\n"])
async def test_a_head_that_does_not_come_ends_its_connection(said: bytes) -> None:
    async with served({"head_seconds": 0.2}) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(said)
        assert await ended(reader) == b""
        writer.close()


async def test_a_body_that_does_not_come_ends_its_connection() -> None:
    async with served({"message_seconds": 0.2}) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(POST + b"ab")
        assert await ended(reader) == b""
        writer.close()


async def test_a_head_that_drips_ends_all_the_same() -> None:
    async with served({"head_seconds": 0.3}) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        over = asyncio.create_task(ended(reader))
        with contextlib.suppress(ConnectionError):
            while not over.done():
                writer.write(b"x")
                await asyncio.sleep(0.01)
        assert await over == b""
        writer.close()


async def test_what_comes_in_time_is_answered_request_after_request() -> None:
    async with served({}) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request, answer in ((GET, b"0"), (POST + b"abcd", b"4"), (GET, b"0")):
            writer.write(request)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            assert await reader.readexactly(1) == answer
        writer.close()


async def test_of_too_many_that_are_waited_for_the_first_is_closed() -> None:
    async with served({"max_waiting": 2}) as port:
        connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        assert await ended(connections[0][0]) == b""
        for reader, writer in connections[1:]:
            writer.write(GET)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        for _, writer in connections:
            writer.close()


async def test_small_writes_go_out_at_once() -> None:
    """Without TCP_NODELAY the second of two small writes waits for the first to be acknowledged: 40 ms."""
    seen: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    listener = listen("127.0.0.1", 0)
    server = await asyncio.get_running_loop().create_server(lambda: _Looks(seen), sock=listener)
    _, writer = await asyncio.open_connection("127.0.0.1", listener.getsockname()[1])
    assert await seen == 1
    writer.close()
    server.close()


class _Looks(asyncio.Protocol):
    def __init__(self, seen: "asyncio.Future[int]") -> None:
        self._seen = seen

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        accepted: socket.socket = transport.get_extra_info("socket")
        self._seen.set_result(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        transport.close()
