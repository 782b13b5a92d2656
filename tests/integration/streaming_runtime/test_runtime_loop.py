"""The main loop: what the app receives, what happens if Lambda rejects a response, and concurrency."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from devtools.local_function_url import LocalFunctionUrl

Function = Callable[..., LocalFunctionUrl]
MakeEvent = Callable[..., dict[str, Any]]
Records = Callable[[LocalFunctionUrl], Sequence[dict[str, Any]]]
Until = Callable[[Callable[[], object]], Awaitable[None]]


async def test_receive_returns_the_body_once_and_then_blocks(function: Function, url_event: MakeEvent) -> None:
    source = """
async def app(scope, receive, send):
    message = await receive()
    try:
        await asyncio.wait_for(receive(), 0.2)
        second = "a message"
    except TimeoutError:
        second = "nothing"
    await respond_json(send, [message["body"].decode(), message["more_body"], second])
"""
    async with function(source) as local:
        invocation = await local.invoke(url_event("POST", body="question"))
    assert json.loads(invocation.body) == ["question", False, "nothing"]


async def test_invocation_id_is_sent_back(function: Function, url_event: MakeEvent, rest_event: MakeEvent) -> None:
    async with function("async def app(scope, receive, send):\n    await respond_json(send, 1)\n") as local:
        for event in (url_event(), rest_event(), {"not": "http"}):
            invocation = await local.invoke(event)
            assert invocation.echoed_invocation_id == invocation.invocation_id


async def test_context_has_the_documented_attributes(function: Function, url_event: MakeEvent) -> None:
    source = """
async def app(scope, receive, send):
    context = scope["aws.context"]
    names = ["aws_request_id", "function_name", "function_version", "memory_limit_in_mb", "invoked_function_arn",
             "log_group_name", "log_stream_name", "tenant_id", "trace_id"]
    seen = {name: getattr(context, name) for name in names}
    seen["remaining"] = context.get_remaining_time_in_millis()
    seen["event"] = scope["aws.event"]["rawPath"]
    seen["asgi"] = scope["asgi"]
    await respond_json(send, seen)
"""
    async with function(source, memory_mb=256, timeout=30) as local:
        invocation = await local.invoke(url_event(path="/here"), tenant_id="acme")
    seen = json.loads(invocation.body)
    assert 20_000 < seen.pop("remaining") <= 30_000
    assert seen == {
        "aws_request_id": invocation.request_id,
        "function_name": "local",
        "function_version": "$LATEST",
        "memory_limit_in_mb": "256",
        "invoked_function_arn": "arn:aws:lambda:us-east-1:123456789012:function:local",
        "log_group_name": "/aws/lambda/local",
        "log_stream_name": "local",
        "tenant_id": "acme",
        "trace_id": invocation.trace_id,
        "event": "/here",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
    }


ENVIRONMENT = """
async def app(scope, receive, send):
    await respond_json(send, [value for value in os.environ.values() if value == scope["aws.context"].trace_id])
"""


async def test_trace_id_is_not_written_to_the_environment(function: Function, url_event: MakeEvent) -> None:
    """The C library never frees a value of a variable, so a process would grow with each invocation."""
    async with function(ENVIRONMENT) as local:
        invocation = await local.invoke(url_event())
    assert json.loads(invocation.body) == []


ENDLESS = """
async def app(scope, receive, send):
    if scope["path"] == "/healthy":
        return await respond_json(send, os.getpid())
    await start(send)
    try:
        while True:
            await more(send, b"more")
            await asyncio.sleep(0.01)
    except OSError as error:
        print("raised", type(error).__name__, flush=True)
        raise
