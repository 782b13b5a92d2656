"""What the client, Lambda and the log receive if the app does not complete its response."""

import binascii
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from devtools.local_function_url import Invocation, LocalFunctionUrl
from support.artifact import local_settings

Function = Callable[..., LocalFunctionUrl]
MakeEvent = Callable[..., dict[str, Any]]
Records = Callable[[LocalFunctionUrl], Sequence[dict[str, Any]]]


def assert_error_response(invocation: Invocation, status: int, error_type: str) -> None:
    assert invocation.prelude is not None
    assert invocation.prelude["statusCode"] == status
    assert invocation.prelude["headers"]["content-type"] == "application/json"
    error = json.loads(invocation.body)
    assert error == {"errorMessage": error["errorMessage"], "errorType": error_type}
    assert invocation.trailers == {}


async def test_exception_before_the_first_byte_is_a_500(function: Function, url_event: MakeEvent) -> None:
    source = """
async def app(scope, receive, send):
    await sse(send)
    raise LookupError("secret detail")
"""
    async with function(source) as local:
        invocation = await local.invoke(url_event())
    assert_error_response(invocation, 500, "Runtime.AppError")
    assert b"secret" not in invocation.body
    assert b"Lookup" not in invocation.body


async def test_exception_before_any_await_is_a_500(function: Function, url_event: MakeEvent) -> None:
    async with function("def app(scope, receive, send):\n    raise LookupError\n") as local:
        assert_error_response(await local.invoke(url_event()), 500, "Runtime.AppError")


async def test_stack_trace_is_one_json_line_in_the_log(
    function: Function, url_event: MakeEvent, records: Records
) -> None:
    async with function("async def app(scope, receive, send):\n    raise LookupError('detail')\n") as local:
        invocation = await local.invoke(url_event())
        lines = [record for record in records(local) if record.get("errorType")]
    assert len(lines) == 1
    assert lines[0]["level"] == "ERROR"
    assert lines[0]["requestId"] == invocation.request_id
    assert (lines[0]["errorType"], lines[0]["errorMessage"]) == ("LookupError", "detail")
    assert any("app_under_test.py" in line for line in lines[0]["stackTrace"])


async def test_exception_in_an_event_stream_is_an_event_and_trailers(function: Function, url_event: MakeEvent) -> None:
    source = """
async def app(scope, receive, send):
    await sse(send)
    await more(send, b"data: 1\\n\\n")
    raise LookupError("secret detail")
"""
    async with function(source) as local:
        invocation = await local.invoke(url_event())
    assert invocation.outcome == "streamed"
    events = invocation.body.decode().split("\n\n")
    assert (events[0], events[2:]) == ("data: 1", [""])
    error = json.loads(events[1].removeprefix("data: "))
    assert error["errorType"] == "Runtime.AppError"
    assert invocation.trailers["lambda-runtime-function-error-type"] == "Runtime.AppError"
    posted = json.loads(binascii.a2b_base64(invocation.trailers["lambda-runtime-function-error-body"]))
    assert posted == error
    assert b"secret" not in invocation.body


async def test_error_event_is_separated_from_an_incomplete_event(function: Function, url_event: MakeEvent) -> None:
    source = """
async def app(scope, receive, send):
    await sse(send)
    await more(send, b"data: 1\\n\\n")
    await more(send, b"data: hal")
    raise LookupError
"""
    async with function(source) as local:
        invocation = await local.invoke(url_event())
    assert b'data: hal\n\ndata: {"errorMessage":' in invocation.body


async def test_event_end_in_two_writes_is_detected(function: Function, url_event: MakeEvent) -> None:
    source = """
async def app(scope, receive, send):
    await sse(send)
    await more(send, b"data: 1\\n")
    await more(send, b"\\n")
    raise LookupError
"""
    async with function(source) as local:
        invocation = await local.invoke(url_event())
    assert invocation.body.startswith(b'data: 1\n\ndata: {"errorMessage":')


async def test_exception_in_a_stream_without_events_truncates_the_body(
    function: Function, url_event: MakeEvent
) -> None:
    source = """
async def app(scope, receive, send):
    await start(send, 200, header("content-type", "audio/mpeg"))
    await more(send, b"sound")
    raise LookupError
"""
    async with function(source) as local:
        invocation = await local.invoke(url_event())
    assert (invocation.body, invocation.outcome) == (b"sound", "truncated")


