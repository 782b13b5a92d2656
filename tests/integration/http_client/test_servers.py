"""Requests to the HTTP servers that others use: uvicorn and Node.js."""

import asyncio
import contextlib
import subprocess
import threading
from collections.abc import Awaitable, Callable, Generator, Iterator
from typing import Any

import pytest
import uvicorn

from support.node import NODE
from support.provider_server import now
from support.waiting import LIMIT_SECONDS
from tollgate.http_client.pool import ConnectionPool

Send = Callable[[dict[str, Any]], Awaitable[None]]
PIECES = [b"data: %d\n\n" % number for number in range(50)]

NODE_APP = """
const server = require("http").createServer((request, response) => {
  const pieces = []
  request.on("data", piece => pieces.push(piece))
  request.on("end", async () => {
    if (request.url === "/echo") return response.end(Buffer.concat(pieces))
    if (request.url === "/hints") response.writeEarlyHints({link: "</a>; rel=preload"})
    response.writeHead(200, request.url === "/trailers" ? {trailer: "etag"} : {})
    for (let number = 0; number < 50; number++) {
      response.write(`data: ${number}\\n\\n`)
      await new Promise(setImmediate)
    }
    if (request.url === "/trailers") response.addTrailers({etag: "1"})
    response.end()
  })
})
server.listen(0, "127.0.0.1", () => console.log(server.address().port))
"""


async def uvicorn_app(scope: dict[str, Any], receive: Callable[[], Awaitable[dict[str, Any]]], send: Send) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    pieces = [body] if scope["path"] == "/echo" else PIECES
    headers = [(b"content-length", b"%d" % len(body))] if scope["path"] == "/echo" else []
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body"})


@contextlib.contextmanager
def run_uvicorn() -> Generator[str]:
    config = uvicorn.Config(uvicorn_app, port=0, lifespan="off", log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        waited = threading.Event()
        while not server.started:
            waited.wait(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@contextlib.contextmanager
def run_node() -> Generator[str]:
    if not NODE:
        pytest.skip("Node.js is missing")
    with subprocess.Popen(["node", "-e", NODE_APP], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


@pytest.fixture(scope="module", params=[run_uvicorn, run_node])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with request.param() as running:
        yield running


@pytest.mark.parametrize("path", ["/stream", "/hints", "/trailers"])
async def test_stream_is_received(url: str, path: str) -> None:
    connections = ConnectionPool()
    for _ in range(3):
        response = await connections.request("POST", url + path, {}, b"{}", first_byte_by=now() + LIMIT_SECONDS)
        received = b""
        while data := await response.receive(now() + LIMIT_SECONDS):
            received += data
        assert (response.status, received) == (200, b"".join(PIECES))
        response.close()
    connections.close()


@pytest.mark.parametrize("size", [0, 1, 1_000_000])
async def test_body_is_sent_and_received(url: str, size: int) -> None:
    connections = ConnectionPool()
    body = bytes(size)
    for _ in range(3):
        response = await connections.request("POST", f"{url}/echo", {}, body, first_byte_by=now() + LIMIT_SECONDS)
        assert await response.read(now() + LIMIT_SECONDS, size) == body
        response.close()
    connections.close()
