"""Calls of a store run to their end, whatever happens to their caller."""

import asyncio

import pytest

from tollgate.stores.calls import uninterrupted


async def test_cancelled_caller_gets_the_result_and_then_its_cancellation() -> None:
    call = asyncio.get_running_loop().create_future()
    results: list[int] = []

    async def caller() -> None:
        results.append(await uninterrupted(call))
        await asyncio.Event().wait()

    task = asyncio.ensure_future(caller())
    for _ in range(3):  # it stays uninterrupted however often it is cancelled
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    call.set_result(1)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert results == [1]


async def test_cancelled_caller_gets_the_error_and_then_its_cancellation() -> None:
    call = asyncio.get_running_loop().create_future()
    errors: list[Exception] = []

    async def caller() -> None:
        try:
            await uninterrupted(call)
        except ValueError as error:
            errors.append(error)
        await asyncio.Event().wait()

    task = asyncio.ensure_future(caller())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    call.set_exception(ValueError())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(errors) == 1


async def test_timeout_of_a_caller_is_a_timeout() -> None:
    call = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.05, call.set_result, 1)

    async def caller() -> None:
        async with asyncio.timeout(0.001):
            assert await uninterrupted(call) == 1
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await caller()


async def test_cancelled_call_cancels_its_caller() -> None:
    call = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(call.cancel)
    with pytest.raises(asyncio.CancelledError):
        await uninterrupted(call)
