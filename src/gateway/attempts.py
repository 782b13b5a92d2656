"""Makes the attempts of an admitted request, one route after the other, until a response begins."""

import math
from dataclasses import replace
from functools import partial

from tollgate.gateway.accounting import RequestAccounting, RequestContext
from tollgate.gateway.admission import RefusedError
from tollgate.gateway.attempt import Attempt
from tollgate.gateway.attempt_plan import LEAST_SECONDS, AttemptPlan, Step
from tollgate.gateway.budget import Reservation
from tollgate.gateway.client_format import ResponseInfo
from tollgate.gateway.errors import GatewayError, RateLimitError, UpstreamAuthError, UpstreamError
from tollgate.gateway.exchange import Exchange
from tollgate.gateway.images import FetchedOnce
from tollgate.gateway.operations import Operation, Req, call_name
from tollgate.gateway.own_credentials import owned
from tollgate.gateway.ports import Clock, Dependencies, Images, TimeLimits
from tollgate.gateway.responses import BufferedResponse, StreamedResponse, open_stream


class Attempts:
    """Attempts by these dependencies."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies = dependencies

    async def make(
        self, plan: AttemptPlan, operation: Operation[Req], request: Req, accounting: RequestAccounting
    ) -> BufferedResponse | StreamedResponse:
        """Try one route after the other until a response begins.

        If none does, raises the last failure of a provider, else the client's error: what another provider or model
        cannot do does not hide that the requested one failed.
        """
        clock = self._dependencies.clock
        images = FetchedOnce(self._dependencies.images)
        failure: GatewayError | None = None
        while True:
            attempt = accounting.begin(plan.current.route, plan.current.reservation)
            if plan.has_choice:
                attempt.on_end = partial(self._report, accounting.context, request.stream)
            try:
                within_budget = _within_budget(operation, request, accounting)
                return await self._call(operation, within_budget, accounting, plan, images)
            except GatewayError as raised:
                error = owned(raised, attempt.route)
                attempt.ended(clock.monotonic(), error)
                if isinstance(error, UpstreamError | RateLimitError):
                    failure = error
                step = await self._next(plan, attempt, error, accounting.context)
                if step is None or not await self._is_paid(step.alternative.reservation, accounting):
                    raise failure or error from None
            await attempt.close()
            if step.wait:
                await clock.sleep(step.wait)

    def _report(self, context: RequestContext, streamed: bool, attempt: Attempt) -> None:
        """Tell how an attempt on one of several routes ended: what a stream is worth is known at its end."""
        if attempt.error is None:
            self._dependencies.health.succeeded(attempt.route)
            self._dependencies.speeds.observed(attempt.route, attempt.speed(streamed=streamed))
        elif not (context.is_hurried and attempt.ran_out):
            self._dependencies.health.failed(attempt.route, attempt.error)

    async def _next(
        self, plan: AttemptPlan, attempt: Attempt, error: GatewayError, context: RequestContext
    ) -> Step | None:
        """What follows a failed attempt. A credential that was refused is read again: it may have been replaced."""
        deadline = math.inf if context.deadline is None else context.deadline
        left = deadline - self._dependencies.clock.monotonic()
        was_refused = isinstance(error, UpstreamAuthError) and attempt.is_rejected and left >= LEAST_SECONDS
        if was_refused and await self._dependencies.upstream.reread_credential(attempt.route.provider):
            return Step(plan.current)
        return plan.after(error, left, may_repeat=attempt.may_be_repeated, was_sent=attempt.sent_at is not None)

    async def _is_paid(self, reservation: Reservation, accounting: RequestAccounting) -> bool:
        """Whether the budget pays for another attempt: earlier ones were billed, so more may have to be held."""
        left = accounting.left_micro_usd()
        if left is None or not reservation.priced or left >= reservation.minimum_micro_usd:
            return True
        wanted, least = reservation.amount_micro_usd - left, reservation.minimum_micro_usd - left
        try:
            accounting.set_held(await self._dependencies.ledger.extend(accounting.hold, max(wanted, least), least))
        except (RefusedError, GatewayError):
            return False
        return True

    async def _call(
        self,
        operation: Operation[Req],
        request: Req,
        accounting: RequestAccounting,
        plan: AttemptPlan,
        images: Images,
    ) -> BufferedResponse | StreamedResponse:
        """Make one attempt. The HTTP status is decided here: by an error, a whole response, or a first chunk."""
        attempt, clock, context = accounting.attempt, self._dependencies.clock, accounting.context
        provider = attempt.route.provider
        family = self._dependencies.families[provider.family]
        prepared = await operation.prepare(request, images, family.fetches_url)
        open_call = family.calls[call_name(operation.name, attempt.route.model) or operation.name]
        batching = operation.batching
        parts = [prepared] if batching is None else batching.split(prepared, attempt.route)
        calls = [open_call(part, attempt.route) for part in parts]
        attempt.dropped = (*attempt.dropped, *calls[0].request.dropped)
        exchange = Exchange(self._dependencies.upstream, provider, _time_limits(context, clock, plan.has_others), clock)
        created = int(accounting.hold.opened_at)
        name = attempt.route.model.id if plan.current.stands_in else request.model
        info = ResponseInfo(context.request_id, created, name, provider.name, provider.family)
        if batching is not None and len(calls) > 1:
            expected = [operation.reserve(part, attempt.route).unfinished for part in parts]
            result = batching.join(await exchange.send_parts(calls, attempt, expected))
        else:
            reader = await exchange.send(calls[0], attempt)
            context.is_accepted = True
            info = replace(info, content_type=reader.content_type)
            if request.stream:
                return await open_stream(info, accounting, reader, self._dependencies.ledger, clock)
            result = await reader.whole()
        now = clock.monotonic()
        accounting.read(result, now)
        attempt.completed(now)
        return BufferedResponse(info, result, accounting, self._dependencies.ledger, clock)


def _within_budget(operation: Operation[Req], request: Req, accounting: RequestAccounting) -> Req:
    """The request with an output limit that the reserved money pays for, if the key has a budget."""
    left = accounting.left_micro_usd()
    if left is None:
        return request
    accounting.bound_by_budget()
    attempt = accounting.attempt
    request, attempt.dropped = operation.limit_output(request, attempt.route, accounting.reservation, left)
    return request


def _time_limits(context: RequestContext, clock: Clock, has_others: bool) -> TimeLimits:
    """The limits of one attempt. While there is another route, the first byte may take half of what is left, if the
    other half is enough for an attempt."""
    if context.deadline is None:
        return TimeLimits()
    now = clock.monotonic()
    half = (context.deadline - now) / 2
    return TimeLimits(context.deadline, now + half if has_others and half > LEAST_SECONDS else None)
