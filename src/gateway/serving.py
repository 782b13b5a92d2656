"""The one use case: authenticate, route, admit, call the provider, settle, for any operation."""

import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from tollgate.gateway import keys
from tollgate.gateway.accounting import RequestAccounting, RequestContext
from tollgate.gateway.admission import Account, Hold, RefusedError, refusal_error
from tollgate.gateway.attempt import Attempt
from tollgate.gateway.attempt_plan import LEAST_SECONDS, Alternative, AttemptPlan, Step
from tollgate.gateway.auto import with_model
from tollgate.gateway.budget import Reservation
from tollgate.gateway.catalog import Catalog, Model
from tollgate.gateway.client_format import ResponseInfo
from tollgate.gateway.errors import GatewayError, UpstreamAuthError
from tollgate.gateway.exchange import Exchange
from tollgate.gateway.keys import ApiKey, RecentKeys
from tollgate.gateway.metering import Cost, price_terms
from tollgate.gateway.operations import Operation, Req, call_name
from tollgate.gateway.ports import Clock, Family, Health, Images, KeyStore, Ledger, TimeLimits, Upstream
from tollgate.gateway.route_finder import Found, RouteFinder
from tollgate.gateway.routing import Route
from tollgate.gateway.streaming import StreamedResponse, open_stream
from tollgate.gateway.types import Request, Result, Usage