"""


async def test_rejected_response_stops_the_app_but_not_the_environment(
    function: Function, url_event: MakeEvent, until: Until, records: Records
) -> None:
    for status in (410, 413, 500):
        async with function(ENDLESS) as local:
            before = await local.invoke(url_event(path="/healthy"))
            local.faults.response_statuses.append(status)
            rejected = await local.invoke(url_event())
            await until(rejected.released.is_set)
            after = await local.invoke(url_event(path="/healthy"))
            assert "raised ResponseRefusedError" in local.log_lines
            assert any(str(status) in record["message"] for record in records(local))
        assert before.body == after.body


async def test_rejected_buffered_response_is_logged(
    function: Function, rest_event: MakeEvent, until: Until, records: Records
) -> None:
    async with function("async def app(scope, receive, send):\n    await respond_json(send, 1)\n") as local:
        local.faults.response_statuses.append(413)
        rejected = await local.invoke(rest_event())
        await until(rejected.released.is_set)
        assert any("413" in record["message"] for record in records(local))
        assert (await local.invoke(rest_event())).response["body"] == "1"


async def test_temporary_failures_of_next_are_survived(function: Function, url_event: MakeEvent) -> None:
    async with function("async def app(scope, receive, send):\n    await respond_json(send, 1)\n") as local:
        local.faults.next_statuses.extend([500, 403, 500])
        assert (await local.invoke(url_event())).body == b"1"
        assert not any("ended with status" in line for line in local.log_lines)


async def test_five_failures_of_next_in_a_row_end_the_process(function: Function, until: Until) -> None:
    async with function("async def app(scope, receive, send):\n    pass\n") as local:
        local.faults.next_statuses.extend([500] * 5)
        await until(lambda: "the runtime process ended with status 1" in local.log_lines)


async def test_one_event_loop_serves_every_invocation(function: Function, url_event: MakeEvent) -> None:
    source = """
loops = set()
async def app(scope, receive, send):
    loops.add(asyncio.get_running_loop())
    await respond_json(send, len(loops))
"""
    async with function(source) as local:
        assert [(await local.invoke(url_event())).body for _ in range(3)] == [b"1"] * 3


async def test_invocations_run_concurrently_in_one_process(
    function: Function, url_event: MakeEvent, records: Records
) -> None:
    source = """
present = []
async def app(scope, receive, send):
    present.append(scope["path"])
    while len(present) < 3:
        await asyncio.sleep(0.01)
    logging.getLogger("app").warning(scope["path"])
    await respond_json(send, os.getpid())
"""
    async with function(source, max_concurrency=3) as local:
        responses = await asyncio.gather(*(local.invoke(url_event(path=f"/{number}")) for number in range(3)))
        logged = {record["message"]: record["requestId"] for record in records(local)}
    assert len({response.body for response in responses}) == 1
    assert logged == {response.event["rawPath"]: response.request_id for response in responses}


async def test_event_that_is_not_http_is_an_error(function: Function, url_event: MakeEvent) -> None:
    async with function("async def app(scope, receive, send):\n    await respond_json(send, 1)\n") as local:
        events: list[object] = [{"Records": []}, {}, [1], "text", None, {"requestContext": {"http": 1}, "rawPath": "/"}]
        for event in events:
            invocation = await local.invoke(event)
            assert invocation.error is not None
            assert invocation.error["errorType"] == invocation.error["header"] == "Runtime.UnsupportedEvent"
        assert (await local.invoke(url_event())).body == b"1"


async def test_log_lines_of_the_app_are_json_with_the_request_id(
    function: Function, url_event: MakeEvent, records: Records
) -> None:
    source = """
async def app(scope, receive, send):
    logging.getLogger("app.module").info("received %s", "this")
    logging.getLogger("app.module").debug("not this")
    await respond_json(send, 1)
"""
    async with function(source, env={"AWS_LAMBDA_LOG_LEVEL": "INFO"}) as local:
        invocation = await local.invoke(url_event())
        (record,) = [record for record in records(local) if record["logger"] == "app.module"]
    assert (record["level"], record["message"], record["requestId"]) == ("INFO", "received this", invocation.request_id)
