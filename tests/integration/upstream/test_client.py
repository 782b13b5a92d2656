"""Calls to real servers on loopback: what is sent, retries, reuse of connections, aborts."""

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
    hang_up,
    no_response,
    one_chunk,
    only_head,
    request,
    serving,
    upstream_client,
)
from tollgate.gateway.catalog import Provider
from tollgate.gateway.errors import UpstreamAuthError, UpstreamError
from tollgate.gateway.ports import TimeLimits
from tollgate.gateway.types import UpstreamRequest
from tollgate.upstream.client import UpstreamResponse

# --- a call -----------------------------------------------------------------------------------------------------------


async def test_call_carries_body_headers_and_credential() -> None:
    async with serving(lambda call: call.respond(b"ok", "X-Some-Thing: 1\r\n", "404 No")) as server:
        async with upstream_client() as client:
            response = await client.send(request(server.url, b'{"a":1}'), PROVIDER, TimeLimits())
            assert (response.status, response.headers["x-some-thing"], await response.read()) == (404, "1", b"ok")
            await response.aclose()
    (call,) = server.calls
    assert call.body == b'{"a":1}'
    assert call.headers["authorization"] == "Bearer s3cret"
    assert call.headers["content-type"] == "application/json"
    assert call.headers["accept-encoding"] == "identity"


async def test_call_without_a_credential_is_not_sent() -> None:
    keyless = Provider(name="k", family="f", credential="OTHER")
    async with serving(lambda call: call.respond(b"ok")) as server, upstream_client() as client:
        with pytest.raises(UpstreamAuthError):
            await client.send(request(server.url), keyless, TimeLimits())
        assert server.connections == 0
        assert not client.has_credential(keyless)
        assert client.has_credential(PROVIDER)
        assert client.has_credential(Provider(name="n", family="f", auth="none"))


async def test_redirect_is_returned_and_not_followed() -> None:
    async with serving(lambda call: call.respond(b"", "location: /elsewhere\r\n", "307 X")) as server:
        async with upstream_client() as client:
            response = await client.send(request(server.url), PROVIDER, TimeLimits())
            assert response.status == 307
            await response.aclose()
    assert len(server.calls) == 1


async def test_cookie_of_one_call_is_not_sent_with_the_next() -> None:
    async with serving(lambda call: call.respond(b"ok", "set-cookie: session=1; Path=/\r\n")) as server:
        async with upstream_client() as client:
            await fetch(client, server.url)
            await fetch(client, server.url)
    assert [call.headers.get("cookie") for call in server.calls] == [None, None]


async def test_echo_transport_returns_the_request_line_by_line() -> None:
    async with upstream_client() as client:
        free = Provider(name="e", family="f", auth="none")
        sent = UpstreamRequest("echo://local/", b'"a"\n"b"\n', {"content-type": "application/jsonl"})
        response = await client.send(sent, free, TimeLimits())
        assert (response.status, response.headers["content-type"]) == (200, "application/jsonl")
        assert [piece async for piece in response.stream()] == [b'"a"\n', b'"b"\n']
        await response.aclose()


# --- broken connections -----------------------------------------------------------------------------------------------


async def test_dead_pooled_connection_is_retried_once() -> None:
    async def serve(call: Call) -> None:
        if call.number == 2:
            call.hang_up()
        else:
            await call.respond(b"%d" % call.number)

    async with serving(serve) as server, upstream_client() as client:
        assert [await fetch(client, server.url), await fetch(client, server.url)] == [b"1", b"3"]
    assert [call.connection for call in server.calls] == [1, 1, 2]


async def test_there_is_no_second_retry() -> None:
    async def serve(call: Call) -> None:
        await (call.respond(b"ok") if call.number == 1 else hang_up(call))

    async with serving(serve) as server, upstream_client() as client:
        await fetch(client, server.url)
        with pytest.raises(UpstreamError) as caught:
            await fetch(client, server.url)
    assert caught.value.code == "upstream_disconnected"
    assert len(server.calls) == 3


async def test_new_connection_that_dies_is_not_retried() -> None:
    async with serving(hang_up) as server, upstream_client() as client:
        with pytest.raises(UpstreamError) as caught:
            await fetch(client, server.url)
    assert caught.value.code == "upstream_disconnected"
    assert len(server.calls) == 1


async def test_pooled_connection_that_dies_after_the_headers_is_not_retried() -> None:
    async def serve(call: Call) -> None:
        if call.number == 1:
            await call.respond(b"ok")
        else:
            await call.head()
            await asyncio.sleep(0.05)
            call.hang_up()

    async with serving(serve) as server, upstream_client() as client:
        await fetch(client, server.url)
        with pytest.raises(UpstreamError):
            await fetch(client, server.url)
    assert len(server.calls) == 2


