"""A provider's answer, read by what it is: some send a stream for a whole answer or the other way round, and some say
under `application/json` what is none, so neither the request nor the content type decides.
"""

import re
from collections.abc import AsyncIterator, Iterable

from tollgate.gateway.accumulation import ChunkAccumulator, to_chunks
from tollgate.gateway.errors import GatewayError, UpstreamError
from tollgate.gateway.ports import Adapter, UpstreamResponse
from tollgate.gateway.routing import Route
from tollgate.gateway.types import ChatRequest, Chunk, Completion

Batch = tuple[list[Chunk], GatewayError | None]
"""The chunks of one read, and the failure that it ended in, if any: what came before it still counts."""

MAX_FOLDED_BYTES = 16 * 1024 * 1024
"""Of a stream that is read as a whole answer; as many as a whole one may have."""

_BOM = b"\xef\xbb\xbf"
_JSON = re.compile(rb"[{\[]")
_EVENTS = re.compile(rb"(?:data|event|id|retry)?:|\x00")
"""How server-sent events begin (WHATWG HTML, 9.2), or the length of a frame of AWS's event stream, which is short."""
_MARK_LENGTH = 6


class ResponseReader:
    """Reads one answer, once, whole or as a stream, whichever is wanted."""

    def __init__(self, adapter: Adapter, request: ChatRequest, route: Route, answer: UpstreamResponse) -> None:
        self._adapter = adapter
        self._request = request
        self._route = route
        self._answer = answer

    async def whole(self) -> Completion:
        """The whole answer. Raises GatewayError."""
        source = self._answer.stream()
        head = await _head(source, _MARK_LENGTH)
        if not _EVENTS.match(head):
            return self._parsed(head + await self._answer.read())
        folding = ChunkAccumulator()
        async for chunks, error in self._parse(head, _bounded(source)):
            for chunk in chunks:
                folding.add(chunk)
            if error is not None:
                raise error
        return folding.completion()

    async def batches(self) -> AsyncIterator[Batch]:
        """The chunks of each read of a stream."""
        source = self._answer.stream()
        head = await _head(source, 1)
        if not _JSON.match(head):
            async for batch in self._parse(head, source):
                yield batch
            return
        completion = self._parsed(head + await self._answer.read())
        yield to_chunks(completion), None

    def _parsed(self, body: bytes) -> Completion:
        return self._adapter.parse_response(body, self._request, self._route)

    async def _parse(self, head: bytes, source: AsyncIterator[bytes]) -> AsyncIterator[Batch]:
        parser = self._adapter.open_stream(self._request, self._route)
        data: bytes | None = head
        grace: float | None = None
        while data is not None:
            chunks, error = _drain(parser.feed(data))
            yield chunks, error
            if parser.done:
                return
            if chunks or parser.grace != grace:  # what says nothing keeps no stream open that has ended
                grace = parser.grace
                self._answer.end_within(grace)
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
        if size > MAX_FOLDED_BYTES:
            raise UpstreamError("The provider's answer is too large.")
        yield data


def _drain(chunks: Iterable[Chunk]) -> Batch:
    batch: list[Chunk] = []
    try:
        for chunk in chunks:
            batch.append(chunk)
    except GatewayError as error:
        return batch, error
    return batch, None
