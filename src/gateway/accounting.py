"""What is known of one admitted request, from its hold to its settlement, and the one way to close it."""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

from tollgate.gateway.admission import Account, Hold, RefusedError, refusal_error
from tollgate.gateway.attempt import Attempt
from tollgate.gateway.budget import Allowance, Reservation
from tollgate.gateway.errors import ClientClosedError, GatewayError
from tollgate.gateway.metering import (
    NO_COST,
    AttemptSummary,
    Cost,
    GuardrailAction,
    PriceTerms,
    UsageRecord,
    cost_of,
    total_cost,
)
from tollgate.gateway.ports import Clock
from tollgate.gateway.routing import Route
from tollgate.gateway.store_ports import Ledger
from tollgate.gateway.types import Result, Usage, add_usages


@dataclass(slots=True)
class RequestContext:
    """What one HTTP request leaves for its log line.

    `started`, and the `deadline` by which the response must be complete, are monotonic seconds. Requests with the same
    `session_id` prefer the same route. `is_hurried` says that the client itself bounded the time, `is_accepted` that a
    provider took the request up. `account` is the key's state as soon as it is known, `guardrails` what these did.
    `attempts` are those of an admitted request. `record` is set once it is closed; `unsettled` is the error if the
    store did not accept that record.
    """

    request_id: str
    started: float
    deadline: float | None = None
    session_id: str | None = None
    is_hurried: bool = False
    is_accepted: bool = False
    account: Account | None = None
    guardrails: list[GuardrailAction] = field(default_factory=list[GuardrailAction])
    attempts: list[Attempt] = field(default_factory=list[Attempt])
    record: UsageRecord | None = None
    unsettled: GatewayError | None = None