HOLD_SECONDS = 900
HOLD_MARGIN = 30
"""How long an unsettled request keeps its hold: to its deadline (or a function's longest life), and a margin."""
SESSION_FIELDS = ("session_id", "prompt_cache_key", "user")
"""Fields of a request that name its session: OpenRouter's, and OpenAI's for caches and for users."""


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Everything outside the core that the gateway calls; `families` by their names in the catalog."""

    families: Mapping[str, Family]
    upstream: Upstream
    images: Images
    keys: KeyStore
    ledger: Ledger
    clock: Clock
    health: Health


class BufferedResponse:
    """A whole response. `settle` it before it is sent: a client that has it may send its next request at once."""

    def __init__(
        self, info: ResponseInfo, result: Result, accounting: RequestAccounting, dependencies: Dependencies
    ) -> None:
        self.info = info
        self.result = result
        self.route = accounting.attempt.route
        self.dropped = accounting.attempt.dropped
        self.attempts = len(accounting.attempts)
        self.overhead_ms = accounting.overhead_ms(dependencies.clock.monotonic())
        self.usage: Usage | None = accounting.attempt.reported_usage
        self._accounting = accounting
        self._dependencies = dependencies

    @property
    def cost(self) -> Cost | None:
        """What it cost, once it is settled."""
        record = self._accounting.context.record
        return record and record.cost

    async def settle(self) -> None:
        """Close the accounting of this request. Settling again does nothing."""
        await self._accounting.close(self._dependencies.ledger, self._dependencies.clock)


class Gateway:
    """The gateway. The model `substitute` answers for models none of whose providers has a credential here."""

    def __init__(self, catalog: Catalog, dependencies: Dependencies, substitute: Model | None = None) -> None:
        self.catalog = catalog
        self.dependencies = dependencies
        self.finder = RouteFinder(
            catalog, dependencies.families, dependencies.upstream, dependencies.health, substitute
        )
        self._recent_keys = RecentKeys(dependencies.clock.monotonic)

    async def authenticate(self, api_key: str, context: RequestContext) -> Account:
        """The key's account, read and not written: for requests that take no hold. Raises AuthenticationError."""
        key = keys.read(api_key)
        account = await self.dependencies.keys.get(key.key_id)
        keys.verify(account and account.record, key, self.dependencies.clock.now())
        context.account = account
        assert account is not None
        self._recent_keys.add(key)
        return account

    async def require_known_key(self, api_key: str, context: RequestContext) -> None:
        """Raises AuthenticationError for an invalid key, before a large body is read. A key used lately is trusted."""
        if keys.read(api_key) not in self._recent_keys:
            await self.authenticate(api_key, context)

    @asynccontextmanager
    async def check_key_before_errors(self, api_key: str, context: RequestContext) -> AsyncGenerator[None]:
        """Unauthenticated clients get 401 before any other error that is raised in the block."""
        try:
            yield
        except GatewayError:
            await self.authenticate(api_key, context)
            raise

    async def serve(
        self, api_key: str, operation: Operation[Req], request: Req, context: RequestContext
    ) -> BufferedResponse | StreamedResponse:
        """Serve one request. Raises GatewayError, with nothing left open, if no response begins."""
        async with self.check_key_before_errors(api_key, context):
            request = with_model(self.catalog, request)
            found = self.finder.find(operation.name, request.model, _session(request, context), request.extra)
        alternatives = _with_reservations(operation, request, found)
        accounting = await self._admit(api_key, operation, request, context, alternatives)
        try:
            allowed = [each for each in alternatives if self._is_allowed(each, request, accounting)]
            return await self._attempts(AttemptPlan(allowed or alternatives), operation, request, accounting)
        except BaseException as error:
            accounting.failed(error, self.dependencies.clock.monotonic())
            await accounting.close(self.dependencies.ledger, self.dependencies.clock)
            raise

    async def _attempts(
        self, plan: AttemptPlan, operation: Operation[Req], request: Req, accounting: RequestAccounting
    ) -> BufferedResponse | StreamedResponse:
        """Try one route after the other until a response begins. Raises the error of the last attempt if none does."""
        clock, health = self.dependencies.clock, self.dependencies.health
        while True:
            route = plan.current.route
            attempt = accounting.begin(route, plan.current.reservation)
            try:
                within_budget = self._within_budget(operation, request, accounting)
                response = await self._call(operation, within_budget, accounting, plan.has_others)
            except GatewayError as error:
                attempt.ended(clock.monotonic(), error)
                if plan.has_choice and not (accounting.context.is_hurried and attempt.ran_out):
                    health.failed(route, error)
                step = await self._next(plan, attempt, error, accounting.context)
                if step is None or not await self._is_paid(step.alternative.reservation, accounting):
                    raise
            else:
                if plan.has_choice:
                    health.succeeded(route)
                return response
            await attempt.close()
            if step.wait:
                await clock.sleep(step.wait)

    async def _next(
        self, plan: AttemptPlan, attempt: Attempt, error: GatewayError, context: RequestContext
    ) -> Step | None:
        """What follows a failed attempt. A credential that was refused is read again: it may have been replaced."""
        was_refused = isinstance(error, UpstreamAuthError) and attempt.is_rejected
        if was_refused and await self.dependencies.upstream.reread_credential(attempt.route.provider):
            return Step(plan.current)
        deadline = math.inf if context.deadline is None else context.deadline
        return plan.after(error, deadline - self.dependencies.clock.monotonic(), may_repeat=attempt.may_be_repeated)

    def _is_own(self, route: Route, request: Request) -> bool:
        """Whether the route is one of the requested model, and not of one that stands in."""
        return route.model.id == request.model or route.model is self.catalog.names.get(request.model)

    def _is_allowed(self, other: Alternative, request: Request, accounting: RequestAccounting) -> bool:
        """Whether the key may use this route, and the hold pays for it."""
        account = accounting.context.account
        if account is None:
            return True
        record, model = account.record, other.route.model.id
        if not self._is_own(other.route, request) and not keys.allows_model(record, model):
            return False
        if record.limits.budget is not None and accounting.hold.priced and not other.reservation.priced:
            return record.allow_unpriced
        left = accounting.left_micro_usd()
        return left is None or other.reservation.minimum_micro_usd <= left

    async def _is_paid(self, reservation: Reservation, accounting: RequestAccounting) -> bool:
        """Whether the budget pays for another attempt: earlier ones were billed, so more may have to be held."""
        left = accounting.left_micro_usd()
        if left is None or not reservation.priced or left >= reservation.minimum_micro_usd:
            return True
        wanted, least = reservation.amount_micro_usd - left, reservation.minimum_micro_usd - left
        try:
            accounting.set_held(await self.dependencies.ledger.extend(accounting.hold, max(wanted, least), least))
        except (RefusedError, GatewayError):
            return False
        return True

    async def _admit(
        self,
        api_key: str,
        operation: Operation[Req],
        request: Req,
        context: RequestContext,
        alternatives: Sequence[Alternative],
    ) -> RequestAccounting:
        """Reserve what the request may use on the dearest route that may be tried."""
        others = operation.other_models(request)
        own = [each.reservation for each in alternatives if self._is_own(each.route, request)]
        reservations = [each.reservation for each in alternatives]
        hold = self._hold(keys.read(api_key), request, own or reservations, reservations, others, context)
        if others and any(each.route.provider.quirks.router for each in alternatives):
            hold = replace(hold, priced=False)  # a router may call models that no route here has prices for
        try:
            context.account = await self.dependencies.ledger.admit(hold)
        except RefusedError as refused:
            context.account = refused.account
            raise refusal_error(refused, hold) from None
        self._recent_keys.add(hold.key)
        return RequestAccounting(context, operation.name, hold, price_terms(request), request.stream)

    def _within_budget(self, operation: Operation[Req], request: Req, accounting: RequestAccounting) -> Req:
        """The request with an output limit that the reserved money pays for, if the key has a budget."""
        held = accounting.held_micro_usd
        if held is None:
            return request
        reservation, attempt = accounting.reservation, accounting.attempt
        accounting.bound_by_budget(reservation, held)
        left = held - accounting.spent_micro_usd
        request, attempt.dropped = operation.limit_output(request, attempt.route, reservation, left)
        return request

    def _hold(
        self,
        key: ApiKey,
        request: Request,
        own: Sequence[Reservation],
        reservations: Sequence[Reservation],
        other_models: tuple[str, ...],
        context: RequestContext,
    ) -> Hold:
        """The most that may be used on any route, and the least that one of the requested model needs."""
        clock, first = self.dependencies.clock, own[0]
        now = clock.now()
        lifetime = HOLD_SECONDS if context.deadline is None else context.deadline - clock.monotonic()
        return Hold(
            hold_id=context.request_id,
            key=key,
            model=request.model,
            opened_at=now,
            expires_at=now + lifetime + HOLD_MARGIN,
            tokens=max(each.usual.input_tokens + each.usual.output_tokens for each in reservations),
            micro_usd=max(each.amount_micro_usd for each in reservations),
            priced=any(each.priced for each in own),
            minimum_micro_usd=first.minimum_micro_usd,
            at_most_half=first.at_most_half,
            other_models=other_models,
        )

    async def _call(
        self, operation: Operation[Req], request: Req, accounting: RequestAccounting, has_others: bool
    ) -> BufferedResponse | StreamedResponse:
        """Make one attempt. The HTTP status is decided here: by an error, a whole response, or a first chunk."""
        attempt, clock, context = accounting.attempt, self.dependencies.clock, accounting.context
        provider = attempt.route.provider
        family = self.dependencies.families[provider.family]
        prepared = await operation.prepare(request, self.dependencies.images, family.fetches_url)
        open_call = family.calls[call_name(operation.name, attempt.route.model) or operation.name]
        batching = operation.batching
        parts = [prepared] if batching is None else batching.split(prepared, attempt.route)
        calls = [open_call(part, attempt.route) for part in parts]
        attempt.dropped = (*attempt.dropped, *calls[0].request.dropped)
        exchange = Exchange(self.dependencies.upstream, provider, _time_limits(context, clock, has_others), clock)
        created = int(accounting.hold.opened_at)
        model = attempt.route.model
        name = request.model if model is accounting.attempts[0].route.model else model.id  # another one stands in
        info = ResponseInfo(context.request_id, created, name, provider.name, provider.family)
        if batching is not None and len(calls) > 1:
            expected = [operation.reserve(part, attempt.route).unfinished for part in parts]
            result = batching.join(await exchange.send_parts(calls, attempt, expected))
        else:
            reader = await exchange.send(calls[0], attempt)
            info = replace(info, content_type=reader.content_type)
            if request.stream:
                return await open_stream(info, accounting, reader, self.dependencies.ledger, clock)
            result = await reader.whole()
        now = clock.monotonic()
        accounting.read(result, now)
        attempt.completed(now)
        return BufferedResponse(info, result, accounting, self.dependencies)


def _with_reservations(operation: Operation[Req], request: Req, found: Sequence[Found]) -> Sequence[Alternative]:
    """What the request reserves on each route: the same on routes of one model at the same prices."""
    alternatives: list[Alternative] = []
    for each in found:
        route = each.route
        known = (
            other.reservation
            for other in alternatives
            if other.route.model is route.model and other.route.prices is route.prices
        )
        reservation = next(known, None) or operation.reserve(request, route)
        alternatives.append(Alternative(route, reservation, each.after))
    return alternatives


def _session(request: Request, context: RequestContext) -> str:
    """What the requests of one session have in common, so that they reach the same route; else the request's own id."""
    named = (request.extra.get(name) for name in SESSION_FIELDS)
    return context.session_id or next((str(value) for value in named if value), context.request_id)


def _time_limits(context: RequestContext, clock: Clock, has_others: bool) -> TimeLimits:
    """The limits of one attempt. While there is another route, the first byte may take half of what is left, if the
    other half is enough for an attempt."""
    if context.deadline is None:
        return TimeLimits()
    now = clock.monotonic()
    half = (context.deadline - now) / 2
    return TimeLimits(context.deadline, now + half if has_others and half > LEAST_SECONDS else None)
