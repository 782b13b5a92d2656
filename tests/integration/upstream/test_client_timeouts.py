"""Timeouts and deadlines of calls to real servers on loopback."""

import asyncio
import time

import pytest

from support.provider_server import (
    PROMPT,
    PROVIDER,
    Call,
    Serve,
    endless,
    fetch,
    no_response,
    now,
    one_chunk,
    only_head,
    request,
    serving,
    upstream_client,
)
from tollgate.gateway.errors import UpstreamTimeoutError
from tollgate.gateway.ports import TimeLimits
from tollgate.upstream.client import Timeouts


@pytest.mark.parametrize(
    ("serve", "timeouts"),
    [
        (no_response, Timeouts(first_byte=0.1)),
        (no_response, Timeouts(total=0.1)),
        (only_head, Timeouts(first_byte=0.1)),
        (one_chunk, Timeouts(idle=0.1)),
        (one_chunk, Timeouts(total=0.1)),
        (endless, Timeouts(total=0.3)),
        (endless, Timeouts(total=0.3, idle=0.2, first_byte=0.2)),
    ],
)
async def test_every_timeout_ends_a_call(serve: Serve, timeouts: Timeouts) -> None:
    async with serving(serve) as server, upstream_client(timeouts) as client:
        began = time.monotonic()
        with pytest.raises(UpstreamTimeoutError):
            await fetch(client, server.url)
        assert time.monotonic() - began < PROMPT
    assert len(server.calls) == 1


@pytest.mark.parametrize("serve", [no_response, only_head, one_chunk, endless])
async def test_deadline_ends_a_call_in_every_state(serve: Serve) -> None:
    async with serving(serve) as server, upstream_client() as client:
        began = time.monotonic()
        with pytest.raises(UpstreamTimeoutError):
            await fetch(client, server.url, deadline=now() + 0.1)
        assert time.monotonic() - began < PROMPT


async def test_expired_deadline_ends_a_call_at_once() -> None:
    async with serving(no_response) as server, upstream_client() as client:
        with pytest.raises(UpstreamTimeoutError):
            await client.send(request(server.url), PROVIDER, TimeLimits(now() - 1))


async def test_late_deadline_does_not_extend_the_total_timeout() -> None:
    async with serving(no_response) as server, upstream_client(Timeouts(total=0.1)) as client:
        began = time.monotonic()
        with pytest.raises(UpstreamTimeoutError):
            await client.send(request(server.url), PROVIDER, TimeLimits(now() + 1000))
        assert time.monotonic() - began < PROMPT


async def test_slow_stream_is_not_ended_by_the_idle_timeout() -> None:
    async def serve(call: Call) -> None:
        await call.head()
        for _ in range(20):
            await call.chunk(b"a")
            await asyncio.sleep(0.1)
        await call.write(b"0\r\n\r\n")

    async with serving(serve) as server, upstream_client(Timeouts(idle=1.8, first_byte=1.8)) as client:
        assert await fetch(client, server.url) == b"a" * 20


async def test_time_of_a_slow_reader_is_not_the_providers() -> None:
    async def serve(call: Call) -> None:
        await call.head()
        await call.chunk(b"a")
        await reading.wait()
        await call.chunk(b"b")
        await call.write(b"0\r\n\r\n")

    reading = asyncio.Event()
    async with serving(serve) as server, upstream_client(Timeouts(idle=1.0)) as client:
        response = await client.send(request(server.url), PROVIDER, TimeLimits())
        pieces = response.stream()
        assert await anext(pieces) == b"a"
        await asyncio.sleep(1.2)  # the reader's own time, longer than the timeout
        reading.set()
        assert await anext(pieces) == b"b"
        await response.aclose()


async def test_call_that_timed_out_closes_its_connection() -> None:
    async with serving(one_chunk) as server, upstream_client(Timeouts(idle=0.1)) as client:
        with pytest.raises(UpstreamTimeoutError):
            await fetch(client, server.url)
        async with asyncio.timeout(PROMPT):
            await server.disconnected.wait()


@pytest.mark.parametrize("serve", [one_chunk, endless])
@pytest.mark.parametrize("timeouts", [Timeouts(), Timeouts(total=0.3)])
async def test_end_within_ends_the_stream(serve: Serve, timeouts: Timeouts) -> None:
    async with serving(serve) as server, upstream_client(timeouts) as client:
        response = await client.send(request(server.url), PROVIDER, TimeLimits())
        began = time.monotonic()
        pieces = response.stream()
        assert await anext(pieces) == b"a"
        response.end_within(0.1 if timeouts == Timeouts() else PROMPT)
        assert {piece async for piece in pieces} <= {b"a"}
        assert time.monotonic() - began < PROMPT
        await response.aclose()
        async with asyncio.timeout(PROMPT):
            await server.disconnected.wait()


async def test_end_within_none_restores_the_timeouts() -> None:
    async with serving(one_chunk) as server, upstream_client(Timeouts(idle=0.2)) as client:
        response = await client.send(request(server.url), PROVIDER, TimeLimits())
        pieces = response.stream()
        assert await anext(pieces) == b"a"
        response.end_within(0.1)
        response.end_within(None)
        with pytest.raises(UpstreamTimeoutError):
            await anext(pieces)
        await response.aclose()
