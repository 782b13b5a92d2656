"""Connections of the Runtime API's client: they stay open between calls, and a dead one is replaced."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from streaming_runtime import http1
from streaming_runtime.runtime_api import ACCEPTED, RuntimeApi

FIELDS = b"lambda-runtime-aws-request-id: 1\r\nlambda-runtime-deadline-ms: 1\r\ncontent-length: 2\r\n"
NEXT = b"HTTP/1.1 200 OK\r\n" + FIELDS + b"\r\n{}"
STATUS = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"


@asynccontextmanager
async def runtime_api(*, closes: bool = False) -> AsyncGenerator[tuple[RuntimeApi, list[int]]]:
    """A client, and the number of requests of each connection. With `closes` the server ends it after each response."""
    requests: list[int] = []
    serving: list[asyncio.Future[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        place, ended = len(requests), asyncio.get_running_loop().create_future()
        requests.append(0)
        serving.append(ended)
        while (line := await reader.readline()) and not (closes and requests[place]):
            requests[place] += 1
            await reader.readuntil(b"\r\n\r\n")
            if line.startswith(b"POST"):
                await reader.readuntil(http1.LAST_CHUNK)
            writer.write(STATUS if line.startswith(b"POST") else NEXT)
            if closes:
                break
        writer.close()
        ended.set_result(None)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        api = RuntimeApi(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        yield api, requests
        await api.aclose()
        await asyncio.gather(*serving)


async def test_calls_and_streams_share_one_connection() -> None:
    async with runtime_api() as (api, requests):
        for _ in range(3):
            invocation = await api.next()
            stream = api.begin_response(await api.connect_response(), invocation, b"all", last=True)
            assert await stream.finish() == ACCEPTED
        assert requests == [6]


async def test_closed_connection_is_replaced() -> None:
    async with runtime_api(closes=True) as (api, requests):
        for _ in range(3):
            assert (await api.next()).take_event() == {}
        assert requests == [1, 1, 1]


async def test_failure_of_a_new_connection_is_raised() -> None:
    async with runtime_api() as (api, _):
        pass
    with pytest.raises(OSError, match="Connect"):
        await api.next()
