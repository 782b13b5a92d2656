"""A client of Lambda's Runtime API: gets invocations, posts responses and errors, on connections that stay open.

Sources: "Building a custom runtime" in the Lambda developer guide, and the open-source runtime interface emulator.
"""

import asyncio
import json
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress

from streaming_runtime import http1
from streaming_runtime.failures import ERROR_BODY, ERROR_TYPE
from streaming_runtime.invocation import Invocation

PREFIX = "/2018-06-01/runtime"
INTEGRATION_RESPONSE = "application/vnd.awslambda.http-integration-response"
ACCEPTED = 202

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]

# With a read buffer of 1 MiB, a 6 MB event arrives in few reads.
_BUFFER = 1024 * 1024


class RuntimeApiError(Exception):
    """The Runtime API sent an unexpected response."""


class DeadConnectionError(EOFError):
    """The connection broke before a byte of a response."""


class ResponseRefusedError(ConnectionError):
    """Lambda does not accept the response, or the rest of it.

    It is an OSError, as ASGI 2.4 requires of a ``send`` after a disconnect.
    """


class ResponseStream:
    """One streamed POST to /response that has begun.

    A task reads Lambda's status from the start, because a rejection (410, 413) may come before the end of the stream.
    """

    def __init__(self, connection: Connection, *, ended: bool, keep: Callable[[Connection], None]) -> None:
        self._connection = connection
        self._writer = connection[1]
        self._ended = ended
        self._keep = keep
        self._status = asyncio.create_task(_read_status(connection[0]))

    async def write(self, data: bytes, *, last: bool = False) -> None:
        """Send a payload and, with ``last``, the end of the body. Raises ResponseRefusedError."""
        rest = memoryview(data) if len(data) > http1.MAX_CHUNK else data
        while len(rest) > http1.MAX_CHUNK:
            await self._put(http1.chunk(rest[: http1.MAX_CHUNK]))
            rest = rest[http1.MAX_CHUNK :]
        if rest or last:
            self._ended = last
            await self._put(http1.chunk(rest, last=last))

    async def end(self, data: bytes, trailers: http1.Fields) -> None:
        """Send a last payload and the end of the body with trailers, unless the end was already sent."""
        if not self._ended:
            self._ended = True
            await self._put(http1.chunk(data) + http1.last_chunk(trailers))

    async def finish(self) -> int | None:
        """Wait for Lambda's HTTP status. Returns None if the connection broke before the status."""
        head = await self._status
        if head is not None and head.status == ACCEPTED and self._ended and _stays_open(head):
            self._keep(self._connection)
            return ACCEPTED
        # After a rejection, Lambda may not read the bytes in the buffer; a normal close would wait for that.
        self._writer.transport.abort()
        await _close(self._writer)
        return None if head is None else head.status

    def abort(self) -> None:
        """Drop the connection without the end of the body; Lambda reports the response as truncated."""
        self._status.cancel()
        self._writer.transport.abort()

    async def _put(self, frame: bytes) -> None:
        if self._status.done():
            raise ResponseRefusedError("Lambda sent a status before the response was complete")
        try:
            self._writer.write(frame)
            await self._writer.drain()
        except ConnectionError as error:
            raise ResponseRefusedError("the connection to the Runtime API broke") from error


