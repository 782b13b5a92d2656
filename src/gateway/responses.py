"""Responses on their way to the client, whole or streamed: paid for before they are sent, settled before their end."""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Protocol

from tollgate.gateway.accounting import RequestAccounting
from tollgate.gateway.admission import RefusedError, budget_of
from tollgate.gateway.budget import Allowance
from tollgate.gateway.client_format import ResponseInfo
from tollgate.gateway.errors import GatewayError, InsufficientQuotaError, UpstreamError
from tollgate.gateway.metering import Cost
from tollgate.gateway.ports import Clock
from tollgate.gateway.response_reader import Batch, ResponseReader
from tollgate.gateway.routing import Route
from tollgate.gateway.store_ports import Ledger
from tollgate.gateway.types import Result, Usage


class BufferedResponse:
    """A whole response. `settle` it before it is sent: a client that has it may send its next request at once."""

    def __init__(
        self, info: ResponseInfo, result: Result, accounting: RequestAccounting, ledger: Ledger, clock: Clock
    ) -> None:
        self.info = info
        self.result = result
        self.route = accounting.attempt.route
        self.dropped = accounting.attempt.dropped
        self.attempts = len(accounting.attempts)
        self.overhead_ms = accounting.overhead_ms(clock.monotonic())
        self._accounting = accounting
        self._ledger = ledger
        self._clock = clock

    @property
    def usage(self) -> Usage | None:
        """The usage, if the provider reported it; with its cost once it is settled."""
        return self._accounting.usage

    @property
    def cost(self) -> Cost | None:
        """What it cost, once it is settled."""
        record = self._accounting.context.record
        return record and record.cost

    async def settle(self) -> None:
        """Close the accounting of this request. Settling again does nothing."""
        await self._accounting.close(self._ledger, self._clock)


async def open_stream(
    info: ResponseInfo, accounting: RequestAccounting, reader: ResponseReader, ledger: Ledger, clock: Clock
) -> "StreamedResponse":
    """The stream, once its first chunk has been read. Raises GatewayError if none comes."""
    chunks = _Chunks(accounting, reader, ledger, clock)
    first = await chunks.read()
    if first is None and not chunks.last:
        raise UpstreamError("The provider's stream ended before it began.")
    return StreamedResponse(info, first, chunks, accounting, ledger, clock)


class ChunkSource(Protocol):
    """The chunks of a stream; those that clients take for the end are in `last` after all others were read."""

    last: list[Any]

    @property
    def usage_extra(self) -> dict[str, Any]:
        """Fields that came in the chunks that reported usage."""
        ...

    async def read(self) -> list[Any] | None:
        """The next chunks to pass on; None at the end of a complete stream. Raises GatewayError if it fails."""
        ...


class StreamedResponse:
    """A streamed response: lists of chunks. Its first chunk has been read, so its HTTP status is certain.

    Iteration ends after the provider's terminal marker, and raises GatewayError if the provider breaks off. The request
    is settled before the last list, or before the error: a client that sees the end may send its next request at once.
    Whoever has this object calls `settle` all the same, however far it was read.
    """

    def __init__(
        self,
        info: ResponseInfo,
        first: list[Any] | None,
        rest: ChunkSource,
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
    def attempts(self) -> int:
        """The number of attempts."""
        return len(self._accounting.attempts)

    @property
    def overhead_ms(self) -> int:
        """Milliseconds until now for which no provider was waited for."""
        return self._accounting.overhead_ms(self._clock.monotonic())

    @property
    def dropped(self) -> tuple[str, ...]:
        """Parameters that were changed or not sent."""
        return self._accounting.attempt.dropped

    @property
    def usage(self) -> Usage | None:
        """After the last chunk: the usage, if the provider reported it, with its cost."""
        return self._accounting.usage

    @property
    def usage_extra(self) -> Mapping[str, Any]:
        """Fields that came in the chunks that reported usage."""
        return self._rest.usage_extra

    async def __aiter__(self) -> AsyncIterator[list[Any]]:
        failure: Exception | None = None
        try:
            chunks = self._first or await self._rest.read()
            while chunks is not None:
                yield chunks
                chunks = await self._rest.read()
        except Exception as error:
            failure = error
        await self._accounting.settle(self._ledger, self._clock)
        if self._rest.last:
            yield self._rest.last
        if failure is not None:
            raise failure

    def guard(self, guarded: Callable[[list[Any] | None, ChunkSource], ChunkSource]) -> None:
        """Pass on the chunks of `guarded(first, rest)` instead, from the first one on."""
        self._rest = guarded(self._first, self._rest)
        self._first = None

    async def settle(self) -> None:
        """Close the accounting and the connection to the provider. Settling again does nothing."""
        await self._accounting.close(self._ledger, self._clock)


class _Chunks:
    """Reads the chunks of a stream and accounts for them; those that clients take for the end are kept in `last`."""

    def __init__(self, accounting: RequestAccounting, reader: ResponseReader, ledger: Ledger, clock: Clock) -> None:
        self.last: list[Any] = []
        self.usage_extra: dict[str, Any] = {}
        self._accounting = accounting
        self._reader = reader
        self._ledger = ledger
        self._clock = clock
        self._failure: GatewayError | None = None

    async def read(self) -> list[Any] | None:
        """The next chunks to pass on, those of one read in one list; None at the end of a complete stream.

        Raises GatewayError if the stream fails, after the chunks before the failure have been returned.
        """
        try:
            while self._failure is None and (batch := await self._reader.next_batch()) is not None:
                chunks, self._failure = await self._paid_for(*batch)
                if passed_on := self._to_pass_on(chunks):
                    return passed_on
            if self._failure is not None:
                raise self._failure
        except Exception as error:
            self._accounting.failed(error, self._clock.monotonic())
            raise
        self._accounting.attempt.completed(self._clock.monotonic())
        return None

    def _to_pass_on(self, chunks: list[Any]) -> list[Any]:
        passed_on: list[Any] = []
        for chunk in chunks:
            if chunk.finish_reason:
                self.last.append(chunk)
            elif chunk.has_content:
                passed_on.append(chunk)
        return passed_on

    async def _paid_for(self, batch: list[Any], failure: GatewayError | None) -> Batch:
        """The chunks that the budget pays for, and why there are no more: the failure behind them, or no money."""
        accounting, now = self._accounting, self._clock.monotonic()
        allowance, attempt = accounting.allowance, accounting.attempt
        for number, chunk in enumerate(batch):
            if allowance is not None and (tokens := attempt.output_tokens_with(chunk)) > allowance.tokens:
                try:
                    await self._extend_hold(allowance, tokens)
                except GatewayError as error:
                    return batch[:number], error
            accounting.read(chunk, now)
            if chunk.usage is not None:
                self.usage_extra |= chunk.extra
        return batch, failure

    async def _extend_hold(self, allowance: Allowance, tokens: int) -> None:
        """Hold more of the budget for an output of so many tokens: as much again, or what is left.

        Raises InsufficientQuotaError if that is not enough.
        """
        minimum = allowance.shortfall(tokens)
        amount = max(minimum, allowance.held_micro_usd)
        try:
            held = await self._ledger.extend(self._accounting.hold, amount, minimum)
        except RefusedError as refused:
            text = f"{budget_of(refused.account)} is used up: the answer ends here."
            raise InsufficientQuotaError(text) from None
        self._accounting.set_held(held)
