"""The Runtime API of one environment: hands out work, takes answers apart chunk by chunk, keeps the record.

Sources: "Building a custom runtime" in the Lambda developer guide, and AWS's open-source runtime interface emulator.
"""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

from devtools.local_function_url import wire
from devtools.local_function_url.listener import Listener
from devtools.local_function_url.records import Chunk, Invocation, Opened, Script

_PREFIX = "/2018-06-01/runtime"
_INTEGRATION_RESPONSE = "application/vnd.awslambda.http-integration-response"
_STATUS_OK = b'{"status":"OK"}'


class RuntimeApi:
    """One environment's end of the protocol.

    ``expire`` is called when an invocation is over its deadline; None means that several share the process (Managed
    Instances), where nobody is killed and a late answer is told 410.
    """

    def __init__(
        self,
        queue: asyncio.Queue[Invocation],
        script: Script,
        timeout: float,
        expire: Callable[[], None] | None,
    ) -> None:
        self.init_errors: list[dict[str, Any]] = []
        self.restore_errors: list[dict[str, Any]] = []
        self.ready = False
        self.listener = Listener(self._serve)
        self._queue = queue
        self._script = script
        self._timeout = timeout
        self._expire = expire
        self._running: dict[str, Invocation] = {}
        self._alarms: dict[str, asyncio.TimerHandle] = {}
        self._waiting: set[asyncio.Task[Any]] = set()
        self._last: Invocation | None = None

    async def close(self) -> None:
        """The process is gone: hear out what it had said before, then give up its invocations and connections."""
        self.ready = False
        for task in self._waiting:
            task.cancel()
        await self.listener.drain(seconds=1.0)
        for alarm in self._alarms.values():
            alarm.cancel()
        self._alarms.clear()
        for invocation in list(self._running.values()):
            self._forget(invocation)
            invocation.close("exited")
        await self.listener.drop_connections()

    async def _serve(self, reader: wire.TapReader, writer: asyncio.StreamWriter) -> None:
        head = await wire.read_request(reader)
        if head is None:
            return
        path = head.target.removeprefix(_PREFIX)
        if path == "/invocation/next":
            writer.write(await self._next())
        elif path == "/restore/next":
            writer.write(wire.answer(200, b""))
        elif path in ("/init/error", "/restore/error"):
            errors = self.init_errors if path == "/init/error" else self.restore_errors
            errors.append(_error(head, await wire.read_body(reader, head)))
            writer.write(wire.answer(202, _STATUS_OK))
        else:
            await self._invocation_call(path, head, reader, writer)
        await writer.drain()

    async def _next(self) -> bytes:
        self.ready = True
        if self._last and not self._last.released.is_set():
            self._last.next_at = time.monotonic()
            self._last.released.set()
            if self._expire:
                self._disarm(self._last)
        if self._script.next_statuses:
            return wire.answer(self._script.next_statuses.pop(0), b"{}")
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
        self._alarms[invocation.request_id] = loop.call_later(self._timeout, self._overdue, invocation)
        return wire.answer(200, json.dumps(invocation.event).encode(), _next_fields(invocation))

    async def _invocation_call(
        self, path: str, head: wire.RequestHead, reader: wire.TapReader, writer: asyncio.StreamWriter
    ) -> None:
        _, _, rest = path.partition("/invocation/")
        request_id, _, verb = rest.partition("/")
        invocation = self._running.get(request_id)
        if invocation is None or verb not in ("response", "error"):
            # Gone is what Lambda says of an invocation that timed out; the body is heard out, so that the answer is.
            writer.write(wire.answer(410 if verb == "response" else 400, b"{}"))
            await reader.read()
            return
        if verb == "error":
            invocation.headers = dict(head.fields)
            invocation.error = _error(head, await wire.read_body(reader, head))
            invocation.close("error")
        elif not await self._response(invocation, head, reader, writer):
            return
        self._forget(invocation)
        writer.write(wire.answer(202, _STATUS_OK))

    async def _response(
        self, invocation: Invocation, head: wire.RequestHead, reader: wire.TapReader, writer: asyncio.StreamWriter
    ) -> bool:
        invocation.headers = dict(head.fields)
        invocation.first_read = reader.first_read
        if self._script.response_statuses:
            self._forget(invocation)
            invocation.close("refused")
            writer.write(wire.answer(self._script.response_statuses.pop(0), b"{}"))
            await writer.drain()
            await reader.read()
            return False
        if self._script.hold_reading:
            await asyncio.sleep(self._script.hold_reading)
        try:
            if head.get("content-type") == _INTEGRATION_RESPONSE:
                await _relay(invocation, reader)
                invocation.close("streamed")
            else:
                invocation.response = json.loads(await wire.read_body(reader, head))
                invocation.close("buffered")
        except (EOFError, OSError, ValueError):
            self._forget(invocation)
            invocation.close("truncated")
            return False
        return True

    def _overdue(self, invocation: Invocation) -> None:
        self._forget(invocation)
        invocation.close("timeout")
        if self._expire:
            self._expire()

    def _forget(self, invocation: Invocation) -> None:
        self._running.pop(invocation.request_id, None)
        # The process may still be at work on what comes after the answer: where it is alone, the clock runs on.
        if not self._expire:
            self._disarm(invocation)

    def _disarm(self, invocation: Invocation) -> None:
        if alarm := self._alarms.pop(invocation.request_id, None):
            alarm.cancel()


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


async def _relay(invocation: Invocation, reader: asyncio.StreamReader) -> None:
    """Take a streamed answer apart as it comes: prelude, delimiter, payload, trailers."""
    opening = b""
    while data := await wire.read_chunk(reader):
        invocation.chunk_sizes.append(len(data))
        if invocation.prelude is None:
            opening += data
            before, delimiter, data = opening.partition(wire.DELIMITER)
            if not delimiter:
                continue
            invocation.prelude = json.loads(before)
            invocation.parts.put_nowait(Opened(json.loads(before)))
        if data:
            invocation.chunks.append(Chunk(time.monotonic(), data))
            invocation.parts.put_nowait(data)
    invocation.trailers = await wire.read_trailers(reader)


def _error(head: wire.RequestHead, body: bytes) -> dict[str, Any]:
    posted: dict[str, Any] = json.loads(body)
    return {**posted, "header": head.get("lambda-runtime-function-error-type")}
