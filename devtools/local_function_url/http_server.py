"""The HTTP server of the function URL: turns requests into invocations and streams their responses."""

import asyncio
import binascii
import json
from collections.abc import Callable, Mapping
from email.utils import formatdate
from typing import Any

from devtools.local_function_url import event, http1
from devtools.local_function_url.invocations import Invocation, ResponseBegun, ResponseEnded
from devtools.local_function_url.listener import Listener

MAX_EVENT = 6 * 1024 * 1024
"""Maximum size of an event in bytes, with the encoded body (Lambda quotas: 6 MB for a synchronous invocation)."""

HEAD_SECONDS = 10.0
"""Timeout for a request line and its headers; also closes idle connections."""
BODY_SECONDS = 60.0

_FRAMING = ("connection", "content-length", "transfer-encoding")
_JSON = ("content-type", "application/json")
_BAD_GATEWAY = http1.response(502, b"Internal Server Error", [("content-type", "text/plain")])


class HttpServer:
    """Listens for HTTP and submits an invocation for each request. ``new_ids`` returns a request id and a trace id."""

    def __init__(
        self, submit: Callable[[dict[str, Any], str, str], Invocation], new_ids: Callable[[], tuple[str, str]]
    ):
        self.listener = Listener(self._serve)
        self._submit = submit
        self._new_ids = new_ids

    async def _serve(self, reader: http1.RecordingReader, writer: asyncio.StreamWriter) -> None:
        while (head := await self._read_head(reader)) is not None:
            if head.get("expect").lower() == "100-continue":
                writer.write(http1.response_head(100, []))
            keep_alive = head.version == "HTTP/1.1" and head.get("connection").lower() != "close"
            invocation = await self._invoke(head, reader, writer)
            if invocation is None:
                writer.write(http1.response(413, b'{"Message":"Request Too Long"}', [_JSON]))
            elif not await _respond(invocation, head, writer):
                # The client must see that the response is not complete: there is no last chunk and no normal close.
                await writer.drain()
                writer.transport.abort()
                return
            await writer.drain()
            if not keep_alive:
                return

    @staticmethod
    async def _read_head(reader: http1.RecordingReader) -> http1.RequestHead | None:
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                return await http1.read_request(reader)
        except TimeoutError:
            return None

    async def _invoke(
        self, head: http1.RequestHead, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Invocation | None:
        """Submit an invocation for a request; None if its event is too large."""
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await http1.read_body(reader, head, limit=MAX_EVENT)
        except http1.TooLargeError:
            return None
        request_id, trace_id = self._new_ids()
        source_ip = str(writer.get_extra_info("peername")[0])
        port = int(writer.get_extra_info("sockname")[1])
        payload = event.from_request(
            head, body, request_id=request_id, trace_id=trace_id, source_ip=source_ip, port=port
        )
        if len(body) > MAX_EVENT // 2 and len(json.dumps(payload, ensure_ascii=False).encode()) > MAX_EVENT:
            return None
        return self._submit(payload, request_id, trace_id)


async def _respond(invocation: Invocation, head: http1.RequestHead, writer: asyncio.StreamWriter) -> bool:
    """Send the response of an invocation. Returns False if it ended before it was complete."""
    first = await invocation.parts.get()
    if isinstance(first, ResponseBegun):
        return await _stream(invocation, first.prelude, head, writer)
    writer.write(_buffered(invocation) if invocation.outcome == "buffered" else _BAD_GATEWAY)
    return True


async def _stream(
    invocation: Invocation, prelude: Mapping[str, Any], head: http1.RequestHead, writer: asyncio.StreamWriter
) -> bool:
    status = int(prelude.get("statusCode", 200))
    has_body = head.method != "HEAD" and status not in (204, 304)
    fields = _fields(prelude, invocation)
    writer.write(http1.response_head(status, [*fields, ("transfer-encoding", "chunked")] if has_body else fields))
    while not isinstance(part := await invocation.parts.get(), ResponseEnded):
        if isinstance(part, bytes) and has_body:
            writer.write(http1.chunk(part))
            await writer.drain()
    if part.complete and has_body:
        writer.write(http1.LAST_CHUNK)
    return part.complete


def _buffered(invocation: Invocation) -> bytes:
    response: dict[str, Any] = invocation.response
    body: str = response.get("body") or ""
    payload = binascii.a2b_base64(body) if response.get("isBase64Encoded") else body.encode()
    return http1.response(int(response.get("statusCode", 200)), payload, _fields(response, invocation))


def _fields(response: Mapping[str, Any], invocation: Invocation) -> list[tuple[str, str]]:
    headers: Mapping[str, str] = response.get("headers") or {}
    cookies: list[str] = response.get("cookies") or []
    return [
        *((name, str(value)) for name, value in headers.items() if name.lower() not in _FRAMING),
        *(("set-cookie", cookie) for cookie in cookies),
        ("date", formatdate(usegmt=True)),
        ("x-amzn-requestid", invocation.request_id),
    ]
