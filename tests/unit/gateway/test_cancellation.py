"""Calls that are cancelled and streams that are abandoned: the hold is released and usage is billed."""

import asyncio

import pytest

from support.fakes import SSE, FakeResponse, FakeStore
from support.gateway_harness import BODY, JSON, OTHER_KEY, GatewayHarness
from support.json_lines import lines
from tollgate.gateway.errors import AuthenticationError


@pytest.mark.parametrize("stream", [False, True])
async def test_cancelled_call_releases_the_hold(stream: bool) -> None:
    harness = GatewayHarness(FakeResponse([asyncio.Event()], headers=SSE if stream else JSON))
    task = asyncio.create_task(harness.send(stream=stream))
    while not harness.upstream.sent:  # noqa: ASYNC110
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (harness.record().status, harness.record().error_code) == (499, "client_closed_request")


async def test_call_cancelled_during_admission_releases_the_hold() -> None:
    store = FakeStore(admission_gate=asyncio.Event())
    harness = GatewayHarness(FakeResponse([asyncio.Event()], headers=JSON), store)
    task = asyncio.create_task(harness.send())
    await store.admitting.wait()
    task.cancel()
    await asyncio.sleep(0)
    assert store.admission_gate is not None
    store.admission_gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (harness.record().status, harness.record().error_code) == (499, "client_closed_request")


async def test_call_cancelled_while_it_is_refused_leaves_no_hold_and_no_record() -> None:
    store = FakeStore(admission_gate=asyncio.Event())
    harness = GatewayHarness(FakeResponse([BODY], headers=JSON), store)
    task = asyncio.create_task(harness.send(OTHER_KEY))
    await store.admitting.wait()
    task.cancel()
    await asyncio.sleep(0)
    assert store.admission_gate is not None
    store.admission_gate.set()
    with pytest.raises((asyncio.CancelledError, AuthenticationError)):
        await task
    assert (store.holds, store.settlements) == ({}, [])


async def test_abandoned_stream_is_closed_and_billed() -> None:
    harness = GatewayHarness(FakeResponse([lines("Four", {"usage": [3, 1]}), asyncio.Event()]))
    result = await harness.stream()
    await anext(aiter(result))
    await result.settle()
    await result.settle()
    record = harness.record()
    assert (record.status, record.error_code) == (200, "client_closed_request")
    assert record.cost.usd == 14


async def test_stream_cancelled_while_the_provider_is_silent_is_closed() -> None:
    harness = GatewayHarness(FakeResponse([lines("Four"), asyncio.Event()]))
    result = await harness.stream()

    async def read() -> None:
        async for _ in result:
            pass

    task = asyncio.create_task(read())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await result.settle()
    assert harness.record().error_code == "client_closed_request"


async def test_unread_stream_is_settled() -> None:
    harness = GatewayHarness(FakeResponse([lines("Four"), asyncio.Event()]))
    await (await harness.stream()).settle()
    assert harness.record().error_code == "client_closed_request"
