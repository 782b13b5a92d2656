"""From an HTTP client through the local function URL, the wrapper and the runtime loop to an ASGI app, and back."""

import asyncio
import json
import sys
import urllib.error
import urllib.request
from pathlib import Path

from devtools.local_function_url import LocalFunctionUrl

APP = '''
import asyncio, json

settled = []

async def app(scope, receive, send):
    """A small completion service: JSON or a stream, an account settled after the last byte."""
    if scope["path"] == "/settled":
        return await answer(send, {"settled": settled})
    question = json.loads((await receive())["body"])
    if question.get("fail") == "early":
        raise RuntimeError("no")
    if not question.get("stream"):
        await answer(send, {"said": question["say"]})
    else:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for word in question["say"].split():
            await send({"type": "http.response.body", "body": b"data: %b\\n\\n" % word.encode(), "more_body": True})
        if question.get("fail") == "late":
            raise RuntimeError("no")
        await send({"type": "http.response.body", "body": b"data: [DONE]\\n\\n"})
    await asyncio.sleep(0.05)
    settled.append(question["say"])

async def answer(send, value):
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(value).encode()})
'''


def post(url: str, question: dict[str, object] | None = None) -> tuple[int, bytes]:
    """An ordinary blocking client, as different from our own as the standard library has one."""
    body = None if question is None else json.dumps(question).encode()
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


async def test_a_completion_door_to_door(tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(APP)
    async with LocalFunctionUrl(artifact=tmp_path, handler="service.app", python=sys.executable) as local:
        url = local.url
        whole = await asyncio.to_thread(post, url, {"say": "one two"})
        stream = await asyncio.to_thread(post, url, {"say": "three four", "stream": True})
        early = await asyncio.to_thread(post, url, {"say": "five", "fail": "early"})
        late = await asyncio.to_thread(post, url, {"say": "six", "stream": True, "fail": "late"})
        settled = await asyncio.to_thread(post, url + "/settled")

    assert whole == (200, b'{"said": "one two"}')
    assert stream == (200, b"data: three\n\ndata: four\n\ndata: [DONE]\n\n")
    assert early[0] == 500
    assert json.loads(early[1])["errorType"] == "Runtime.AppError"
    assert late[0] == 200
    assert json.loads(late[1].split(b"\n\n")[1].removeprefix(b"data: "))["errorType"] == "Runtime.AppError"
    # The app settles after its last byte, and is never asked for more before it has.
    assert json.loads(settled[1]) == {"settled": ["one two", "three four"]}
