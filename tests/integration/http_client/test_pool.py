"""Requests to real servers on loopback: reuse of connections."""

import asyncio

import pytest

from support.http_pool import fetch, pool, raw
from support.provider_server import (
    PROMPT,
    Call,
    now,
    one_chunk,
    serving,
)
from tollgate.http_client.errors import (
    ConnectionClosedError,
)


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\netag: 1\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    ],
)
async def test_connection_is_reused(response: bytes) -> None:
    async with serving(raw(response)) as server, pool() as connections:
        assert [await fetch(connections, server.url) for _ in range(3)] == [b"ok"] * 3
        assert (len(server.calls), server.connections) == (3, 1)


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok, and more",
    ],
)
async def test_connection_is_not_reused(response: bytes) -> None:
    async with serving(raw(response)) as server, pool() as connections:
        assert [await fetch(connections, server.url) for _ in range(3)] == [b"ok"] * 3
        assert server.connections == 3


async def test_body_until_the_server_closes_is_read() -> None:
    async with serving(raw(b"HTTP/1.1 200 OK\r\n\r\n" + bytes(100_000), close=True)) as server, pool() as connections:
        assert len(await fetch(connections, server.url)) == 100_000


async def test_large_bodies_are_sent_and_received() -> None:
    body = bytes(range(256)) * 16_000
    async with serving(lambda call: call.respond(call.body)) as server, pool() as connections:
        assert await fetch(connections, server.url, body) == body
        assert await fetch(connections, server.url, body) == body
        assert server.connections == 1


async def test_slow_reader_gets_everything() -> None:
    body = bytes(8 * 2**20)
    async with serving(lambda call: call.respond(body)) as server, pool() as connections:
        response = await connections.request("POST", server.url, {}, b"", first_byte_by=now() + PROMPT)
        received = 0
        while data := await response.receive(now() + PROMPT):
            assert len(data) < 2**20, "the connection must not be read far ahead"
            received += len(data)
            await asyncio.sleep(0.001)
        response.close()
        assert received == len(body)


async def test_concurrent_requests_have_connections_of_their_own() -> None:
    all_sent = asyncio.Barrier(20)

    async def serve(call: Call) -> None:
        await all_sent.wait()
        await call.respond(call.body)

    async with serving(serve) as server, pool(max_idle=5) as connections:
        bodies = [b"%d" % number for number in range(20)]
        assert await asyncio.gather(*(fetch(connections, server.url, body) for body in bodies)) == bodies
        await asyncio.gather(*(fetch(connections, server.url, body) for body in bodies))
        assert server.connections == 20 + 15  # five were kept


async def test_expired_connection_is_not_reused() -> None:
    async with serving(lambda call: call.respond(b"ok")) as server, pool(idle_seconds=0) as connections:
        await fetch(connections, server.url)
        await fetch(connections, server.url)
        assert server.connections == 2


async def test_ipv6_address_is_reached() -> None:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(head) + head)
        await writer.drain()
        writer.close()

    try:
        server = await asyncio.start_server(accept, "::1", 0)
    except OSError:
        pytest.skip("this machine has no IPv6")
    port = server.sockets[0].getsockname()[1]
    async with server, pool() as connections:
        assert b"host: [::1]:%d\r\n" % port in await fetch(connections, f"http://[::1]:{port}/")


async def test_closed_pool_ends_open_requests_and_keeps_nothing() -> None:
    async with serving(one_chunk) as server, pool() as connections:
        response = await connections.request("POST", server.url, {}, b"", first_byte_by=now() + PROMPT)
        assert await response.receive(now() + PROMPT) == b"a"
        connections.close()
        with pytest.raises(ConnectionClosedError):
            await response.receive(now() + PROMPT)
        response.close()
        async with asyncio.timeout(PROMPT):
            await server.disconnected.wait()
