"""Fixtures of the local function URL's tests: small ASGI apps, and an HTTP client that returns responses unchanged."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from devtools.local_function_url import LocalFunctionUrl

ECHO = """
import asyncio, json, os

async def app(scope, receive, send):
    body = (await receive())["body"]
    event = scope["aws.event"]
    headers = [(b"content-type", b"application/json"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    response = {"event": event, "size": len(body), "hex": body[:64].hex(), "pid": os.getpid()}
    await send({"type": "http.response.body", "body": json.dumps(response).encode()})
"""


@dataclass(frozen=True)
class Response:
    """A response. ``complete`` is False if the connection ended before the body."""

    status: int
    fields: tuple[tuple[str, str], ...]
    body: bytes
    complete: bool

    def get_all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key == name]


class Client:
    """One HTTP/1.1 connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> Response:
        await self.send(method, path, body, **headers)
        return await self.read_response(method)

    async def send(self, method: str, path: str, body: bytes = b"", **headers: str) -> None:
        fields = {"host": "localhost", "content-length": str(len(body)), **headers}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name.replace('_', '-')}: {fields[name]}" for name in fields), "", ""]
        self.writer.write("\r\n".join(lines).encode() + body)
        await self.writer.drain()

    async def read_response(self, method: str = "GET") -> Response:
        status, fields = await self.head()
        headers = dict(fields)
        if method == "HEAD" or status in (204, 304):
            return Response(status, fields, b"", True)
        if "content-length" in headers:
            return Response(status, fields, await self.reader.readexactly(int(headers["content-length"])), True)
        body = b""
        try:
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                body += (await self.reader.readexactly(size + 2))[:-2]
            await self.reader.readuntil(b"\r\n")
        except (EOFError, OSError):
            return Response(status, fields, body, False)
        return Response(status, fields, body, True)

    async def head(self) -> tuple[int, tuple[tuple[str, str], ...]]:
        raw = await self.reader.readuntil(b"\r\n\r\n")
        line, *lines = raw[:-4].decode().split("\r\n")
        pairs = (text.partition(":") for text in lines)
        return int(line.split(" ")[1]), tuple((name.lower(), value.strip()) for name, _, value in pairs)

    async def close(self) -> None:
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()


@pytest.fixture
def function(tmp_path: Path) -> Callable[..., LocalFunctionUrl]:
    """Makes a function from the source of an ASGI app; by default one that returns the event and the body."""

    def make(source: str = ECHO, **options: Any) -> LocalFunctionUrl:
        (tmp_path / "app_under_test.py").write_text(source)
        return LocalFunctionUrl(artifact=tmp_path, handler="app_under_test.app", **options)

    return make


@pytest.fixture
def connect() -> Callable[[str], Awaitable[Client]]:
    """Opens a connection to an address."""

    async def open_connection(url: str) -> Client:
        address = urlsplit(url)
        return Client(*await asyncio.open_connection(address.hostname, address.port))

    return open_connection


@pytest.fixture
def until() -> Callable[[Callable[[], object]], Awaitable[None]]:
    """Waits until a condition holds, for at most ten seconds."""

    async def wait(condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 (it happens in another process, so there is no event)
                await asyncio.sleep(0.01)

    return wait