class RequestAccounting:
    """The accounting of one admitted request. Every `at` is in monotonic seconds."""

    def __init__(
        self,
        context: RequestContext,
        operation: str,
        hold: Hold,
        terms: PriceTerms,
        streamed: bool,
    ) -> None:
        self.context = context
        self.hold, self._has_budget = _with_lease(hold, context.account)
        self.allowance: Allowance | None = None
        """What the hold pays for of a growing output; None if it pays for all of it, or there is no budget."""
        self.attempts = context.attempts
        self._operation = operation
        self._terms = terms
        self._streamed = streamed
        self._error: GatewayError | None = None
        self._settled = False

    @property
    def attempt(self) -> Attempt:
        """The last attempt: the one whose response the client gets."""
        return self.attempts[-1]

    @property
    def usage(self) -> Usage | None:
        """The usage that the provider reported of the last attempt, with the cost of the request once it is settled."""
        usage, record = self.attempt.reported_usage, self.context.record
        return usage if usage is None or record is None else usage._replace(cost_usd=record.cost.usd)

    def begin(self, route: Route, reservation: Reservation) -> Attempt:
        """Start another attempt, on this route, for which the request reserves so much."""
        self.reservation = reservation
        """What the request reserves on the route of the last attempt."""
        self.allowance = self._error = None
        self.attempts.append(Attempt(route, reservation.unfinished))
        return self.attempt

    def bound_by_budget(self) -> None:
        """A growing output of the attempt that begins now is bounded by what is left of the budget that is held."""
        prices, reservation = self.attempt.route.prices, self.reservation
        if prices is not None and reservation.max_output_tokens is None:
            spent = self._spent_micro_usd()
            self.allowance = Allowance(prices, self._terms, reservation.usual, self.hold.micro_usd, spent)

    def left_micro_usd(self) -> int | None:
        """What is held of the budget, less what all attempts so far cost; None if it does not have to pay."""
        return self.hold.micro_usd - self._spent_micro_usd() if self._has_budget else None

    def _spent_micro_usd(self) -> int:
        return sum(self._bill(attempt).cost.micro_usd for attempt in self.attempts)

    def set_held(self, micro_usd: int) -> None:
        """The hold now has this much of the budget in all."""
        self.hold = replace(self.hold, micro_usd=micro_usd)
        if self.allowance is not None:
            self.allowance.set_held(micro_usd)

    def read(self, part: Result, at: float) -> None:
        """A whole response, or a chunk of one, was read."""
        attempt = self.attempts[-1]
        attempt.read(part, at)
        if self.allowance is not None and part.usage is not None and attempt.usage and attempt.usage.input_tokens:
            self.allowance.set_prompt(attempt.usage)

    def failed(self, error: BaseException, at: float) -> None:
        """The request ends with this error; one that is no GatewayError is a disconnected client or a fault of ours."""
        if isinstance(error, GatewayError):
            self._error = error
        elif isinstance(error, Exception):
            self._error = GatewayError("The gateway failed.", code="internal_error")
        if self.attempts and self.attempt.error is None:
            self.attempt.ended(at, self._error)

    def overhead_ms(self, now: float) -> int:
        """Milliseconds of this request until now for which no provider was waited for."""
        waited = sum((each.ended_at or now) - each.sent_at for each in self.attempts if each.sent_at is not None)
        return _milliseconds(self.context.started, now - waited)

    async def close(self, ledger: Ledger, clock: Clock) -> None:
        """Settle, and release the connections to providers. Closing again does nothing."""
        try:
            await self.settle(ledger, clock)
        finally:
            for attempt in self.attempts:
                await attempt.close()

    async def settle(self, ledger: Ledger, clock: Clock) -> None:
        """Bill what is known and release the hold: once, however often this is called.

        A store that does not respond costs the record, never the client's response; the context then says so. If
        settling is cancelled, the next call settles.
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
        now, attempt = clock.monotonic(), self.attempt
        error = self._error
        if error is None and not attempt.is_complete:
            error = ClientClosedError("The client closed the request, or its time ran out.")
        has_begun = self._streamed and attempt.first_content_at is not None
        bills = [self._bill(each) for each in self.attempts]
        used = [bill.usage for bill in bills if bill.usage is not None]
        return UsageRecord(
            request_id=self.context.request_id,
            key_id=self.hold.key.key_id,
            operation=self._operation,
            model=attempt.route.model.id,
            started_at=clock.now() - (now - self.context.started),
            streamed=self._streamed,
            status=200 if error is None or has_begun else error.status,
            provider=attempt.route.provider.name,
            upstream_model=attempt.route.upstream_model,
            finish_reason=attempt.finish_reason if error is None else None,
            error_code=None if error is None else error.code or error.type,
            latency_ms=_milliseconds(self.context.started, now),
            time_to_first_token_ms=_since(self.context.started, attempt.first_content_at),
            upstream_ms=_since(attempt.sent_at, attempt.ended_at or now),
            usage=add_usages(used) if used else None,
            cost=total_cost([bill.cost for bill in bills if bill.usage is not None]),
            estimated=any(bill.estimated for bill in bills),
            attempts=tuple(map(_summary, self.attempts, bills)) if len(self.attempts) > 1 else (),
            guardrails=tuple(self.context.guardrails),
        )

    def _bill(self, attempt: Attempt) -> "_Bill":
        """Its cost is by the service tier that served it; if the response does not name it, by the requested one."""
        usage, estimated = attempt.bill()
        requested = None if "service_tier" in attempt.dropped else self._terms.tier
        terms = replace(self._terms, tier=attempt.served_tier or requested)
        cost = NO_COST if usage is None else cost_of(usage, attempt.route.prices, terms, estimated=estimated)
        return _Bill(usage, estimated, cost)


async def admit(ledger: Ledger, hold: Hold, context: RequestContext) -> Hold:
    """Admit a hold, and return it as it is to be settled; the context then has the key's account.

    Raises GatewayError if it is refused.
    """
    try:
        context.account = await ledger.admit(hold)
    except RefusedError as refused:
        context.account = refused.account
        raise refusal_error(refused, hold) from None
    team = context.account.record.team
    return hold if team is None else replace(hold, team=team)


def _with_lease(hold: Hold, account: Account | None) -> tuple[Hold, bool]:
    """The hold with what it got of the budget, and whether a budget has to pay for the request."""
    if account is None or not account.checked or not account.has_budget or not hold.priced:
        return hold, False
    lease = account.balance.leases.get(hold.hold_id)
    if lease is None:
        return hold, False
    return replace(hold, micro_usd=lease.micro_usd, minimum_micro_usd=None, at_most_half=False), True


class _Bill(NamedTuple):
    """What the provider bills of one attempt; no usage if it did not take the request up."""

    usage: Usage | None
    estimated: bool
    cost: Cost


def _summary(attempt: Attempt, bill: _Bill) -> AttemptSummary:
    error = attempt.error
    return AttemptSummary(
        model=attempt.route.model.id,
        provider=attempt.route.provider.name,
        upstream_model=attempt.route.upstream_model,
        error_code=None if error is None else error.code or error.type,
        ms=_since(attempt.sent_at, attempt.ended_at) or 0,
        cost_usd=bill.cost.usd,
    )


def _since(start: float | None, end: float | None) -> int | None:
    return None if start is None or end is None else _milliseconds(start, end)


def _milliseconds(start: float, end: float) -> int:
    return round((end - start) * 1000)
