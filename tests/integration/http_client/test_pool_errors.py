"""Errors and timeouts of requests to real servers on loopback."""

import asyncio
import contextlib
import socket

import pytest

from support.http_pool import MAX_BYTES, fetch, pool, raw
from support.provider_server import (
    PROMPT,
    Serve,
    endless,
    hang_up,
    no_response,
    one_chunk,
    only_head,
    serving,
)
from tollgate.http_client.errors import (
    ConnectError,
    ConnectTimeoutError,
    InvalidUrlError,
    ProtocolError,
    ResponseTimeoutError,
    ResponseTooLargeError,
)


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
                await fetch(connections, server.url, seconds=1)
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
