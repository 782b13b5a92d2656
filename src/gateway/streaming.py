"""One answer as it comes to the client: paid for before it is passed on, and settled before its end is told."""

from collections.abc import AsyncGenerator, AsyncIterator

from tollgate.gateway.accounting import RequestAccounting
from tollgate.gateway.admission import RefusedError
from tollgate.gateway.errors import GatewayError, InsufficientQuotaError, UpstreamError
from tollgate.gateway.ports import Clock, Ledger
from tollgate.gateway.response_reader import Batch, ResponseReader
from tollgate.gateway.types import Chunk, Json


async def open_stream(
    with_usage: bool, accounting: RequestAccounting, reader: ResponseReader, ledger: Ledger, clock: Clock
) -> "AnswerStream":
    """The stream, once its first chunk is in hand. Raises GatewayError where none comes."""
    chunks = _Chunks(with_usage, accounting, reader, ledger, clock)
    first = await anext(chunks, None)
    if first is None and not chunks.last:
        raise UpstreamError("The provider's stream ended before it began.")
    return AnswerStream(first or [], chunks, accounting, ledger, clock)


class AnswerStream:
    """An answer as it comes: lists of OpenAI chunks. Its first chunk is in hand, so its HTTP status is certain.

    Iteration ends after the provider's terminal marker, and raises GatewayError where the provider breaks off. The
    request is settled before the last list, or the error: a client that knows of the end may ask again at once. Whoever
    takes the answer must `settle` it all the same, however far it was read.
    """

    def __init__(
        self, first: list[Json], rest: "_Chunks", accounting: RequestAccounting, ledger: Ledger, clock: Clock
    ) -> None:
        self.route = accounting.route
        self.dropped = accounting.dropped
        self._first = first
        self._rest = rest
        self._accounting = accounting
        self._ledger = ledger
        self._clock = clock

    async def __aiter__(self) -> AsyncIterator[list[Json]]:
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
        """Close the account of this request and let the provider go; again does nothing."""
        await self._rest.aclose()
        await self._accounting.close(self._ledger, self._clock)


class _Chunks:
    """OpenAI chunks as they come, those that one read brought together in one list.

    Those with a finish_reason, which a client takes for the end, are kept in `last`.
    """

    def __init__(
        self, with_usage: bool, accounting: RequestAccounting, reader: ResponseReader, ledger: Ledger, clock: Clock
    ) -> None:
        self.last: list[Json] = []
        self._with_usage = with_usage
        self._told_with_usage: Json = {}
        self._accounting = accounting
        self._ledger = ledger
        self._clock = clock
        self._lists = self._read(reader.batches())

    def __aiter__(self) -> AsyncIterator[list[Json]]:
        return self._lists

    async def __anext__(self) -> list[Json]:
        return await anext(self._lists)

    async def aclose(self) -> None:
        """Read no further."""
        await self._lists.aclose()

    async def _read(self, batches: AsyncIterator[Batch]) -> AsyncGenerator[list[Json], None]:
        accounting = self._accounting
        try:
            async for batch, failure in batches:
                chunks, error = await self._paid_for(batch, failure)
                if bodies := self._bodies(chunks):
                    yield bodies
                if error is not None:
                    raise error
        except Exception as error:
            accounting.failed(error, self._clock.monotonic())
            raise
        accounting.completed(self._clock.monotonic())
        if self._with_usage and accounting.told_usage is not None:
            self.last.append(accounting.envelope.usage_chunk(accounting.told_usage, self._told_with_usage))

    def _bodies(self, chunks: list[Chunk]) -> list[Json]:
        bodies: list[Json] = []
        for chunk in chunks:
            is_end = any(choice.get("finish_reason") for choice in chunk.choices)
            if chunk.choices:
                (self.last if is_end else bodies).append(self._accounting.envelope.chunk(chunk, self._with_usage))
        return bodies

    async def _paid_for(self, batch: list[Chunk], failure: GatewayError | None) -> Batch:
        """The chunks that the budget pays for, and why there are no more: the failure behind them, or no money."""
        now = self._clock.monotonic()
        for number, chunk in enumerate(batch):
            try:
                await self._extend(self._accounting.answer_tokens_with(chunk))
            except GatewayError as error:
                return batch[:number], error
            self._accounting.saw(chunk, now)
            if chunk.usage is not None:
                self._told_with_usage |= chunk.extra
        return batch, failure

    async def _extend(self, tokens: int) -> None:
        """Hold more of the budget for an answer that grows to so many tokens: as much again, or what is left.

        Raises InsufficientQuotaError where that is not enough.
        """
        allowance = self._accounting.allowance
        if allowance is None or tokens <= allowance.tokens:
            return
        least = allowance.shortfall(tokens)
        wanted = max(least, allowance.held_micro_usd)
        try:
            held = await self._ledger.extend(self._accounting.hold, wanted, least)
        except RefusedError:
            raise InsufficientQuotaError("The budget of this key is used up: the answer ends here.") from None
        self._accounting.holds(held)