async def test_app_that_returns_without_a_response_has_failed(function: Function, url_event: MakeEvent) -> None:
    source = """
async def app(scope, receive, send):
    if scope["path"] == "/begun":
        await sse(send)
        await more(send, b"data: 1\\n\\n")
"""
    async with function(source) as local:
        not_begun = await local.invoke(url_event())
        begun = await local.invoke(url_event(path="/begun"))
    assert_error_response(not_begun, 500, "Runtime.AppUnfinished")
    assert begun.trailers["lambda-runtime-function-error-type"] == "Runtime.AppUnfinished"


async def test_environment_survives_a_failure(function: Function, url_event: MakeEvent) -> None:
    source = """
async def app(scope, receive, send):
    if scope["path"] == "/bad":
        raise LookupError
    await respond_json(send, os.getpid())
"""
    async with function(source) as local:
        before = await local.invoke(url_event())
        await local.invoke(url_event(path="/bad"))
        after = await local.invoke(url_event())
    assert before.body == after.body


async def test_buffered_response_is_replaced_by_the_error(function: Function, rest_event: MakeEvent) -> None:
    source = """
async def app(scope, receive, send):
    await start(send)
    await more(send, b"part of a resp")
    raise LookupError
"""
    async with function(source) as local:
        invocation = await local.invoke(rest_event())
    assert invocation.outcome == "buffered"
    assert invocation.response["statusCode"] == 500
    assert json.loads(invocation.response["body"])["errorType"] == "Runtime.AppError"


HOOK = """
def streaming_runtime_error(*, scope, status, code, message, in_stream):
    error = json.dumps([scope["path"], status, code, message]).encode()
    return b"event: error\\ndata: " + error + b"\\n\\n" if in_stream else error

async def app(scope, receive, send):
    if scope["path"] == "/begun":
        await sse(send)
        await more(send, b"data: 1\\n\\n")
    raise LookupError
"""
MESSAGE = "The server had an error while processing the request."


async def test_error_hook_formats_the_response(function: Function, url_event: MakeEvent, rest_event: MakeEvent) -> None:
    async with function(HOOK) as local:
        streamed = await local.invoke(url_event(path="/here"))
        buffered = await local.invoke(rest_event(path="/here"))
    assert json.loads(streamed.body) == ["/here", 500, "internal_error", MESSAGE]
    assert json.loads(buffered.response["body"]) == ["/here", 500, "internal_error", MESSAGE]


async def test_error_hook_formats_the_event_in_a_stream(function: Function, url_event: MakeEvent) -> None:
    async with function(HOOK) as local:
        invocation = await local.invoke(url_event(path="/begun"))
    error = json.dumps(["/begun", 500, "internal_error", MESSAGE])
    assert invocation.body.decode() == f"data: 1\n\nevent: error\ndata: {error}\n\n"
    assert invocation.trailers["lambda-runtime-function-error-type"] == "Runtime.AppError"


async def test_failing_error_hook_is_logged_and_not_used(
    function: Function, url_event: MakeEvent, records: Records
) -> None:
    source = """
def streaming_runtime_error(**fields):
    raise ValueError("in the hook")

async def app(scope, receive, send):
    raise LookupError
"""
    async with function(source) as local:
        assert_error_response(await local.invoke(url_event()), 500, "Runtime.AppError")
        assert any(record.get("errorMessage") == "in the hook" for record in records(local))


async def test_the_gateways_error_hook_writes_openai_errors(
    function: Function, url_event: MakeEvent, tmp_path: Path
) -> None:
    source = """
from tollgate.handler.lambda_function import streaming_runtime_error

async def app(scope, receive, send):
    if scope["path"] == "/begun":
        await sse(send)
        await more(send, b"data: 1\\n\\n")
    raise LookupError
"""
    async with function(source, env=local_settings(tmp_path)) as local:
        whole = await local.invoke(url_event())
        streamed = await local.invoke(url_event(path="/begun"))
    error = {"message": MESSAGE, "type": "server_error", "param": None, "code": "internal_error"}
    assert json.loads(whole.body) == {"error": error}
    _, event, end = streamed.body.decode().split("\n\n")
    assert (json.loads(event.removeprefix("data: ")), end) == ({"error": error}, "")
