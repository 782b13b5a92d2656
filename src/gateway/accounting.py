"""One admitted request from its hold to its settlement: what is known of it so far, and the one way to close it."""

from dataclasses import dataclass, replace

from tollgate.gateway.admission import Account, Hold
from tollgate.gateway.answers import Envelope
from tollgate.gateway.budget import Allowance, Reservation, limit_field, limit_output
from tollgate.gateway.errors import ClientClosedError, GatewayError
from tollgate.gateway.metering import (
    NO_COST,
    Cost,
    UsageRecord,
    cost_of,
    estimate_tokens,
    price_terms,
    service_tier,
    utf8_length,
)
from tollgate.gateway.ports import Clock, Ledger, UpstreamResponse
from tollgate.gateway.routing import Route
from tollgate.gateway.types import ChatRequest, Chunk, Completion, Json, Usage

BROKEN_OFF = frozenset({"stream_truncated", "upstream_disconnected", "timeout", "insufficient_quota"})
"""Errors that cut an answer off. The provider had taken the request up, and will bill what it had done till then."""


NEGLIGIBLE = 1000
"""A count of zero is believed where what came is less than so small a part of what was counted."""


@dataclass(slots=True)
class RequestContext:
    """What one HTTP request leaves for its log line; whoever opened the request holds it.

    `started`, and `deadline` by which the answer must be whole, are monotonic seconds. `account` is how the key stands,
    as soon as that is known. `record` is there once the request was admitted and closed; `unsettled` says why the store
    could not take that record.
    """

    request_id: str
    started: float
    deadline: float | None = None
    account: Account | None = None
    record: UsageRecord | None = None
    unsettled: GatewayError | None = None


