"""The one use case: authenticate, route, admit, call the provider, settle, for any operation."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from tollgate.gateway import keys
from tollgate.gateway.accounting import RequestAccounting, RequestContext
from tollgate.gateway.admission import Account, Hold, RefusedError, refusal_error
from tollgate.gateway.budget import Reservation
from tollgate.gateway.catalog import Catalog, Model
from tollgate.gateway.client_format import ResponseInfo
from tollgate.gateway.errors import BadRequestError, GatewayError
from tollgate.gateway.exchange import Exchange
from tollgate.gateway.keys import ApiKey, RecentKeys
from tollgate.gateway.metering import price_terms
from tollgate.gateway.operations import Operation, Req, call_name
from tollgate.gateway.ports import Clock, Family, Images, KeyStore, Ledger, Upstream
from tollgate.gateway.routing import Route, find_routes
from tollgate.gateway.streaming import StreamedResponse, open_stream
from tollgate.gateway.types import Request, Result, Usage

HOLD_SECONDS = 900
HOLD_MARGIN = 30
"""How long an unsettled request keeps its hold: to its deadline (or a function's longest life), and a margin."""


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Everything outside the core that the gateway calls; `families` by their names in the catalog."""

    families: Mapping[str, Family]
    upstream: Upstream
    images: Images
    keys: KeyStore
    ledger: Ledger
    clock: Clock


class BufferedResponse:
    """A whole response. `settle` it before it is sent: a client that has it may send its next request at once."""

    def __init__(
        self, info: ResponseInfo, result: Result, accounting: RequestAccounting, dependencies: Dependencies
    ) -> None:
        self.info = info
        self.result = result
        self.route = accounting.attempt.route
        self.dropped = accounting.attempt.dropped
        self.usage: Usage | None = accounting.attempt.reported_usage
        self._accounting = accounting
        self._dependencies = dependencies

    async def settle(self) -> None:
        """Close the accounting of this request. Settling again does nothing."""
        await self._accounting.close(self._dependencies.ledger, self._dependencies.clock)


class Gateway:
    """The gateway. The model `substitute` answers for models none of whose providers has a credential here."""

    def __init__(self, catalog: Catalog, dependencies: Dependencies, substitute: Model | None = None) -> None:
        self.catalog = catalog
        self.dependencies = dependencies
        self._substitute = substitute
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
            route = self.routes(operation, request)[0]
        accounting = await self._admit(api_key, operation, request, context, route)
        try:
            return await self._call(operation, self._within_budget(operation, request, accounting), accounting)
        except BaseException as error:
            accounting.failed(error, self.dependencies.clock.monotonic())
            await accounting.close(self.dependencies.ledger, self.dependencies.clock)
            raise

    def routes(self, operation: Operation[Req], request: Req) -> Sequence[Route]:
        """The routes that can serve the operation. Raises NotFoundError, BadRequestError `unsupported_operation`."""

        def can_serve(route: Route) -> bool:
            family = self.dependencies.families[route.provider.family]
            return call_name(operation.name, route.model) in family.calls

        has_credential = self.dependencies.upstream.has_credential
        routes = find_routes(self.catalog, request.model, can_serve, has_credential, self._substitute)
        if not routes:
            message = f"The model {request.model!r} does not support {operation.name}."
            raise BadRequestError(message, param="model", code="unsupported_operation")
        return routes

    async def _admit(
        self, api_key: str, operation: Operation[Req], request: Req, context: RequestContext, route: Route
    ) -> RequestAccounting:
        """Reserve what the request may use on this route."""
        reservation = operation.reserve(request, route)
        others = operation.other_models(request)
        hold = self._hold(keys.read(api_key), request, reservation, others, context)
        try:
            context.account = await self.dependencies.ledger.admit(hold)
        except RefusedError as refused:
            context.account = refused.account
            raise refusal_error(refused, hold) from None
        self._recent_keys.add(hold.key)
        accounting = RequestAccounting(context, operation.name, hold, reservation, price_terms(request), request.stream)
        accounting.begin(route)
        return accounting

    def _within_budget(self, operation: Operation[Req], request: Req, accounting: RequestAccounting) -> Req:
        """The request with an output limit that the reserved money pays for, if the key has a budget."""
        account, hold, attempt = accounting.context.account, accounting.hold, accounting.attempt
        if account is None or not account.checked or account.record.limits.budget is None or not hold.priced:
            return request
        lease = account.balance.leases.get(hold.hold_id)
        if lease is None:
            return request
        accounting.bound_by_budget(attempt.route, lease.micro_usd)
        request, attempt.dropped = operation.limit_output(
            request, attempt.route, accounting.reservation, lease.micro_usd
        )
        return request

    def _hold(
        self,
        key: ApiKey,
        request: Request,
        reservation: Reservation,
        other_models: tuple[str, ...],
        context: RequestContext,
    ) -> Hold:
        clock, usual = self.dependencies.clock, reservation.usual
        now = clock.now()
        lifetime = HOLD_SECONDS if context.deadline is None else context.deadline - clock.monotonic()
        return Hold(
            hold_id=context.request_id,
            key=key,
            model=request.model,
            opened_at=now,
            expires_at=now + lifetime + HOLD_MARGIN,
            tokens=usual.input_tokens + usual.output_tokens,
            micro_usd=reservation.amount_micro_usd,
            priced=reservation.priced and not other_models,
            minimum_micro_usd=reservation.minimum_micro_usd,
            at_most_half=reservation.at_most_half,
            other_models=other_models,
        )

    async def _call(
        self, operation: Operation[Req], request: Req, accounting: RequestAccounting
    ) -> BufferedResponse | StreamedResponse:
        """Send the request. The HTTP status is decided here: by an error, a whole response, or a first chunk."""
        attempt, clock, context = accounting.attempt, self.dependencies.clock, accounting.context
        provider = attempt.route.provider
        family = self.dependencies.families[provider.family]
        prepared = await operation.prepare(request, self.dependencies.images, family.fetches_url)
        open_call = family.calls[call_name(operation.name, attempt.route.model) or operation.name]
        batching = operation.batching
        parts = [prepared] if batching is None else batching.split(prepared, attempt.route)
        calls = [open_call(part, attempt.route) for part in parts]
        attempt.dropped = (*attempt.dropped, *calls[0].request.dropped)
        exchange = Exchange(self.dependencies.upstream, provider, context.deadline, clock)
        created = int(accounting.hold.opened_at)
        info = ResponseInfo(context.request_id, created, request.model, provider.name, provider.family)
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
