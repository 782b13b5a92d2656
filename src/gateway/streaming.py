"""A streamed response on its way to the client: paid for before it is passed on, and settled before its end is sent."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

from tollgate.gateway.accounting import RequestAccounting
from tollgate.gateway.admission import RefusedError
from tollgate.gateway.chat import Chunk
from tollgate.gateway.client_format import ResponseInfo
from tollgate.gateway.errors import GatewayError, InsufficientQuotaError, UpstreamError
from tollgate.gateway.ports import Clock, Ledger
from tollgate.gateway.response_reader import Batch, ResponseReader
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Usage


async def open_stream(
    info: ResponseInfo, accounting: RequestAccounting, reader: ResponseReader, ledger: Ledger, clock: Clock
) -> "StreamedResponse":
    """The stream, once its first chunk has been read. Raises GatewayError if none comes."""
    chunks = _Chunks(accounting, reader, ledger, clock)
    first = await anext(chunks, None)
    if first is None and not chunks.last:
        raise UpstreamError("The provider's stream ended before it began.")
    return StreamedResponse(info, first or [], chunks, accounting, ledger, clock)


class StreamedResponse:
    """A streamed response: lists of chunks. Its first chunk has been read, so its HTTP status is certain.

    Iteration ends after the provider's terminal marker, and raises GatewayError if the provider breaks off. The request
    is settled before the last list, or before the error: a client that sees the end may send its next request at once.
    Whoever has this object calls `settle` all the same, however far it was read.
    """

    def __init__(
        self,
        info: ResponseInfo,
        first: list[Chunk],
        rest: "_Chunks",
        accounting: RequestAccounting,
        ledger: Ledger,
        clock: Clock,
    ) -> None:
        self.info = info
        self._first = first
        self._rest = rest
        self._accounting = accounting
        self._ledger = ledger
        self._clock = clock

    @property
    def route(self) -> Route:
        """The route that answers."""
        return self._accounting.attempt.route

    @property
    def dropped(self) -> tuple[str, ...]:
        """Parameters that were changed or not sent."""
        return self._accounting.attempt.dropped

    @property
    def usage(self) -> Usage | None:
        """After the last chunk: the usage, if the provider reported it."""
        return self._accounting.attempt.reported_usage

    @property
    def usage_extra(self) -> Mapping[str, Any]:
        """Fields that came in the chunks that reported usage."""
        return self._rest.usage_extra

    async def __aiter__(self) -> AsyncIterator[list[Chunk]]:
        failure: Exception | None = None
        try:
            if self._first:
                yield self._first
            async for chunks in self._rest:
                yield chunks
        except Exception as error:
            failure = error
        await self._accounting.settle(self._ledger, self._clock)
        if self._rest.last:
            yield self._rest.last
        if failure is not None:
            raise failure

    async def settle(self) -> None:
        """Close the accounting and the connection to the provider. Settling again does nothing."""
        await self._rest.aclose()
        await self._accounting.close(self._ledger, self._clock)


class _Chunks:
    """Chunks as they come, those of one read in one list; those that clients take for the end are kept in `last`."""

    def __init__(self, accounting: RequestAccounting, reader: ResponseReader, ledger: Ledger, clock: Clock) -> None:
        self.last: list[Chunk] = []
        self.usage_extra: dict[str, Any] = {}
        self._accounting = accounting
        self._ledger = ledger
        self._clock = clock
        self._lists = self._read(reader.batches())

    def __aiter__(self) -> AsyncIterator[list[Chunk]]:
        return self._lists

    async def __anext__(self) -> list[Chunk]:
        return await anext(self._lists)

    async def aclose(self) -> None:
        """Read no further."""
        await self._lists.aclose()

    async def _read(self, batches: AsyncIterator[Batch]) -> AsyncGenerator[list[Chunk], None]:
        try:
            async for batch, failure in batches:
                chunks, error = await self._paid_for(batch, failure)
                self.last += [chunk for chunk in chunks if chunk.finish_reason]
                if passed_on := [chunk for chunk in chunks if chunk.has_content and not chunk.finish_reason]:
                    yield passed_on
                if error is not None:
                    raise error
        except Exception as error:
            self._accounting.failed(error, self._clock.monotonic())
            raise
        self._accounting.attempt.completed(self._clock.monotonic())

    async def _paid_for(self, batch: list[Chunk], failure: GatewayError | None) -> Batch:
        """The chunks that the budget pays for, and why there are no more: the failure behind them, or no money."""
        now = self._clock.monotonic()
        for number, chunk in enumerate(batch):
            try:
                await self._extend_hold(chunk)
            except GatewayError as error:
                return batch[:number], error
            self._accounting.read(chunk, now)
            if chunk.usage is not None:
                self.usage_extra |= chunk.extra
        return batch, failure

    async def _extend_hold(self, chunk: Chunk) -> None:
        """Hold more of the budget for an output that grows past what is held: as much again, or what is left.

        Raises InsufficientQuotaError if that is not enough.
        """
        allowance = self._accounting.allowance
        if allowance is None:
            return
        tokens = self._accounting.attempt.output_tokens_with(chunk)
        if tokens <= allowance.tokens:
            return
        minimum = allowance.shortfall(tokens)
        amount = max(minimum, allowance.held_micro_usd)
        try:
            held = await self._ledger.extend(self._accounting.hold, amount, minimum)
        except RefusedError:
            raise InsufficientQuotaError("The budget of this key is used up: the answer ends here.") from None
        self._accounting.set_held(held)
