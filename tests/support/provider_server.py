"""An HTTP server on loopback that responds byte by byte as a test defines it, and calls to it."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field

from tollgate.gateway.catalog import Provider
from tollgate.gateway.ports import TimeLimits
from tollgate.gateway.types import UpstreamRequest
from tollgate.upstream.client import Timeouts, UpstreamClient

PROVIDER = Provider(name="p", family="f", credential="P_KEY")
PROMPT = 25.0
"""Seconds. A call that takes longer was not ended by a timeout of a tenth of a second."""

Serve = Callable[["Call"], Awaitable[None]]


class FixedCredentials:
    async def get(self, name: str) -> str | None:
        return {"P_KEY": "s3cret"}.get(name)

    async def reread(self, name: str) -> bool:
        return False

    def is_missing(self, name: str) -> bool:
        return name != "P_KEY"


@dataclass
class Call:
    """One request as the server receives it, numbered from 1, and methods to respond to it."""

    number: int
    connection: int
    headers: dict[str, str]
    body: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self, more: str = "", status: str = "200 OK") -> None:
        await self.write(f"HTTP/1.1 {status}\r\ntransfer-encoding: chunked\r\n{more}\r\n".encode())

    async def chunk(self, data: bytes) -> None:
        await self.write(b"%x\r\n%b\r\n" % (len(data), data))

    async def respond(self, body: bytes, more: str = "", status: str = "200 OK") -> None:
        await self.write(f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n{more}\r\n".encode() + body)

    def hang_up(self) -> None:
        self.writer.transport.abort()

    async def wait_for_disconnect(self) -> None:
        """Wait until the client has disconnected."""
        with contextlib.suppress(ConnectionError):
            await self.reader.read()


@dataclass
class Server:
    """Responds with `serve`, and counts connections and calls."""

    serve: Serve
    url: str = ""
    connections: int = 0
    calls: list[Call] = field(default_factory=list[Call])
    disconnected: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client has disconnected."""

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        connection = self.connections
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while not writer.transport.is_closing():
                lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")[1:]
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                call = Call(len(self.calls) + 1, connection, headers, body, reader, writer)
                self.calls.append(call)
                await self.serve(call)
        self.disconnected.set()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def serving(serve: Serve) -> AsyncGenerator[Server]:
    server = Server(serve)
    listener = await asyncio.start_server(server.accept, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1"
    try:
        yield server
    finally:
        listener.close()
        for call in server.calls:
            call.hang_up()
        await listener.wait_closed()


@contextlib.asynccontextmanager
async def upstream_client(timeouts: Timeouts | None = None) -> AsyncGenerator[UpstreamClient]:
    client = UpstreamClient(FixedCredentials(), timeouts or Timeouts())
    try:
        yield client
    finally:
        await client.aclose()


def request(url: str, body: bytes = b"{}") -> UpstreamRequest:
    return UpstreamRequest(url, body)


async def fetch(client: UpstreamClient, url: str, deadline: float | None = None) -> bytes:
    response = await client.send(request(url), PROVIDER, TimeLimits(deadline))
    try:
        return await response.read()
    finally:
        await response.aclose()


def now() -> float:
    return asyncio.get_running_loop().time()


async def hang_up(call: Call) -> None:
    call.hang_up()


async def no_response(call: Call) -> None:
    await call.wait_for_disconnect()


async def only_head(call: Call) -> None:
    await call.head()
    await call.wait_for_disconnect()


async def one_chunk(call: Call) -> None:
    await call.head()
    await call.chunk(b"a")
    await call.wait_for_disconnect()


async def endless(call: Call) -> None:
    await call.head()
    while not call.writer.transport.is_closing():
        await call.chunk(b"a")
        await asyncio.sleep(0.02)
