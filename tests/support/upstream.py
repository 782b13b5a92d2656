"""A scripted provider: a server on loopback that sends the bytes and pauses of a script, and may break off.

The `model` of a request, in its path or in its body, names the script, or a function that makes one for the body. Every
request is recorded.
"""

import asyncio
import contextlib
import json
import re
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import HTTP
from typing import Any
from urllib.parse import unquote


class Cut:
    """A step: the connection is aborted, without a last chunk."""


class Wait:
    """A step: wait until `release` is called on this object, or the client disconnects."""

    def __init__(self) -> None:
        self._released = threading.Event()

    def hold(self) -> None:
        self._released.clear()

    def release(self) -> None:
        self._released.set()

    async def wait(self) -> None:
        while not self._released.is_set():  # noqa: ASYNC110 - released from another thread
            await asyncio.sleep(0.005)


Step = bytes | float | Cut | Wait


@dataclass(frozen=True)
class Script:
    """One response. A float in `steps` is a pause in seconds. Without steps the connection is aborted."""

    steps: Sequence[Step]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})


@dataclass(frozen=True)
class Received:
    path: str
    headers: Mapping[str, str]
    body: Any


def _parse(headers: Mapping[str, str], content: bytes) -> Any:
    """A JSON value; of a form its fields by name: text, and files as (file name, content type, bytes), in a list if
    there are several of one name."""
    content_type = headers.get("content-type", "")
    if not content_type.startswith("multipart/form-data"):
        return json.loads(content)
    fields: dict[str, list[Any]] = {}
    form = message_from_bytes(f"content-type: {content_type}\r\n\r\n".encode() + content, policy=HTTP)
    for part in form.iter_parts():
        name, file_name = part.get_param("name", header="content-disposition"), part.get_filename()
        data = part.get_payload(decode=True)
        assert isinstance(data, bytes)
        value = data.decode() if file_name is None else (file_name, part.get_content_type(), data)
        fields.setdefault(str(name), []).append(value)
    return {name: values if len(values) > 1 else values[0] for name, values in fields.items()}


@dataclass
class ScriptedUpstream:
    """The running server. `client_disconnected` is set when a client disconnects before the end of its response."""

    scripts: Mapping[str, Script | Callable[[Any], Script]]
    url: str = ""
    requests: list[Received] = field(default_factory=list[Received])
    client_disconnected: threading.Event = field(default_factory=threading.Event)
    connections: int = 0
    concurrent: int = 0
    max_concurrent: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while await self._respond(reader, writer):
                pass
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def _respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        request_line, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = _parse(headers, await reader.readexactly(int(headers.get("content-length", "0"))))
        path = request_line.split(" ")[1]
        self.requests.append(Received(path, headers, body))
        in_path = re.search(r"/(?:models?|guardrail)/([^/:]+)", path)
        script = self.scripts[unquote(in_path[1]) if in_path else body["model"]]
        script = script if isinstance(script, Script) else script(body)
        if not script.steps:
            writer.transport.abort()
            return False
        fields = "".join(f"{name}: {value}\r\n" for name, value in script.headers.items())
        writer.write(f"HTTP/1.1 {script.status} X\r\n{fields}transfer-encoding: chunked\r\n\r\n".encode())
        disconnect = asyncio.create_task(reader.read(1))
        self.concurrent += 1
        self.max_concurrent = max(self.max_concurrent, self.concurrent)
        try:
            return await self._play(script.steps, writer, disconnect)
        finally:
            self.concurrent -= 1
            disconnect.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await disconnect

    async def _play(
        self, steps: Sequence[Step], writer: asyncio.StreamWriter, disconnect: "asyncio.Task[bytes]"
    ) -> bool:
        for step in steps:
            if isinstance(step, bytes):
                writer.write(f"{len(step):x}\r\n".encode() + step + b"\r\n")
                await writer.drain()
                continue
            if isinstance(step, Cut):
                writer.transport.abort()
                return False
            pause = asyncio.create_task(step.wait() if isinstance(step, Wait) else asyncio.sleep(step))
            await asyncio.wait({pause, disconnect}, return_when=asyncio.FIRST_COMPLETED)
            pause.cancel()
            if disconnect.done():
                self.client_disconnected.set()
                return False
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return False


@contextlib.contextmanager
def scripted_upstream(scripts: Mapping[str, Script | Callable[[Any], Script]]) -> Generator[ScriptedUpstream]:
    """The server on a free port of loopback, in a thread, until the block ends."""
    upstream = ScriptedUpstream(scripts)
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def run() -> None:
        server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
        upstream.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ready.set()
        await stop.wait()
        server.close()
        open_tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in open_tasks:
            task.cancel()
        await asyncio.gather(*open_tasks, return_exceptions=True)

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), daemon=True)
    thread.start()
    ready.wait()
    try:
        yield upstream
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
