"""Streamed responses as the Runtime API receives them."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from devtools.local_function_url import LocalFunctionUrl

Function = Callable[..., LocalFunctionUrl]
MakeEvent = Callable[..., dict[str, Any]]
Until = Callable[[Callable[[], object]], Awaitable[None]]

HELLO = """
async def app(scope, receive, send):
    await sse(send)
    await more(send, b"data: 1\\n\\n")
    await last(send, b"data: 2\\n\\n")
"""


async def test_prelude_and_delimiter_arrive_in_one_write(function: Function, url_event: MakeEvent) -> None:
    async with function(HELLO) as local:
        invocation = await local.invoke(url_event())
    _, _, rest = invocation.first_read.partition(b"\r\n\r\n")
    prelude, delimiter, payload = rest.partition(bytes(8))
    assert delimiter
    assert b'"statusCode":200' in prelude
    assert payload.startswith(b"data: 1\n\n")


async def test_response_declares_mode_type_and_trailers(function: Function, url_event: MakeEvent) -> None:
    async with function(HELLO) as local:
        invocation = await local.invoke(url_event())
    assert invocation.outcome == "streamed"
    assert invocation.response_mode == "streaming"
    assert invocation.headers["content-type"] == "application/vnd.awslambda.http-integration-response"
    assert invocation.headers["transfer-encoding"] == "chunked"
    declared = invocation.headers["trailer"].lower()
    assert declared == "lambda-runtime-function-error-type, lambda-runtime-function-error-body"
    assert invocation.trailers == {}


async def test_chunks_are_sent_as_the_app_writes_them(
    function: Function, url_event: MakeEvent, open_gate: Callable[[str], None], until: Until
) -> None:
    source = """
async def app(scope, receive, send):
    await start(send)
    await more(send, b"first")
    await gate("second")
    await last(send, b"second")
"""
    async with function(source) as local:
        response = asyncio.create_task(local.invoke(url_event()))
        await until(lambda: local.invocations and local.invocations[0].chunks)
        assert local.invocations[0].body == b"first"
        open_gate("second")
        assert [chunk.data for chunk in (await response).chunks] == [b"first", b"second"]


async def test_prelude_has_joined_lower_case_headers_and_separate_cookies(
    function: Function, url_event: MakeEvent
) -> None:
    source = """
async def app(scope, receive, send):
    await start(send, 201, header("X-Tag", "a"), header("x-tag", "b"), header("Set-Cookie", "c=1"),
                header("set-cookie", "d=2"), header("Content-Length", "4"), header("Transfer-Encoding", "chunked"),
                header("Connection", "close"))
    await last(send, b"body")
"""
    async with function(source) as local:
        invocation = await local.invoke(url_event())
    assert invocation.prelude == {"statusCode": 201, "headers": {"x-tag": "a, b"}, "cookies": ["c=1", "d=2"]}
    assert invocation.body == b"body"


async def test_rest_stream_also_has_multi_value_headers(function: Function, rest_event: MakeEvent) -> None:
    source = """
async def app(scope, receive, send):
    await start(send, 200, header("x-tag", "a"), header("x-tag", "b"))
    await last(send, b"body")
"""
    async with function(source, env={"STREAMING_RUNTIME_REST_STREAM": "1"}) as local:
        invocation = await local.invoke(rest_event())
    assert invocation.prelude is not None
    assert invocation.prelude["multiValueHeaders"] == {"x-tag": ["a", "b"]}


async def test_empty_body_is_sent_as_one_byte(function: Function, url_event: MakeEvent) -> None:
    source = """
async def app(scope, receive, send):
    await start(send, 302, header("location", "/there"))
    await last(send)
"""
    async with function(source) as local:
        invocation = await local.invoke(url_event())
    assert invocation.body == b"\n"


async def test_no_content_and_not_modified_have_no_body(function: Function, url_event: MakeEvent) -> None:
    source = """
async def app(scope, receive, send):
    await start(send, int(scope["path"][1:]))
    await last(send, b"not allowed here" if scope["path"] == "/304" else b"")
"""
    async with function(source) as local:
        responses = [await local.invoke(url_event(path=path)) for path in ("/204", "/304")]
    assert [(response.outcome, response.body) for response in responses] == [("streamed", b""), ("streamed", b"")]


async def test_empty_chunk_does_not_end_the_stream(function: Function, url_event: MakeEvent) -> None:
    source = """
async def app(scope, receive, send):
    await start(send)
    await more(send, b"")
    await more(send, b"one")
    await more(send, b"")
    await last(send, b"two")
"""
    async with function(source) as local:
        invocation = await local.invoke(url_event())
    assert invocation.body == b"onetwo"
    assert len(invocation.chunk_sizes) == 2


async def test_large_body_is_sent_in_chunks_of_limited_size(function: Function, url_event: MakeEvent) -> None:
    source = """
async def app(scope, receive, send):
    await start(send)
    await more(send, bytes(range(256)) * 1024)
    await last(send, b"x" * (64 * 1024 * 3))
"""
    async with function(source) as local:
        invocation = await local.invoke(url_event())
    assert max(invocation.chunk_sizes) == 64 * 1024
    assert invocation.body == bytes(range(256)) * 1024 + b"x" * (64 * 1024 * 3)


async def test_app_waits_for_a_slow_reader(function: Function, url_event: MakeEvent) -> None:
    source = """
async def app(scope, receive, send):
    await start(send)
    for _ in range(48):
        await more(send, bytes(1024 * 1024))
    await last(send, json.dumps(time.monotonic()).encode())
"""
    async with function(source) as local:
        local.faults.read_delay = 0.7
        invocation = await local.invoke(url_event())
    assert invocation.delivered_at is not None
    assert json.loads(invocation.body.lstrip(b"\0")) >= invocation.delivered_at + 0.6


async def test_padding_precedes_the_first_event_if_configured(function: Function, url_event: MakeEvent) -> None:
    async with function(HELLO, env={"STREAMING_RUNTIME_PAD_BYTES": "2048"}) as local:
        invocation = await local.invoke(url_event())
    assert invocation.body == b":" + b" " * 2048 + b"\n\ndata: 1\n\ndata: 2\n\n"


async def test_payloads_of_two_tasks_are_not_mixed(function: Function, url_event: MakeEvent) -> None:
    """A large payload is sent in several writes, between which the reader may be slow."""
    source = """
async def app(scope, receive, send):
    await sse(send)
    await more(send, b"data: begin\\n\\n")
    large = asyncio.create_task(more(send, b"data: " + b"x" * 4_000_000 + b"\\n\\n"))
    await asyncio.sleep(0)
    await more(send, b": keep-alive\\n\\n")
    await large
    await last(send)
"""
    async with function(source) as local:
        local.faults.read_delay = 0.2
        invocation = await local.invoke(url_event())
    assert b"data: " + b"x" * 4_000_000 + b"\n\n" in invocation.body
