"""The HTTP door: takes requests over keep-alive connections, passes answers on chunk by chunk, like a function URL."""

import asyncio
import binascii
import json
from collections.abc import Callable, Mapping
from typing import Any

from devtools.local_function_url import event, wire
from devtools.local_function_url.listener import Listener
from devtools.local_function_url.records import Closed, Invocation, Opened

MAX_EVENT = 6 * 1024 * 1024
"""Most bytes of an event, body encoding included (Lambda quotas: 6 MB for a synchronous invocation)."""


HEAD_SECONDS = 10.0
"""How long a request line and its headers may take; a connection that says nothing for so long is closed."""
BODY_SECONDS = 60.0


class Front:
    """Listens for HTTP and turns each request into an invocation. ``new_ids`` gives a request id and a trace id."""

    def __init__(
        self, submit: Callable[[dict[str, Any], str, str], Invocation], new_ids: Callable[[], tuple[str, str]]
    ):
        self.listener = Listener(self._serve)
        self._submit = submit
        self._new_ids = new_ids

    async def _serve(self, reader: wire.TapReader, writer: asyncio.StreamWriter) -> None:
        while (head := await self._head(reader)) is not None:
            if head.get("expect").lower() == "100-continue":
                writer.write(wire.answer_head(100, []))
            keep = head.version == "HTTP/1.1" and head.get("connection").lower() != "close"
            invocation = await self._take(head, reader, writer)
            if invocation is None:
                writer.write(wire.answer(413, b'{"Message":"Request Too Long"}', [_JSON]))
            elif not await _answer(invocation, head, writer):
                # The caller must see that the answer is not whole: no last chunk, no polite close.
                await writer.drain()
                writer.transport.abort()
                return
            await writer.drain()
            if not keep:
                return

    @staticmethod
    async def _head(reader: wire.TapReader) -> wire.RequestHead | None:
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                return await wire.read_request(reader)
        except TimeoutError:
            return None

    async def _take(
        self, head: wire.RequestHead, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Invocation | None:
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await wire.read_body(reader, head, limit=MAX_EVENT)
        except wire.TooLargeError:
            return None
        request_id, trace_id = self._new_ids()
        source_ip = str(writer.get_extra_info("peername")[0])
        port = int(writer.get_extra_info("sockname")[1])
        made = event.from_request(head, body, request_id=request_id, trace_id=trace_id, source_ip=source_ip, port=port)
        if len(body) > MAX_EVENT // 2 and len(json.dumps(made, ensure_ascii=False).encode()) > MAX_EVENT:
            return None
        return self._submit(made, request_id, trace_id)


_FRAMING = ("connection", "content-length", "transfer-encoding")
_JSON = ("content-type", "application/json")
_BROKEN = wire.answer(502, b"Internal Server Error", [("content-type", "text/plain")])


async def _answer(invocation: Invocation, head: wire.RequestHead, writer: asyncio.StreamWriter) -> bool:
    """Pass one answer on. Gives False when it was cut off after its head had gone out."""
    first = await invocation.parts.get()
    if isinstance(first, Opened):
        return await _stream(invocation, first.prelude, head, writer)
    writer.write(_buffered(invocation) if invocation.outcome == "buffered" else _BROKEN)
    return True


async def _stream(
    invocation: Invocation, prelude: Mapping[str, Any], head: wire.RequestHead, writer: asyncio.StreamWriter
) -> bool:
    status = int(prelude.get("statusCode", 200))
    bare = head.method == "HEAD" or status in (204, 304)
    fields = _fields(prelude, invocation)
    writer.write(wire.answer_head(status, fields if bare else [*fields, ("transfer-encoding", "chunked")]))
    while not isinstance(part := await invocation.parts.get(), Closed):
        if isinstance(part, bytes) and not bare:
            writer.write(wire.chunk(part))
            await writer.drain()
    if part.whole and not bare:
        writer.write(wire.LAST_CHUNK)
    return part.whole


def _buffered(invocation: Invocation) -> bytes:
    answer: dict[str, Any] = invocation.response
    body: str = answer.get("body") or ""
    payload = binascii.a2b_base64(body) if answer.get("isBase64Encoded") else body.encode()
    return wire.answer(int(answer.get("statusCode", 200)), payload, _fields(answer, invocation))


def _fields(answer: Mapping[str, Any], invocation: Invocation) -> list[tuple[str, str]]:
    headers: Mapping[str, str] = answer.get("headers") or {}
    cookies: list[str] = answer.get("cookies") or []
    return [
        *((name, str(value)) for name, value in headers.items() if name.lower() not in _FRAMING),
        *(("set-cookie", cookie) for cookie in cookies),
        ("x-amzn-requestid", invocation.request_id),
    ]