class RuntimeApi:
    """The Runtime API at ``address`` (``host:port``, from AWS_LAMBDA_RUNTIME_API).

    Every call may raise OSError or EOFError if the Runtime API is not available.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        host, _, port = address.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self._idle: list[Connection] = []

    async def aclose(self) -> None:
        """Close the open connections."""
        while self._idle:
            await _close(self._idle.pop()[1])

    async def next(self) -> Invocation:
        """Wait for an invocation, without a timeout: the process may be frozen meanwhile. Raises RuntimeApiError."""
        head, payload = await self._call_kept("GET", "/invocation/next")
        if head.status != 200:
            raise RuntimeApiError(f"/invocation/next returned HTTP status {head.status}")
        try:
            return Invocation.from_fields(head.fields, payload)
        except (KeyError, ValueError) as error:
            raise RuntimeApiError(f"/invocation/next returned invalid headers: {error!r}") from error

    async def connect_response(self) -> Connection:
        """A connection for one streamed response."""
        return self._take_idle() or await self._connect()

    def begin_response(
        self,
        connection: Connection,
        invocation: Invocation,
        first: bytes,
        *,
        last: bool,
    ) -> ResponseStream:
        """Begin a streamed response: request head and first payload are sent at once, in ONE write.

        API Gateway fails to parse a prelude that arrives in several pieces.
        """
        fields = [
            ("Content-Type", INTEGRATION_RESPONSE),
            ("Lambda-Runtime-Function-Response-Mode", "streaming"),
            ("Transfer-Encoding", "chunked"),
            ("Trailer", f"{ERROR_TYPE}, {ERROR_BODY}"),
            *_invocation_id(invocation),
        ]
        path = f"{PREFIX}/invocation/{invocation.request_id}/response"
        head = http1.request_head("POST", path, self._address, fields)
        connection[1].write(head + http1.chunk(first, last=last))
        return ResponseStream(connection, ended=last, keep=self._idle.append)

    async def post_response(self, invocation: Invocation, body: bytes) -> int:
        """Post a whole (buffered) response. Returns the HTTP status."""
        fields = [("Content-Type", "application/json"), *_invocation_id(invocation)]
        head, _ = await self._call_kept("POST", f"/invocation/{invocation.request_id}/response", fields, body)
        return head.status

    async def post_error(self, invocation: Invocation, error_type: str, message: str) -> int:
        """Post the failure of an invocation whose response has not begun. Returns the HTTP status."""
        path = f"/invocation/{invocation.request_id}/error"
        return await self._post_error(path, error_type, message, _invocation_id(invocation))

    async def post_init_error(self, error_type: str, message: str, stack: Sequence[str] = ()) -> int:
        """Report that the function cannot start. The process must exit afterwards."""
        return await self._post_error("/init/error", error_type, message, stack=stack)

    async def restore_next(self) -> None:
        """Report that the process is ready for its SnapStart snapshot. Returns in the restored process."""
        head, _ = await self._call("GET", "/restore/next")
        if head.status != 200:
            raise RuntimeApiError(f"/restore/next returned HTTP status {head.status}")

    async def post_restore_error(self, error_type: str, message: str) -> int:
        """Report that an after-restore hook failed. The process must exit afterwards."""
        return await self._post_error("/restore/error", error_type, message)

    async def _post_error(
        self, path: str, error_type: str, message: str, fields: http1.Fields = (), stack: Sequence[str] = ()
    ) -> int:
        body = json.dumps({"errorMessage": message, "errorType": error_type, "stackTrace": list(stack)}).encode()
        error_fields = [("Content-Type", "application/json"), (ERROR_TYPE, error_type)]
        head, _ = await self._call("POST", path, [*error_fields, *fields], body)
        return head.status

    async def _call_kept(
        self, method: str, path: str, fields: http1.Fields = (), body: bytes = b""
    ) -> tuple[http1.Head, bytes]:
        """A call on an open connection, if there is one that still works, or on a new one, which stays open."""
        while connection := self._take_idle():
            with suppress(DeadConnectionError):
                return await self._exchange(connection, method, path, fields, body)
        return await self._exchange(await self._connect(), method, path, fields, body)

    async def _call(
        self, method: str, path: str, fields: http1.Fields = (), body: bytes = b""
    ) -> tuple[http1.Head, bytes]:
        """A call on a connection of its own."""
        return await self._exchange(await self._connect(), method, path, [*fields, ("Connection", "close")], body)

    async def _exchange(
        self, connection: Connection, method: str, path: str, fields: http1.Fields, body: bytes
    ) -> tuple[http1.Head, bytes]:
        reader, writer = connection
        if method == "POST":
            fields = [*fields, ("Content-Length", str(len(body)))]
        kept = False
        try:
            head = await _send(connection, http1.request_head(method, PREFIX + path, self._address, fields) + body)
            payload = await http1.read_body(reader, head)
            kept = _stays_open(head)
        finally:
            if kept:
                self._idle.append(connection)
            else:
                await _close(writer)
        return head, payload

    def _take_idle(self) -> Connection | None:
        while self._idle:
            reader, writer = self._idle.pop()
            if not (reader.at_eof() or writer.is_closing()):
                return reader, writer
            writer.close()
        return None

    async def _connect(self) -> Connection:
        reader, writer = await asyncio.open_connection(self._host, self._port, limit=_BUFFER)
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return reader, writer


def _invocation_id(invocation: Invocation) -> list[tuple[str, str]]:
    # Sent by Lambda since 2026. With it, Lambda distinguishes a late response from the one it waits for.
    return [("Lambda-Runtime-Invocation-Id", invocation.invocation_id)] if invocation.invocation_id else []


async def _send(connection: Connection, request: bytes) -> http1.Head:
    """Send a request and read the head of its response. Raises DeadConnectionError."""
    reader, writer = connection
    try:
        writer.write(request)
        await writer.drain()
        return await http1.read_head(reader)
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        raise DeadConnectionError("the Runtime API closed the connection") from error
    except ConnectionError as error:
        raise DeadConnectionError("the connection to the Runtime API broke") from error


async def _read_status(reader: asyncio.StreamReader) -> http1.Head | None:
    try:
        head = await http1.read_head(reader)
        if _stays_open(head):
            await http1.read_body(reader, head)
    except (OSError, EOFError, ValueError, asyncio.LimitOverrunError):
        return None
    return head


def _stays_open(head: http1.Head) -> bool:
    """Whether the connection can be used again: the body has an end of its own, and the peer does not close."""
    fields = head.fields
    has_end = "content-length" in fields or fields.get("transfer-encoding", "").lower() == "chunked"
    return has_end and fields.get("connection", "").lower() != "close"


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
