"""Connections that die, before and in a response."""

import asyncio

import pytest

from support.http_pool import fetch, pool, raw
from support.provider_server import (
    PROMPT,
    Call,
    hang_up,
    no_response,
    serving,
)
from tollgate.http_client.errors import (
    ConnectionClosedError,
    ResponseTimeoutError,
)


async def test_dead_pooled_connection_is_replaced_once() -> None:
    async def serve(call: Call) -> None:
        await (call.respond(b"ok") if call.connection != 1 or call.number == 1 else hang_up(call))

    async with serving(serve) as server, pool() as connections:
        assert [await fetch(connections, server.url) for _ in range(3)] == [b"ok"] * 3
        assert [call.connection for call in server.calls] == [1, 1, 2, 2]


async def test_new_connection_that_dies_is_not_replaced() -> None:
    async with serving(hang_up) as server, pool() as connections:
        with pytest.raises(ConnectionClosedError):
            await fetch(connections, server.url)
        assert len(server.calls) == 1


async def test_pooled_connection_that_dies_in_the_response_is_not_replaced() -> None:
    async def serve(call: Call) -> None:
        if call.number == 1:
            await call.respond(b"ok")
        else:
            await call.write(b"HTTP/1.1 2")
            call.writer.close()

    async with serving(serve) as server, pool() as connections:
        await fetch(connections, server.url)
        with pytest.raises(ConnectionClosedError):
            await fetch(connections, server.url)
        assert len(server.calls) == 2


async def test_connection_that_the_server_closes_while_idle_is_not_used() -> None:
    async with (
        serving(raw(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", close=True)) as server,
        pool() as connections,
    ):
        assert [await fetch(connections, server.url) for _ in range(3)] == [b"ok"] * 3
        assert server.connections == 3


async def test_response_that_nobody_requested_closes_its_connection() -> None:
    fetched = asyncio.Event()

    async def serve(call: Call) -> None:
        await call.respond(b"ok")
        if call.number == 1:
            await fetched.wait()
            await call.respond(b"of somebody else")

    async with serving(serve) as server, pool() as connections:
        await fetch(connections, server.url)
        fetched.set()
        async with asyncio.timeout(PROMPT):
            await server.disconnected.wait()
        assert await fetch(connections, server.url) == b"ok"
        assert server.connections == 2


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(
    "start",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n",
    ],
)
async def test_cut_off_body_is_an_error(start: bytes, reset: bool) -> None:
    async with serving(raw(start, close=True, reset=reset)) as server, pool() as connections:
        with pytest.raises(ConnectionClosedError):
            await fetch(connections, server.url)


async def test_response_to_a_body_that_is_not_read_arrives() -> None:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 No\r\ncontent-length: 5\r\n\r\nlarge")
        await writer.drain()
        await disconnected.wait()
        writer.close()

    disconnected = asyncio.Event()
    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, pool() as connections:
        assert await fetch(connections, url, bytes(32 * 2**20)) == b"large"
        disconnected.set()


async def test_request_that_died_late_is_not_sent_again() -> None:
    """Its provider may have worked on it, and bills it."""

    async def serve(call: Call) -> None:
        await (call.respond(b"ok") if call.number == 1 else hang_up(call))

    async with serving(serve) as server, pool(resend_seconds=0) as connections:
        await fetch(connections, server.url)
        with pytest.raises(ConnectionClosedError):
            await fetch(connections, server.url)
        assert len(server.calls) == 2


async def test_closed_pool_does_not_send_an_open_request_again() -> None:
    async def serve(call: Call) -> None:
        if call.number == 1:
            await call.respond(b"ok")
        else:
            connections.close()

    async with serving(serve) as server, pool() as connections:
        await fetch(connections, server.url)
        with pytest.raises(ConnectionClosedError):
            await fetch(connections, server.url)
        assert len(server.calls) == 2


async def test_bytes_that_came_while_the_process_did_not_run_are_no_response() -> None:
    async def serve(call: Call) -> None:
        await call.respond(b"ok")
        if call.number == 1:
            await call.write(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")

    async with serving(serve) as server, pool() as connections:
        assert await fetch(connections, server.url) == b"ok"
        assert await fetch(connections, server.url) == b"ok"


async def test_timeout_of_a_pooled_connection_drops_the_others_of_its_server() -> None:
    both_came = asyncio.Event()

    async def serve(call: Call) -> None:
        if call.number == 2:
            both_came.set()
        await both_came.wait()
        await (call.respond(b"ok") if call.number <= 2 or call.connection > 2 else no_response(call))

    async with serving(serve) as server, pool() as connections:
        await asyncio.gather(fetch(connections, server.url), fetch(connections, server.url))
        with pytest.raises(ResponseTimeoutError):
            await fetch(connections, server.url, seconds=0.2)
        assert await fetch(connections, server.url) == b"ok"
        assert server.calls[-1].connection == 3
