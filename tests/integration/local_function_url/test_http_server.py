"""The HTTP server: requests as events, and responses as the client receives them."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from devtools.local_function_url import LocalFunctionUrl

Function = Callable[..., LocalFunctionUrl]
Connect = Callable[[str], Awaitable[Any]]
Until = Callable[[Callable[[], object]], Awaitable[None]]

STREAM = """
import asyncio
from pathlib import Path

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    for name in ("one", "two", "three"):
        await send({"type": "http.response.body", "body": name.encode(), "more_body": True})
        while not Path(name).exists():
            await asyncio.sleep(0.005)
    await send({"type": "http.response.body", "body": b"end"})
"""


async def test_request_becomes_a_payload_2_event(function: Function, connect: Connect) -> None:
    async with function() as local:
        client = await connect(local.url)
        response = await client.request(
            "POST", "/a%20b?q=1&q=2&e=", b'{"a":1}', X_Tag="t", Cookie="c=1; d=2", content_type="application/json"
        )
        await client.close()
    assert response.status == 200
    event = local.invocations[0].event
    http = event["requestContext"]["http"]
    assert (event["version"], event["rawPath"], event["rawQueryString"]) == ("2.0", "/a%20b", "q=1&q=2&e=")
    assert event["queryStringParameters"] == {"q": "1,2", "e": ""}
    assert event["cookies"] == ["c=1", "d=2"]
    assert event["headers"]["x-tag"] == "t"
    assert "cookie" not in event["headers"]
    assert (event["body"], event["isBase64Encoded"]) == ('{"a":1}', False)
    assert (http["method"], http["path"], http["protocol"]) == ("POST", "/a%20b", "HTTP/1.1")
    assert event["requestContext"]["domainName"].endswith(".on.aws")


async def test_cookies_are_separate_headers(function: Function, connect: Connect) -> None:
    async with function() as local:
        client = await connect(local.url)
        response = await client.request("GET", "/")
        await client.close()
    assert response.get_all("set-cookie") == ["a=1", "b=2"]
    assert response.get_all("x-amzn-requestid") == [local.invocations[0].request_id]


async def test_binary_body_is_base64_in_the_event(function: Function, connect: Connect) -> None:
    body = bytes(range(256))
    async with function() as local:
        client = await connect(local.url)
        binary = await client.request("POST", "/", body, content_type="application/octet-stream")
        not_text = await client.request("POST", "/", body, content_type="text/plain")
        await client.close()
    for response in (binary, not_text):
        received = json.loads(response.body)
        assert (received["size"], received["hex"], received["event"]["isBase64Encoded"]) == (256, body[:64].hex(), True)


async def test_connection_serves_several_requests(function: Function, connect: Connect) -> None:
    async with function() as local:
        client = await connect(local.url)
        responses = [await client.request("GET", f"/{number}") for number in range(5)]
        await client.close()
    assert [json.loads(response.body)["event"]["rawPath"] for response in responses] == [f"/{n}" for n in range(5)]


async def test_chunked_request_with_expect_is_accepted(function: Function, connect: Connect) -> None:
    async with function() as local:
        client = await connect(local.url)
        head = "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nexpect: 100-continue\r\n\r\n"
        client.writer.write(head.encode())
        assert (await client.head())[0] == 100
        client.writer.write(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        assert json.loads((await client.read_response()).body)["size"] == 5
        await client.close()


async def test_body_over_the_limit_is_rejected_before_the_function(function: Function, connect: Connect) -> None:
    megabyte = 1024 * 1024
    async with function() as local:
        client = await connect(local.url)
        text = await client.request("POST", "/", b"x" * (6 * megabyte + 1), content_type="text/plain")
        # Base64 encodes three bytes as four, and the limit applies to the event.
        binary = await client.request("POST", "/", b"x" * (5 * megabyte), content_type="image/png")
        assert len(local.invocations) == 0
        fits = await client.request("POST", "/", b"x" * (5 * megabyte), content_type="text/plain", connection="close")
        await client.close()
    assert (text.status, binary.status, fits.status) == (413, 413, 200)
    assert json.loads(fits.body)["size"] == 5 * megabyte


async def test_chunks_are_forwarded_as_they_arrive(function: Function, connect: Connect, tmp_path: Any) -> None:
    async with function(STREAM) as local:
        client = await connect(local.url)
        await client.send("GET", "/")
        status, fields = await client.head()
        assert (status, dict(fields)["transfer-encoding"]) == (200, "chunked")
        for name in ("one", "two", "three"):
            async with asyncio.timeout(5):
                assert await client.reader.readuntil(name.encode() + b"\r\n")
            (tmp_path / name).touch()
        assert await client.reader.readuntil(b"0\r\n\r\n") == b"3\r\nend\r\n0\r\n\r\n"
        await client.close()


async def test_function_continues_when_the_client_disconnects(
    function: Function, connect: Connect, until: Until, tmp_path: Any
) -> None:
    async with function(STREAM) as local:
        client = await connect(local.url)
        await client.send("GET", "/")
        await client.head()
        await client.close()
        for name in ("one", "two", "three"):
            (tmp_path / name).touch()
        await until(lambda: local.invocations[0].released.is_set())
    assert local.invocations[0].outcome == "streamed"
    assert local.invocations[0].body == b"onetwothreeend"


async def test_head_and_no_content_have_no_body(function: Function, connect: Connect) -> None:
    source = """
async def app(scope, receive, send):
    status = 204 if scope["path"] == "/none" else 200
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b"" if status == 204 else b"body"})
"""
    async with function(source) as local:
        client = await connect(local.url)
        statuses = [
            (await client.request(*request)).status for request in (("HEAD", "/"), ("GET", "/none"), ("GET", "/"))
        ]
        await client.close()
    assert statuses == [200, 204, 200]
