"""Reads a provider's response by what it is: some providers send a stream where a whole response was requested or the
other way round, and some label a stream `application/json`, so neither the request nor the content type decides.
"""

import re
from collections.abc import AsyncIterator, Iterable
from typing import Any

from tollgate.gateway.accumulation import ChunkAccumulator, to_chunks
from tollgate.gateway.chat import Completion
from tollgate.gateway.errors import GatewayError, UpstreamError
from tollgate.gateway.ports import ProviderCall, StreamParser, UpstreamResponse
from tollgate.gateway.types import Result

Batch = tuple[list[Any], GatewayError | None]
"""The chunks of one read, which are those of the operation, and the failure that it ended in, if any: what came before
it still counts."""

MAX_ACCUMULATED_BYTES = 16 * 1024 * 1024
"""Bytes of a stream that is read as a whole response: as many as a whole one may have."""

_BOM = b"\xef\xbb\xbf"
_JSON = re.compile(rb"[{\[]")
_EVENTS = re.compile(rb"(?:data|event|id|retry)?:|\x00")
"""How server-sent events begin (WHATWG HTML, 9.2), or the length of a frame of AWS's event stream, which is short."""
_MARK_LENGTH = 6


class ResponseReader:
    """Reads one response, once, whole or as a stream, whichever the client requested."""

    def __init__(self, call: ProviderCall, response: UpstreamResponse) -> None:
        self._call = call
        self._response = response
        self._source = response.stream()
        self._parser: StreamParser[Any] | None = None
        self._grace: float | None = None
        self._has_read = False
        self._is_at_end = False

    @property
    def content_type(self) -> str:
        """The content type of the response, in lower case; empty if it has none."""
        return self._response.headers.get("content-type", "").lower()

    async def whole(self) -> Result:
        """The whole response. Raises GatewayError."""
        head = await _head(self._source, _MARK_LENGTH)
        self._parser = self._call.open_stream() if _EVENTS.match(head) else None
        if self._parser is None:
            return self._call.parse_response(head + await self._response.read())
        accumulator = ChunkAccumulator()  # calls of other operations open a stream only if one was requested
        self._source = _bounded(self._source)
        batch: Batch | None = self._parse(self._parser, head)
        while batch is not None:
            chunks, error = batch
            for chunk in chunks:
                accumulator.add(chunk)
            if error is not None:
                raise error
            batch = await self.next_batch()
        return accumulator.completion()

    async def next_batch(self) -> Batch | None:
        """The chunks of the next read of a stream; None after its end."""
        if self._is_at_end:
            return None
        if self._parser is None:
            return await self._first_batch()
        self._limit_silence(self._parser)
        data = await anext(self._source, None)
        if data is not None:
            return self._parse(self._parser, data)
        self._is_at_end = True
        return _drain(self._parser.close())

    async def _first_batch(self) -> Batch:
        binary_types = self._call.request.binary_types
        is_binary = self.content_type.startswith(binary_types)
        head = await anext(self._source, b"") if is_binary else await _head(self._source, 1)
        if is_binary or not (binary_types or _JSON.match(head)):
            self._parser = self._call.open_stream()
        if self._parser is not None:
            return self._parse(self._parser, head)
        self._is_at_end = True
        result = self._call.parse_response(head + await self._response.read())
        return to_chunks(result) if isinstance(result, Completion) else [result], None

    def _parse(self, parser: StreamParser[Any], data: bytes) -> Batch:
        batch = _drain(parser.feed(data))
        self._is_at_end = parser.done
        self._has_read = bool(batch[0])
        return batch

    def _limit_silence(self, parser: StreamParser[Any]) -> None:
        """Wait for more of a finished stream for its grace alone; a heartbeat does not keep it open."""
        grace = parser.grace
        if grace != self._grace or (grace is not None and self._has_read):
            self._grace = grace
            self._response.end_within(grace)


async def _head(source: AsyncIterator[bytes], length: int) -> bytes:
    """The beginning of a body, without white space before it, at least so long if the body is."""
    head = b""
    async for piece in source:
        head = (head + piece).lstrip().removeprefix(_BOM).lstrip()
        if len(head) >= length:
            break
    return head


async def _bounded(source: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    size = 0
    async for data in source:
        size += len(data)
        if size > MAX_ACCUMULATED_BYTES:
            raise UpstreamError("The provider's response is too large.", code="unusable_response")
        yield data


def _drain(chunks: Iterable[Any]) -> Batch:
    batch: list[Any] = []
    try:
        for chunk in chunks:
            batch.append(chunk)
    except GatewayError as error:
        return batch, error
    return batch, None
