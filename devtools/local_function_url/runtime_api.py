"""The Runtime API of one environment: delivers invocations and records their responses chunk by chunk.

Sources: "Building a custom runtime" in the Lambda developer guide, and AWS's open-source runtime interface emulator.
"""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

from devtools.local_function_url import http1
from devtools.local_function_url.invocations import Chunk, Faults, Invocation, ResponseBegun
from devtools.local_function_url.listener import Listener

_PREFIX = "/2018-06-01/runtime"
_INTEGRATION_RESPONSE = "application/vnd.awslambda.http-integration-response"
_TIMEOUT_GRACE = 0.5
"""Seconds after the deadline at which an invocation times out: on a busy machine, a process is late by some of it."""
_CLOSE = (("connection", "close"),)
_STATUS_OK = b'{"status":"OK"}'


class RuntimeApi:
    """The server of the Runtime API for one process.

    ``on_timeout`` is called when an invocation times out. None means that the process runs several invocations at once
    (Managed Instances): it is not killed, and a late response gets status 410.
    """

    def __init__(
        self,
        queue: asyncio.Queue[Invocation],
        faults: Faults,
        timeout: float,
        on_timeout: Callable[[], None] | None,
    ) -> None:
        self.init_errors: list[dict[str, Any]] = []
        self.restore_errors: list[dict[str, Any]] = []
        self.ready = False
        self.listener = Listener(self._serve)
        self._queue = queue
        self._faults = faults
        self._timeout = timeout
        self._on_timeout = on_timeout
        self._running: dict[str, Invocation] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._waiting: set[asyncio.Task[Any]] = set()
        self._last: Invocation | None = None

    async def drain(self) -> None:
        """Read what the ended process has sent, then finish its invocations and abort its connections."""
        self.ready = False
        for task in self._waiting:
            task.cancel()
        await self.listener.drain(seconds=1.0)
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for invocation in list(self._running.values()):
            self._remove(invocation)
            invocation.finish("exited")
        await self.listener.abort_connections()

    async def _serve(self, reader: http1.RecordingReader, writer: asyncio.StreamWriter) -> None:
        while (head := await http1.read_request(reader)) is not None:
            stays_open = await self._call(head, reader, writer)
            await writer.drain()
            if not stays_open or head.get("connection").lower() == "close":
                return
            reader.first_read = b""

    async def _call(self, head: http1.RequestHead, reader: http1.RecordingReader, writer: asyncio.StreamWriter) -> bool:
        """Serve one call. Returns whether the connection stays open."""
        path = head.target.removeprefix(_PREFIX)
        if path == "/invocation/next":
            writer.write(await self._next())
        elif path == "/restore/next":
            writer.write(http1.response(200, b""))
        elif path in ("/init/error", "/restore/error"):
            errors = self.init_errors if path == "/init/error" else self.restore_errors
            errors.append(_error(head, await http1.read_body(reader, head)))
            writer.write(http1.response(202, _STATUS_OK))
        else:
            return await self._invocation_call(path, head, reader, writer)
        return True

    async def _next(self) -> bytes:
        self.ready = True
        if self._last and not self._last.released.is_set():
            self._last.next_at = time.monotonic()
            self._last.released.set()
            if self._on_timeout:
                self._cancel_timer(self._last)
        if self._faults.next_statuses:
            return http1.response(self._faults.next_statuses.pop(0), b"{}")
        task = asyncio.current_task()
        assert task
        self._waiting.add(task)
        try:
            invocation = await self._queue.get()
        finally:
            self._waiting.discard(task)
        self._last = invocation
        self._running[invocation.request_id] = invocation
        invocation.delivered_at = time.monotonic()
        invocation.deadline_ms = int((time.time() + self._timeout) * 1000)
        loop = asyncio.get_running_loop()
        end = self._timeout + _TIMEOUT_GRACE
        self._timers[invocation.request_id] = loop.call_later(end, self._time_out, invocation)
        return http1.response(200, json.dumps(invocation.event).encode(), _next_fields(invocation))

    async def _invocation_call(
        self, path: str, head: http1.RequestHead, reader: http1.RecordingReader, writer: asyncio.StreamWriter
    ) -> bool:
        _, _, rest = path.partition("/invocation/")
        request_id, _, action = rest.partition("/")
        invocation = self._running.get(request_id)
        if invocation is None or action not in ("response", "error"):
            # Lambda returns 410 for an invocation that timed out. Reading the body lets the runtime get the status.
            writer.write(http1.response(410 if action == "response" else 400, b"{}", _CLOSE))
            await reader.read()
            return False
        if action == "error":
            invocation.headers = dict(head.fields)
            invocation.error = _error(head, await http1.read_body(reader, head))
            invocation.finish("error")
        elif not await self._response(invocation, head, reader, writer):
            return False
        self._remove(invocation)
        writer.write(http1.response(202, _STATUS_OK))
        return True

    async def _response(
        self,
        invocation: Invocation,
        head: http1.RequestHead,
        reader: http1.RecordingReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        invocation.headers = dict(head.fields)
        invocation.first_read = reader.first_read
        if self._faults.response_statuses:
            self._remove(invocation)
            invocation.finish("refused")
            writer.write(http1.response(self._faults.response_statuses.pop(0), b"{}", _CLOSE))
            await writer.drain()
            await reader.read()
            return False
        if self._faults.read_delay:
            await asyncio.sleep(self._faults.read_delay)
        try:
            if head.get("content-type") == _INTEGRATION_RESPONSE:
                await _read_stream(invocation, reader)
                invocation.finish("streamed")
            else:
                invocation.response = json.loads(await http1.read_body(reader, head))
                invocation.finish("buffered")
        except (EOFError, OSError, ValueError):
            self._remove(invocation)
            invocation.finish("truncated")
            return False
        return True

    def _time_out(self, invocation: Invocation) -> None:
        self._remove(invocation)
        invocation.finish("timeout")
        if self._on_timeout:
            self._on_timeout()

    def _remove(self, invocation: Invocation) -> None:
        self._running.pop(invocation.request_id, None)
        # The app may still run after its response. If the process has one invocation at a time, its timeout continues.
        if not self._on_timeout:
            self._cancel_timer(invocation)

    def _cancel_timer(self, invocation: Invocation) -> None:
        if timer := self._timers.pop(invocation.request_id, None):
            timer.cancel()


def _next_fields(invocation: Invocation) -> list[tuple[str, str]]:
    fields = [
        ("Content-Type", "application/json"),
        ("Lambda-Runtime-Aws-Request-Id", invocation.request_id),
        ("Lambda-Runtime-Deadline-Ms", str(invocation.deadline_ms)),
        ("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:123456789012:function:local"),
        ("Lambda-Runtime-Trace-Id", invocation.trace_id),
        ("Lambda-Runtime-Invocation-Id", invocation.invocation_id),
    ]
    return [*fields, ("Lambda-Runtime-Aws-Tenant-Id", invocation.tenant_id)] if invocation.tenant_id else fields


async def _read_stream(invocation: Invocation, reader: asyncio.StreamReader) -> None:
    """Read a streamed response: prelude, delimiter, payload and trailers."""
    start = b""
    while data := await http1.read_chunk(reader):
        invocation.chunk_sizes.append(len(data))
        if invocation.prelude is None:
            start += data
            prelude, delimiter, data = start.partition(http1.DELIMITER)
            if not delimiter:
                continue
            invocation.prelude = json.loads(prelude)
            invocation.parts.put_nowait(ResponseBegun(json.loads(prelude)))
        if data:
            invocation.chunks.append(Chunk(time.monotonic(), data))
            invocation.parts.put_nowait(data)
    invocation.trailers = await http1.read_trailers(reader)


def _error(head: http1.RequestHead, body: bytes) -> dict[str, Any]:
    posted: dict[str, Any] = json.loads(body)
    return {**posted, "header": head.get("lambda-runtime-function-error-type")}
