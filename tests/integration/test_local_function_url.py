"""A request through the local function URL, the wrapper and the runtime to an ASGI app, and its response."""

import asyncio
import json
import sys
import urllib.error
import urllib.request
from pathlib import Path

from devtools.local_function_url import LocalFunctionUrl
from support.waiting import LIMIT_SECONDS

APP = '''
import asyncio, json

settled = []

async def app(scope, receive, send):
    """A small completion service: JSON or a stream. A request is settled after the last byte."""
    if scope["path"] == "/settled":
        return await response(send, {"settled": settled})
    parameters = json.loads((await receive())["body"])
    if parameters.get("fail") == "early":
        raise RuntimeError("no")
    if not parameters.get("stream"):
        await response(send, {"text": parameters["text"]})
    else:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for word in parameters["text"].split():
            await send({"type": "http.response.body", "body": b"data: %b\\n\\n" % word.encode(), "more_body": True})
        if parameters.get("fail") == "late":
            raise RuntimeError("no")
        await send({"type": "http.response.body", "body": b"data: [DONE]\\n\\n"})
    await asyncio.sleep(0.05)
    settled.append(parameters["text"])

async def response(send, value):
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(value).encode()})
'''


def post(url: str, parameters: dict[str, object] | None = None) -> tuple[int, bytes]:
    """Send a request with the client of the standard library, which shares no code with ours."""
    body = None if parameters is None else json.dumps(parameters).encode()
    http_request = urllib.request.Request(url, body, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(http_request, timeout=LIMIT_SECONDS) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


async def test_responses_and_failures_end_to_end(tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(APP)
    async with LocalFunctionUrl(artifact=tmp_path, handler="service.app", python=sys.executable) as local:
        url = local.url
        whole = await asyncio.to_thread(post, url, {"text": "one two"})
        stream = await asyncio.to_thread(post, url, {"text": "three four", "stream": True})
        early = await asyncio.to_thread(post, url, {"text": "five", "fail": "early"})
        late = await asyncio.to_thread(post, url, {"text": "six", "stream": True, "fail": "late"})
        settled = await asyncio.to_thread(post, url + "/settled")

    assert whole == (200, b'{"text": "one two"}')
    assert stream == (200, b"data: three\n\ndata: four\n\ndata: [DONE]\n\n")
    assert early[0] == 500
    assert json.loads(early[1])["errorType"] == "Runtime.AppError"
    assert late[0] == 200
    assert json.loads(late[1].split(b"\n\n")[1].removeprefix(b"data: "))["errorType"] == "Runtime.AppError"
    # The app settles after its last byte, and gets no further request before that.
    assert json.loads(settled[1]) == {"settled": ["one two", "three four"]}
