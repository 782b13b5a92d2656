"""The one use case: authenticate, route, admit, call the provider, settle, for any operation."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from tollgate.gateway import keys
from tollgate.gateway.accounting import RequestAccounting, RequestContext, admit
from tollgate.gateway.admission import Account, Hold
from tollgate.gateway.attempt_plan import Alternative, AttemptPlan
from tollgate.gateway.attempts import Attempts
from tollgate.gateway.auto import with_model
from tollgate.gateway.budget import Reservation
from tollgate.gateway.catalog import Catalog, Model
from tollgate.gateway.errors import GatewayError
from tollgate.gateway.keys import ApiKey, RecentKeys
from tollgate.gateway.metering import price_terms
from tollgate.gateway.model_suffixes import split_suffix
from tollgate.gateway.operations import Operation, Req
from tollgate.gateway.own_credentials import with_own_credentials
from tollgate.gateway.ports import Dependencies
from tollgate.gateway.responses import BufferedResponse, StreamedResponse
from tollgate.gateway.route_finder import Found, RouteFinder
from tollgate.gateway.types import Request
from tollgate.gateway.validation import invalid

if TYPE_CHECKING:
    from tollgate.gateway.guardrails import RequestGuard

HOLD_SECONDS = 900
HOLD_MARGIN = 30
"""How long an unsettled request keeps its hold: to its deadline (or a function's longest life), and a margin."""
SESSION_FIELDS = ("session_id", "prompt_cache_key", "user")
"""Fields of a request that name its session: OpenRouter's, and OpenAI's for caches and for users."""


class Gateway:
    """The gateway. The model `substitute` answers for models none of whose providers has a credential here."""

    def __init__(self, catalog: Catalog, dependencies: Dependencies, substitute: Model | None = None) -> None:
        self.catalog = catalog
        self.dependencies = dependencies
        self.finder = RouteFinder(
            catalog,
            dependencies.families,
            dependencies.upstream,
            dependencies.health,
            dependencies.speeds,
            substitute,
        )
        self._attempts = Attempts(dependencies)
        self._recent_keys = RecentKeys(dependencies.clock.monotonic)

    async def authenticate(self, api_key: str, context: RequestContext) -> Account:
        """The key's account, read and not written: for requests that take no hold. Raises AuthenticationError."""
        key = keys.read(api_key)
        account = await self.dependencies.keys.get(key.key_id)
        keys.verify(account and account.record, key, self.dependencies.clock.now())
        context.account = account
        assert account is not None
        self._recent_keys.add(key, account.record.cache_seconds)
        return account

    async def require_known_key(self, api_key: str, context: RequestContext) -> None:
        """Raises AuthenticationError for an invalid key, before a large body is read. A key used lately is trusted."""
        if keys.read(api_key) not in self._recent_keys:
            await self.authenticate(api_key, context)

    def cache_seconds(self, api_key: str) -> int:
        """For how long responses to this key may be cached, as far as this process knows."""
        return self._recent_keys.cache_seconds(keys.read(api_key))

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
            allowed = [each for each in alternatives if _is_allowed(each, accounting)]
            guard = self._guard(operation, request, alternatives, accounting)
            if guard is not None:
                request = await guard.check_request(operation, request)
            account = accounting.context.account
            tried = allowed or alternatives
            if account is not None:
                tried = with_own_credentials(self.catalog, tried, account.record)
            plan = AttemptPlan(tried)
            response = await self._attempts.make(plan, operation, request, accounting)
            return response if guard is None else await guard.check_response(operation, response)
        except BaseException as error:
            if not accounting.attempts:  # a guardrail: the record names the route that would have been tried
                accounting.begin(alternatives[0].route, alternatives[0].reservation)
            accounting.failed(error, self.dependencies.clock.monotonic())
            await accounting.close(self.dependencies.ledger, self.dependencies.clock)
            raise

    def _guard(
        self,
        operation: Operation[Req],
        request: Req,
        alternatives: Sequence[Alternative],
        accounting: RequestAccounting,
    ) -> "RequestGuard | None":
        """What checks the request and its answer, if anything does."""
        account = accounting.context.account
        of_key = account.record.guardrails if account else ()
        if not (self.catalog.guardrails or of_key):
            return None
        from tollgate.gateway.guardrails import RequestGuard, rules_for  # few gateways have guardrails

        models = (request.model, *operation.other_models(request))
        rules = rules_for(self.catalog, models, [each.route for each in alternatives], of_key)
        return RequestGuard(rules, self.catalog, self.dependencies, accounting) if rules else None

    async def _admit(
        self,
        api_key: str,
        operation: Operation[Req],
        request: Req,
        context: RequestContext,
        alternatives: Sequence[Alternative],
    ) -> RequestAccounting:
        """Reserve what the request may use on the dearest route that may be tried."""
        others = tuple(split_suffix(self.catalog, name, "models")[0] for name in operation.other_models(request))
        own = [each.reservation for each in alternatives if not each.stands_in]
        reservations = [each.reservation for each in alternatives]
        hold = self._hold(keys.read(api_key), request, own or reservations, reservations, others, context)
        if others and any(each.route.provider.quirks.router for each in alternatives):
            hold = replace(hold, priced=False)  # a router may call models that no route here has prices for
        hold = await admit(self.dependencies.ledger, hold, context)
        self._recent_keys.add(hold.key, 0 if context.account is None else context.account.record.cache_seconds)
        return RequestAccounting(context, operation.name, hold, price_terms(request), request.stream)

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
        alternatives.append(Alternative(route, reservation, each.after, each.stands_in))
    return alternatives


def _session(request: Request, context: RequestContext) -> str:
    """What the requests of one session have in common, so that they reach the same route; else the request's own id."""
    named: list[str] = []
    for name in SESSION_FIELDS:
        value = request.extra.get(name, "")
        if not isinstance(value, str):
            raise invalid(name, "it is not a string")
        named.append(value)
    return context.session_id or next(filter(None, named), context.request_id)


def _is_allowed(alternative: Alternative, accounting: RequestAccounting) -> bool:
    """Whether the key may use this route, and the hold pays for it."""
    account, reservation = accounting.context.account, alternative.reservation
    if account is None:
        return True
    record = account.record
    if alternative.stands_in and not keys.allows_model(record, alternative.route.model.id):
        return False
    if account.has_budget and accounting.hold.priced and not reservation.priced:
        return not account.refuses_unpriced
    left = accounting.left_micro_usd()
    return left is None or reservation.minimum_micro_usd <= left