class RequestAccounting:
    """The account of one admitted request; `expected` is the usage that was held for it."""

    def __init__(
        self,
        context: RequestContext,
        hold: Hold,
        request: ChatRequest,
        route: Route,
        expected: Usage,
        has_functions: bool = False,
    ) -> None:
        self.context = context
        self.hold = hold
        self.request = request
        self.envelope = Envelope(
            f"chatcmpl-{context.request_id.removeprefix('req_')}",
            int(hold.opened_at),
            request.model,
            route.provider.name,
            has_functions,
        )
        self.route = route
        self.streamed = request.stream
        self.usage: Usage | None = None
        self._expected = expected
        self._served_tier: str | None = None
        self._delivered = 0
        self._pieces = 0
        self.allowance: Allowance | None = None
        """What of a growing answer the hold pays for; None where it pays for all of it, or there is no budget."""
        self.turned_down = False
        """Whether the provider answered with an error status: then it has done nothing, and will bill nothing."""
        self.answer: UpstreamResponse | None = None
        self.dropped: tuple[str, ...] = ()
        self._finish_reason: str | None = None
        self._error: GatewayError | None = None
        self._complete = False
        self._settled = False
        self._sent_at: float | None = None
        self._first_token_at: float | None = None
        self._last_byte_at: float | None = None

    def sending(self, at: float) -> None:
        """The provider is asked now; monotonic seconds, as every `at` here."""
        self._sent_at = at

    def saw(self, piece: Completion | Chunk, at: float) -> None:
        """Part of the answer was read: remember its usage and finish_reason, and when the first part came."""
        if piece.usage is not None:
            self.usage = piece.usage if self.usage is None else self.usage.larger(piece.usage)
            if self.allowance is not None and self.usage.input_tokens:
                self.allowance.read(self.usage)
        self._served_tier = service_tier(piece.extra) or self._served_tier
        for choice in piece.choices:
            self._finish_reason = choice.get("finish_reason") or self._finish_reason
        length = _said(piece)
        self._delivered += length
        self._pieces += length > 0
        if self._first_token_at is None and piece.choices:
            self._first_token_at = at

    def bound_by(self, reservation: Reservation, held_micro_usd: int) -> None:
        """A budget pays for this request, and so much of it is held: the answer is limited to that, if need be."""
        if self.route.prices is None:
            return
        self.holds(held_micro_usd)
        if reservation.longest is None:
            self.allowance = Allowance(self.route.prices, price_terms(self.request), reservation.usual, held_micro_usd)
        self.request = limit_output(self.request, self.route, reservation, held_micro_usd)
        if self.request.output_limit != reservation.asked:
            self.dropped = (f"{limit_field(self.request)}={self.request.output_limit}",)

    def answer_tokens_with(self, chunk: Chunk) -> int:
        """About how many tokens the answer has with this chunk, no fewer than chunks; 0 where it says nothing."""
        length = _said(chunk)
        return max(estimate_tokens(self._delivered + length), self._pieces + 1) if length else 0

    def holds(self, micro_usd: int) -> None:
        """So much of the budget is held for it now."""
        self.hold = replace(self.hold, micro_usd=micro_usd, least_micro_usd=None, at_most_half=False)
        if self.allowance is not None:
            self.allowance.hold(micro_usd)

    def completed(self, at: float) -> None:
        """The answer is whole."""
        self._complete = True
        self._last_byte_at = at

    def failed(self, error: BaseException, at: float) -> None:
        """The request ends here, with this error; what is no GatewayError is a client gone or a fault of our own."""
        self._last_byte_at = at
        if isinstance(error, GatewayError):
            self._error = error
        elif isinstance(error, Exception):
            self._error = GatewayError("The gateway failed.", code="internal_error")

    async def close(self, ledger: Ledger, clock: Clock) -> None:
        """Settle, and let the provider go; again does nothing."""
        try:
            await self.settle(ledger, clock)
        finally:
            answer, self.answer = self.answer, None
            if answer is not None:
                await answer.aclose()

    async def settle(self, ledger: Ledger, clock: Clock) -> None:
        """Bill what is known and release the hold: once, however often it is called.

        A store that does not answer costs the record, never the client's answer; the context then says so. Where it is
        called off, the next call settles.
        """
        if self._settled:
            return
        self._settled = True
        record = self.context.record = self.context.record or self._record(clock)
        try:
            await ledger.settle(record, self.hold)
        except GatewayError as error:
            self.context.unsettled = error
        except Exception as error:
            self.context.unsettled = GatewayError(type(error).__name__, code="internal_error")
        except BaseException:
            self._settled = False
            raise

    def _record(self, clock: Clock) -> UsageRecord:
        now = clock.monotonic()
        error = self._error
        if error is None and not self._complete:
            error = ClientClosedError("The client closed the request, or its time ran out.")
        answered = self.streamed and self._first_token_at is not None
        usage, estimated = self._bill()
        return UsageRecord(
            request_id=self.context.request_id,
            key_id=self.hold.key.key_id,
            model=self.route.model.id,
            started_at=clock.now() - (now - self.context.started),
            streamed=self.streamed,
            status=200 if error is None or answered else error.status,
            provider=self.route.provider.name,
            upstream_model=self.route.upstream_model,
            finish_reason=self._finish_reason if error is None else None,
            error_code=None if error is None else error.code or error.type,
            latency_ms=_ms(self.context.started, now),
            time_to_first_token_ms=self._since(self.context.started, self._first_token_at),
            upstream_ms=self._since(self._sent_at, self._last_byte_at or now),
            usage=usage,
            cost=NO_COST if usage is None else self._cost(usage, estimated),
            estimated=estimated,
        )

    def _cost(self, usage: Usage, estimated: bool) -> Cost:
        """By the service tier that answered; where the answer does not say, by the one that was asked for."""
        terms = price_terms(self.request)
        asked = None if "service_tier" in self.dropped else terms.tier
        terms = replace(terms, tier=self._served_tier or asked)
        return cost_of(usage, self.route.prices, terms, estimated=estimated)

    @property
    def told_usage(self) -> Usage | None:
        """The usage as far as the provider has counted it: none in a prompt, or in text that came, was not counted."""
        usage = self.usage
        if usage is None or not usage.input_tokens:
            return None
        most_left_out = usage.input_tokens // NEGLIGIBLE if self._complete else 0
        return usage if usage.output_tokens or estimate_tokens(self._delivered) <= most_left_out else None

    def _bill(self) -> tuple[Usage | None, bool]:
        """What the provider says was used; else what must have been, if it took the request up at all."""
        if self.told_usage is not None:
            return self.told_usage, False
        begun = self._first_token_at is not None
        broke_off = self._error is None or self._error.code in BROKEN_OFF
        if self.usage is None and (self._sent_at is None or self.turned_down or not (begun or broke_off)):
            return None, False
        known = self.usage or Usage()
        return replace(
            known,
            input_tokens=known.input_tokens or self._expected.input_tokens,
            output_tokens=known.output_tokens or estimate_tokens(self._delivered),
        ), True

    @staticmethod
    def _since(start: float | None, end: float | None) -> int | None:
        return None if start is None or end is None else _ms(start, end)


def _said(piece: Completion | Chunk) -> int:
    return sum(_length(choice.get("delta") or choice.get("message") or {}) for choice in piece.choices)


def _length(said: Json) -> int:
    """How much a message, or a piece of one, says, in bytes: its text, its reasoning, its calls of tools."""
    texts = [said.get("content"), said.get("reasoning_content") or said.get("reasoning"), said.get("refusal")]
    calls: list[Json] = said.get("tool_calls") or []
    for call in calls:
        function: Json = call.get("function") or {}
        texts += [function.get("name"), function.get("arguments")]
    return sum(utf8_length(text) for text in texts if isinstance(text, str))


def _ms(start: float, end: float) -> int:
    return round((end - start) * 1000)
