"""Fixtures of the runtime's tests: small ASGI apps in a process with the local Runtime API."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from devtools.local_function_url import LocalFunctionUrl

PREAMBLE = """
import asyncio, json, logging, os, sys, time
from pathlib import Path

def header(name, value):
    return name.encode(), value.encode()

async def start(send, status=200, *headers):
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})

async def sse(send):
    await start(send, 200, header("content-type", "text/event-stream"))

async def more(send, data):
    await send({"type": "http.response.body", "body": data, "more_body": True})

async def last(send, data=b""):
    await send({"type": "http.response.body", "body": data})

async def respond_json(send, value):
    await start(send, 200, header("content-type", "application/json"))
    await last(send, json.dumps(value).encode())

async def gate(name):
    while not Path(name).exists():
        await asyncio.sleep(0.005)
"""


@pytest.fixture
def function(tmp_path: Path) -> Callable[..., LocalFunctionUrl]:
    """Makes a function from the source of an ASGI app; options are those of LocalFunctionUrl."""

    def make(source: str, *, handler: str = "app_under_test.app", **options: Any) -> LocalFunctionUrl:
        (tmp_path / "app_under_test.py").write_text(PREAMBLE + source)
        return LocalFunctionUrl(artifact=tmp_path, handler=handler, **options)

    return make


@pytest.fixture
def open_gate(tmp_path: Path) -> Callable[[str], None]:
    """Lets an app continue that waits at ``gate(name)``."""
    return lambda name: (tmp_path / name).touch()


@pytest.fixture
def url_event() -> Callable[..., dict[str, Any]]:
    """Makes an event of a function URL."""

    def make(method: str = "GET", path: str = "/", **more: Any) -> dict[str, Any]:
        http = {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.7", "userAgent": "test"}
        context = {"domainName": "abc.lambda-url.eu-west-1.on.aws", "http": http, "stage": "$default"}
        headers = {"host": "abc.lambda-url.eu-west-1.on.aws", "x-forwarded-proto": "https"}
        event = {"version": "2.0", "rawPath": path, "rawQueryString": "", "headers": headers, "requestContext": context}
        return {**event, "isBase64Encoded": False, **more}

    return make


@pytest.fixture
def rest_event() -> Callable[..., dict[str, Any]]:
    """Makes an event of a REST API."""

    def make(method: str = "GET", path: str = "/", **more: Any) -> dict[str, Any]:
        context = {"path": "/prod" + path, "stage": "prod", "identity": {"sourceIp": "192.0.2.7"}}
        return {"httpMethod": method, "path": path, "headers": {}, "requestContext": context, "body": None, **more}

    return make


@pytest.fixture
def until() -> Callable[[Callable[[], object]], Awaitable[None]]:
    """Waits until a condition holds, for at most ten seconds."""

    async def wait(condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 (it happens in another process, so there is no event)
                await asyncio.sleep(0.01)

    return wait


@pytest.fixture
def records() -> Callable[[LocalFunctionUrl], Sequence[dict[str, Any]]]:
    """The JSON lines of a function's log."""

    def read(local: LocalFunctionUrl) -> Sequence[dict[str, Any]]:
        return [json.loads(line) for line in local.log_lines if line.startswith("{")]

    return read
