"""Reads a provider's response by what it is: some providers send a stream where a whole response was requested or the
other way round, and some label a stream `application/json`, so neither the request nor the content type decides.
"""

import re
from collections.abc import AsyncIterator, Iterable

from tollgate.gateway.accumulation import ChunkAccumulator, to_chunks
from tollgate.gateway.chat import Chunk, Completion
from tollgate.gateway.errors import GatewayError, UpstreamError
from tollgate.gateway.ports import ProviderCall, StreamParser, UpstreamResponse
from tollgate.gateway.types import Result

Batch = tuple[list[Chunk], GatewayError | None]
"""The chunks of one read, and the failure that it ended in, if any: what came before it still counts."""

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

    async def whole(self) -> Result:
        """The whole response. Raises GatewayError."""
        source = self._response.stream()
        head = await _head(source, _MARK_LENGTH)
        parser = self._call.open_stream() if _EVENTS.match(head) else None
        if parser is None:
            return self._call.parse_response(head + await self._response.read())
        accumulator = ChunkAccumulator()
        async for chunks, error in self._parse(parser, head, _bounded(source)):
            for chunk in chunks:
                accumulator.add(chunk)
            if error is not None:
                raise error
        return accumulator.completion()

    async def batches(self) -> AsyncIterator[Batch]:
        """The chunks of each read of a stream."""
        source = self._response.stream()
        head = await _head(source, 1)
        parser = None if _JSON.match(head) else self._call.open_stream()
        if parser is not None:
            async for batch in self._parse(parser, head, source):
                yield batch
            return
        completion = self._call.parse_response(head + await self._response.read())
        assert isinstance(completion, Completion)
        yield to_chunks(completion), None

    async def _parse(self, parser: StreamParser, head: bytes, source: AsyncIterator[bytes]) -> AsyncIterator[Batch]:
        data: bytes | None = head
        grace: float | None = None
        while data is not None:
            chunks, error = _drain(parser.feed(data))
            yield chunks, error
            if parser.done:
                return
            if chunks or parser.grace != grace:  # a heartbeat does not keep a finished stream open
                grace = parser.grace
                self._response.end_within(grace)
            data = await anext(source, None)
        yield _drain(parser.close())


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


def _drain(chunks: Iterable[Chunk]) -> Batch:
    batch: list[Chunk] = []
    try:
        for chunk in chunks:
            batch.append(chunk)
    except GatewayError as error:
        return batch, error
    return batch, None