async def test_closed_port_is_unreachable() -> None:
    async with serving(hang_up) as server:
        pass
    async with upstream_client() as client:
        with pytest.raises(UpstreamError) as caught:
            await fetch(client, server.url)
    assert caught.value.code == "upstream_unreachable"


@pytest.mark.parametrize("url", ["", "/v1", "http://", "http://[", "ftp://x/", "http://a b/", "http://\u2028/"])
async def test_invalid_url_is_an_upstream_error(url: str) -> None:
    async with upstream_client() as client:
        with pytest.raises(UpstreamError):
            await fetch(client, url)


@pytest.mark.parametrize("raw", [b"garbage\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"SSH-2.0-x\r\n"])
async def test_response_that_is_not_http_is_an_error(raw: bytes) -> None:
    async def serve(call: Call) -> None:
        await call.write(raw)
        call.writer.close()

    async with serving(serve) as server, upstream_client() as client:
        with pytest.raises(UpstreamError):
            await fetch(client, server.url)
    assert len(server.calls) == 1


async def test_truncated_body_is_an_error_after_its_bytes() -> None:
    async def serve(call: Call) -> None:
        await call.head()
        await call.chunk(b"part")
        call.writer.close()

    received: list[bytes] = []

    async def read(response: UpstreamResponse) -> None:
        async for piece in response.stream():
            received.append(piece)

    async with serving(serve) as server, upstream_client() as client:
        response = await client.send(request(server.url), PROVIDER, TimeLimits())
        with pytest.raises(UpstreamError) as caught:
            await read(response)
        await response.aclose()
    assert (received, caught.value.code) == ([b"part"], "upstream_disconnected")


async def test_cancelled_caller_sends_nothing_even_without_a_network() -> None:
    async with upstream_client() as client:

        async def send() -> None:
            caller = asyncio.current_task()
            assert caller is not None
            caller.cancel()
            await client.send(request("echo://local/"), PROVIDER, TimeLimits())

        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(send())


# --- reuse and abort --------------------------------------------------------------------------------------------------


async def test_connection_is_reused_after_a_stream_that_was_not_read_to_its_end() -> None:
    async def serve(call: Call) -> None:
        await call.head("content-type: text/event-stream\r\n")
        await call.chunk(b"data: [DONE]\n\n")
        await call.write(b"0\r\n\r\n")

    async with serving(serve) as server, upstream_client() as client:
        for _ in range(3):
            response = await client.send(request(server.url), PROVIDER, TimeLimits())
            assert await anext(aiter(response.stream())) == b"data: [DONE]\n\n"
            await response.aclose()
    assert (len(server.calls), server.connections) == (3, 1)


@pytest.mark.parametrize("serve", [only_head, one_chunk, endless])
async def test_close_before_the_end_aborts_the_call(serve: Serve) -> None:
    async with serving(serve) as server, upstream_client() as client:
        response = await client.send(request(server.url), PROVIDER, TimeLimits())
        if serve is not only_head:
            await anext(aiter(response.stream()))
        began = time.monotonic()
        await response.aclose()
        await response.aclose()
        assert time.monotonic() - began < PROMPT
        async with asyncio.timeout(PROMPT):
            await server.disconnected.wait()


async def test_cancelled_call_is_aborted_before_the_response() -> None:
    async with serving(no_response) as server, upstream_client() as client:
        task = asyncio.create_task(fetch(client, server.url))
        async with asyncio.timeout(PROMPT):
            while not server.calls:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await server.disconnected.wait()


async def test_concurrent_calls_do_not_wait_for_one_another() -> None:
    all_sent = asyncio.Barrier(50)

    async def serve(call: Call) -> None:
        await all_sent.wait()
        await call.respond(call.body)

    async with serving(serve) as server, upstream_client() as client, asyncio.timeout(PROMPT):
        responses = await asyncio.gather(*(fetch(client, server.url) for _ in range(50)))
    assert responses == [b"{}"] * 50


async def test_extra_response_is_not_read_by_the_next_call() -> None:
    extra = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret"

    async def serve(call: Call) -> None:
        response = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nmine"
        await call.write(response + (extra if len(server.calls) == 1 else b""))

    async with serving(serve) as server, upstream_client() as client:
        assert [await fetch(client, server.url) for _ in range(3)] == [b"mine"] * 3
        assert [call.connection for call in server.calls] == [1, 2, 2]  # the first is closed, the second is reused


async def test_extra_responses_after_chunks_are_not_read_by_the_next_call() -> None:
    async def serve(call: Call) -> None:
        await call.head()
        await call.chunk(b"mine")
        await call.write(b"0\r\n\r\n" + (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n!" * 3))

    async with serving(serve) as server, upstream_client() as client:
        assert [await fetch(client, server.url) for _ in range(4)] == [b"mine"] * 4
