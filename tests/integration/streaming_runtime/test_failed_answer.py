"""What the caller, Lambda and the log are told when the app does not finish its answer."""

import binascii
import json
from collections.abc import Callable, Sequence
from typing import Any

from devtools.local_function_url import Invocation, LocalFunctionUrl

Function = Callable[..., LocalFunctionUrl]
MakeEvent = Callable[..., dict[str, Any]]
Records = Callable[[LocalFunctionUrl], Sequence[dict[str, Any]]]


def assert_clean(invocation: Invocation, status: int, code: str) -> None:
    assert invocation.prelude is not None
    assert invocation.prelude["statusCode"] == status
    assert invocation.prelude["headers"]["content-type"] == "application/json"
    error = json.loads(invocation.body)["error"]
    assert error == {"message": error["message"], "type": "server_error", "param": None, "code": code}
    assert invocation.trailers == {}


async def test_exception_before_the_first_byte_is_a_clean_500(function: Function, url_event: MakeEvent) -> None:
    source = """
async def app(scope, receive, send):
    await sse(send)
    raise LookupError("secret detail")
"""
    async with function(source) as local:
        invocation = await local.invoke(url_event())
    assert_clean(invocation, 500, "internal_error")
    assert b"secret" not in invocation.body
    assert b"Lookup" not in invocation.body


async def test_exception_before_any_await_is_a_clean_500(function: Function, url_event: MakeEvent) -> None:
    async with function("def app(scope, receive, send):\n    raise LookupError\n") as local:
        assert_clean(await local.invoke(url_event()), 500, "internal_error")


async def test_stack_goes_to_the_log_as_one_json_line(
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
    error = json.loads(events[1].removeprefix("data: "))["error"]
    assert (error["type"], error["param"], error["code"]) == ("server_error", None, "internal_error")
    assert invocation.trailers["lambda-runtime-function-error-type"] == "Runtime.AppError"
    posted = json.loads(binascii.a2b_base64(invocation.trailers["lambda-runtime-function-error-body"]))
    assert posted == {"errorMessage": error["message"], "errorType": "Runtime.AppError"}
    assert b"secret" not in invocation.body


async def test_error_event_is_kept_apart_from_a_half_event(function: Function, url_event: MakeEvent) -> None:
    source = """
async def app(scope, receive, send):
    await sse(send)
    await more(send, b"data: 1\\n\\n")
    await more(send, b"data: hal")
    raise LookupError
"""
    async with function(source) as local:
        invocation = await local.invoke(url_event())
    assert b'data: hal\n\ndata: {"error":' in invocation.body


async def test_an_event_end_in_two_writes_is_seen_as_one(function: Function, url_event: MakeEvent) -> None:
    source = """
async def app(scope, receive, send):
    await sse(send)
    await more(send, b"data: 1\\n")
    await more(send, b"\\n")
    raise LookupError
"""
    async with function(source) as local:
        invocation = await local.invoke(url_event())
    assert invocation.body.startswith(b'data: 1\n\ndata: {"error":')


async def test_exception_in_another_stream_adds_nothing_to_the_body(function: Function, url_event: MakeEvent) -> None:
    source = """
async def app(scope, receive, send):
    await start(send, 200, header("content-type", "audio/mpeg"))
    await more(send, b"sound")
    raise LookupError
"""
    async with function(source) as local:
        invocation = await local.invoke(url_event())
    assert invocation.body == b"sound"
    assert invocation.trailers["lambda-runtime-function-error-type"] == "Runtime.AppError"


async def test_an_app_that_just_returns_has_failed(function: Function, url_event: MakeEvent) -> None:
    source = """
async def app(scope, receive, send):
    if scope["path"] == "/begun":
        await sse(send)
        await more(send, b"data: 1\\n\\n")
"""
    async with function(source) as local:
        silent = await local.invoke(url_event())
        begun = await local.invoke(url_event(path="/begun"))
    assert_clean(silent, 500, "internal_error")
    assert begun.trailers["lambda-runtime-function-error-type"] == "Runtime.AppUnfinished"


async def test_the_environment_survives_a_failure(function: Function, url_event: MakeEvent) -> None:
    source = """
async def app(scope, receive, send):
    if scope["path"] == "/bad":
        raise LookupError
    await answer_json(send, os.getpid())
"""
    async with function(source) as local:
        before = await local.invoke(url_event())
        await local.invoke(url_event(path="/bad"))
        after = await local.invoke(url_event())
    assert before.body == after.body


async def test_a_buffered_answer_fails_clean_at_any_point(function: Function, rest_event: MakeEvent) -> None:
    source = """
async def app(scope, receive, send):
    await start(send)
    await more(send, b"half an ans")
    raise LookupError
"""
    async with function(source) as local:
        invocation = await local.invoke(rest_event())
    assert invocation.outcome == "buffered"
    assert invocation.response["statusCode"] == 500
    assert json.loads(invocation.response["body"])["error"]["type"] == "server_error"
