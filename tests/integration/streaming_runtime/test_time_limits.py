"""Cancellation of the app before the function times out, and its work after the last byte."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from devtools.local_function_url import LocalFunctionUrl
from devtools.local_function_url.invocations import Invocation

Function = Callable[..., LocalFunctionUrl]
MakeEvent = Callable[..., dict[str, Any]]
Records = Callable[[LocalFunctionUrl], Sequence[dict[str, Any]]]
Until = Callable[[Callable[[], object]], Awaitable[None]]

SLOW = """
async def app(scope, receive, send):
    try:
        await sse(send)
        if scope["path"] == "/begun":
            await more(send, b"data: 1\\n\\n")
        await asyncio.sleep(60)
    finally:
        await asyncio.sleep(0.05)
        print("cleaned up", flush=True)
"""


async def invoke_to_the_end(local: LocalFunctionUrl, event: dict[str, Any], until: Until) -> Invocation:
    """Invoke, and wait until the function is free for its next invocation."""
    invocation = await local.invoke(event)
    await until(invocation.released.is_set)
    return invocation


async def test_stream_ends_with_an_error_event_before_the_timeout(function: Function, url_event: MakeEvent) -> None:
    async with function(SLOW, timeout=2) as local:
        invocation = await local.invoke(url_event(path="/begun"))
    assert invocation.outcome == "streamed"
    events = invocation.body.decode().split("\n\n")
    assert json.loads(events[1].removeprefix("data: "))["errorType"] == "Runtime.Timeout"
    assert invocation.trailers["lambda-runtime-function-error-type"] == "Runtime.Timeout"


async def test_response_that_has_not_begun_is_a_504_before_the_timeout(
    function: Function, url_event: MakeEvent
) -> None:
    async with function(SLOW, timeout=2) as local:
        invocation = await local.invoke(url_event())
    assert invocation.prelude is not None
    assert invocation.prelude["statusCode"] == 504
    assert json.loads(invocation.body)["errorType"] == "Runtime.Timeout"


async def test_buffered_response_is_a_504_before_the_timeout(function: Function, rest_event: MakeEvent) -> None:
    async with function(SLOW, timeout=2) as local:
        invocation = await local.invoke(rest_event(path="/begun"))
    assert invocation.response["statusCode"] == 504


async def test_cancelled_app_can_clean_up(function: Function, url_event: MakeEvent, until: Until) -> None:
    async with function(SLOW, timeout=3) as local:
        await invoke_to_the_end(local, url_event(path="/begun"), until)
        await until(lambda: "cleaned up" in local.log_lines)
        assert not any("ended with status" in line for line in local.log_lines)


async def test_environment_survives_an_app_that_ignores_cancellation(
    function: Function, url_event: MakeEvent, until: Until
) -> None:
    source = """
async def app(scope, receive, send):
    if scope["path"] == "/healthy":
        return await respond_json(send, "healthy")
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass
"""
    async with function(source, timeout=3) as local:
        await invoke_to_the_end(local, url_event(), until)
        after = await local.invoke(url_event(path="/healthy"))
        assert after.body == b'"healthy"'
        assert not any("ended with status" in line for line in local.log_lines)


async def test_writes_after_the_cancellation_are_refused(
    function: Function, url_event: MakeEvent, until: Until
) -> None:
    source = """
async def app(scope, receive, send):
    await sse(send)
    await more(send, b"data: 1\\n\\n")
    try:
        await asyncio.sleep(60)
    finally:
        try:
            await last(send, b"data: late\\n\\n")
        except OSError:
            print("refused", flush=True)
"""
    async with function(source, timeout=3) as local:
        invocation = await invoke_to_the_end(local, url_event(), until)
        await until(lambda: "refused" in local.log_lines)
    assert b"late" not in invocation.body


async def test_response_is_complete_while_the_app_still_runs(
    function: Function, url_event: MakeEvent, rest_event: MakeEvent, open_gate: Callable[[str], None], until: Until
) -> None:
    source = """
async def app(scope, receive, send):
    await start(send)
    await last(send, b"all")
    await gate(scope["path"][1:])
"""
    async with function(source) as local:
        for name, event in (("one", url_event(path="/one")), ("two", rest_event(path="/two"))):
            invocation = await local.invoke(event)
            await asyncio.sleep(0.1)
            assert invocation.outcome in ("streamed", "buffered")
            assert not invocation.released.is_set()
            open_gate(name)
            await until(invocation.released.is_set)


async def test_work_after_the_response_is_limited(
    function: Function, url_event: MakeEvent, until: Until, records: Records
) -> None:
    source = """
async def app(scope, receive, send):
    await start(send)
    await last(send, b"all")
    try:
        await asyncio.sleep(60)
    finally:
        print("cancelled", flush=True)
"""
    async with function(source, env={"STREAMING_RUNTIME_SETTLE_SECONDS": "0.2"}) as local:
        await invoke_to_the_end(local, url_event(), until)
        await until(lambda: "cancelled" in local.log_lines)
        await until(lambda: any("still running" in record["message"] for record in records(local)))


async def test_failure_after_the_response_is_logged(
    function: Function, url_event: MakeEvent, until: Until, records: Records
) -> None:
    source = """
async def app(scope, receive, send):
    await start(send)
    await last(send, b"all")
    raise LookupError("too late")
"""
    async with function(source) as local:
        invocation = await invoke_to_the_end(local, url_event(), until)
        await until(lambda: [r["errorMessage"] for r in records(local) if "errorType" in r] == ["too late"])
    assert (invocation.body, invocation.trailers) == (b"all", {})
