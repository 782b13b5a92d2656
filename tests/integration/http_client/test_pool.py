"""Requests to real servers on loopback: reuse of connections, connections that die, timeouts."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncGenerator

import pytest

from support.provider_server import (
    PROMPT,
    Call,
    Serve,
    endless,
    hang_up,
    no_response,
    now,
    one_chunk,
    only_head,
    serving,
)
from tollgate.http_client.errors import (
    ConnectError,
    ConnectionClosedError,
    ConnectTimeoutError,
    InvalidUrlError,
    ProtocolError,
    ResponseTimeoutError,
    ResponseTooLargeError,
)
from tollgate.http_client.pool import ConnectionPool

MAX_BYTES = 16 * 2**20


@contextlib.asynccontextmanager
async def pool(
    connect_timeout: float = PROMPT, idle_seconds: float = 60, max_idle: int = 100
) -> AsyncGenerator[ConnectionPool]:
    opened = ConnectionPool(connect_timeout=connect_timeout, idle_seconds=idle_seconds, max_idle=max_idle)
    try:
        yield opened
    finally:
        opened.close()
        await asyncio.sleep(0)


async def fetch(connections: ConnectionPool, url: str, body: bytes = b"{}", seconds: float = PROMPT) -> bytes:
    response = await connections.request("POST", url, {}, body, first_byte_by=now() + seconds)
    try:
        return await response.read(now() + seconds, MAX_BYTES)
    finally:
        response.close()


def raw(data: bytes, close: bool = False, reset: bool = False) -> Serve:
    """A server that sends these bytes for every request, and then closes or resets the connection if it shall."""

    async def serve(call: Call) -> None:
        await call.write(data)
        if reset:
            call.writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
        if close or reset:
            call.writer.close()

    return serve


# --- reuse ------------------------------------------------------------------------------------------------------------


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


# --- connections that die ---------------------------------------------------------------------------------------------


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


# --- errors and timeouts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"garbage\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"SSH-2.0-x\r\n", b"HTTP/2 200\r\n\r\n"])
async def test_response_that_is_not_http_is_an_error(data: bytes) -> None:
    async with serving(raw(data)) as server, pool() as connections:
        with pytest.raises(ProtocolError):
            await fetch(connections, server.url)
        assert len(server.calls) == 1


async def test_unreachable_server_is_an_error() -> None:
    async with serving(hang_up) as server:
        pass
    async with pool() as connections:
        with pytest.raises(ConnectError):
            await fetch(connections, server.url)
        with pytest.raises(ConnectError):
            await fetch(connections, server.url.replace("http:", "https:"))
        for host in ("does-not-exist.invalid", "a..b", "a" * 64 + ".b"):
            with pytest.raises((ConnectError, ConnectTimeoutError)):
                await fetch(connections, f"http://{host}/")
        with pytest.raises(InvalidUrlError):
            await fetch(connections, "http://a b/")


async def test_server_that_does_not_accept_is_a_connect_timeout() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        with contextlib.ExitStack() as waiting:
            for _ in range(4):  # a full backlog: the kernel ignores further connections
                client = waiting.enter_context(socket.socket())
                client.setblocking(False)
                client.connect_ex(("127.0.0.1", port))
            async with pool(connect_timeout=0.1) as connections:
                with pytest.raises(ConnectTimeoutError):
                    await fetch(connections, f"http://127.0.0.1:{port}/")
                with pytest.raises(ResponseTimeoutError):
                    await fetch(connections, f"http://127.0.0.1:{port}/", seconds=0.05)


async def test_expired_deadline_sends_nothing() -> None:
    async with serving(no_response) as server, pool() as connections:
        with pytest.raises(ResponseTimeoutError):
            await fetch(connections, server.url, seconds=-1)
        assert server.connections == 0


@pytest.mark.parametrize("serve", [no_response, only_head, one_chunk, endless])
async def test_deadline_ends_a_request_and_its_connection(serve: Serve) -> None:
    async with serving(serve) as server, pool() as connections:
        async with asyncio.timeout(PROMPT):
            with pytest.raises(ResponseTimeoutError):
                await fetch(connections, server.url, seconds=0.1)
            await server.disconnected.wait()


@pytest.mark.parametrize("serve", [no_response, only_head, one_chunk])
async def test_cancelled_caller_closes_the_connection(serve: Serve) -> None:
    async with serving(serve) as server, pool() as connections:
        task = asyncio.create_task(fetch(connections, server.url))
        async with asyncio.timeout(PROMPT):
            while not server.calls:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await server.disconnected.wait()


async def test_body_over_the_limit_is_an_error() -> None:
    async with serving(lambda call: call.respond(bytes(MAX_BYTES + 1))) as server, pool() as connections:
        with pytest.raises(ResponseTooLargeError):
            await fetch(connections, server.url)
