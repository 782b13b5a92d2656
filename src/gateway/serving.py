"""The use case: admit, route, call, settle, for one chat completion, buffered or streamed."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tollgate.gateway import keys
from tollgate.gateway.accounting import RequestAccounting, RequestContext
from tollgate.gateway.admission import Account, Hold, RefusedError, refusal_error
from tollgate.gateway.budget import Reservation, reserve
from tollgate.gateway.catalog import Catalog, Model
from tollgate.gateway.errors import GatewayError
from tollgate.gateway.images import inlined
from tollgate.gateway.keys import ApiKey, RecentKeys
from tollgate.gateway.legacy_functions import with_tools
from tollgate.gateway.ports import Adapter, Clock, Images, KeyStore, Ledger, Upstream
from tollgate.gateway.response_reader import ResponseReader
from tollgate.gateway.routing import Route, find_routes, other_models
from tollgate.gateway.streaming import AnswerStream, open_stream
from tollgate.gateway.types import ChatRequest, Json

HOLD_SECONDS = 900
HOLD_MARGIN = 30
"""How long an unsettled request keeps its hold: to its deadline (or a function's longest life), and a margin."""


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Everything the gateway reaches the world through; `adapters` by the name of their family."""

    adapters: Mapping[str, Adapter]
    upstream: Upstream
    images: Images
    keys: KeyStore
    ledger: Ledger
    clock: Clock


class Answer:
    """A whole answer. Whoever takes it must `settle` it before it is sent: who has it may ask again at once."""

    def __init__(self, body: Json, accounting: RequestAccounting, dependencies: Dependencies) -> None:
        self.body = body
        self.route = accounting.route
        self.dropped = accounting.dropped
        self._accounting = accounting
        self._dependencies = dependencies

    async def settle(self) -> None:
        """Close the account of this request; again does nothing."""
        await self._accounting.close(self._dependencies.ledger, self._dependencies.clock)


class Gateway:
    """The gateway itself. The model `substitute` answers for those none of whose providers has a credential here."""

    def __init__(self, catalog: Catalog, dependencies: Dependencies, substitute: Model | None = None) -> None:
        self.catalog = catalog
        self._dependencies = dependencies
        self._substitute = substitute
        self._seen = RecentKeys(dependencies.clock.monotonic)

    async def authenticate(self, api_key: str, context: RequestContext) -> Account:
        """The key's account, read and not written: for what takes no hold. Raises AuthenticationError."""
        key = keys.read(api_key)
        account = await self._dependencies.keys.get(key.key_id)
        keys.verify(account and account.record, key, self._dependencies.clock.now())
        context.account = account
        assert account is not None
        self._seen.add(key)
        return account

    async def require_known_key(self, api_key: str, context: RequestContext) -> None:
        """Raises AuthenticationError for what is no key: before a large body is read. A key seen lately is believed."""
        if keys.read(api_key) not in self._seen:
            await self.authenticate(api_key, context)

    @asynccontextmanager
    async def check_key_before_errors(self, api_key: str, context: RequestContext) -> AsyncGenerator[None]:
        """What is wrong with a request is told to those who hold a key; others learn only that they hold none."""
        try:
            yield
        except GatewayError:
            await self.authenticate(api_key, context)
            raise

    async def chat(self, api_key: str, request: ChatRequest, context: RequestContext) -> Answer | AnswerStream:
        """Answer one request. Raises GatewayError, with nothing left open, where no answer begins."""
        async with self.check_key_before_errors(api_key, context):
            routes = find_routes(
                self.catalog, request.model, self._dependencies.upstream.has_credential, self._substitute
            )
            has_functions, request = request.has_functions, with_tools(request)
        accounting = await self._admit(api_key, request, context, routes[0], has_functions)
        try:
            return await self._call(accounting)
        except BaseException as error:
            accounting.failed(error, self._dependencies.clock.monotonic())
            await accounting.close(self._dependencies.ledger, self._dependencies.clock)
            raise

    async def _admit(
        self, api_key: str, request: ChatRequest, context: RequestContext, route: Route, has_functions: bool
    ) -> RequestAccounting:
        """Reserve what the request may use. The exchange's request has its answer limited to what the budget has."""
        reservation = reserve(request, route)
        hold = self._hold(keys.read(api_key), request, reservation, context)
        try:
            account = context.account = await self._dependencies.ledger.admit(hold)
        except RefusedError as refused:
            context.account = refused.account
            raise refusal_error(refused, hold) from None
        self._seen.add(hold.key)
        accounting = RequestAccounting(context, hold, request, route, reservation.usual, has_functions)
        lease = account.balance.leases.get(hold.hold_id) if account.checked else None
        if lease is not None and account.record.limits.budget is not None and hold.priced:
            accounting.bound_by(reservation, lease.micro_usd)
        return accounting

    def _hold(self, key: ApiKey, request: ChatRequest, reservation: Reservation, context: RequestContext) -> Hold:
        clock, usual = self._dependencies.clock, reservation.usual
        now, others = clock.now(), other_models(request)
        lifetime = HOLD_SECONDS if context.deadline is None else context.deadline - clock.monotonic()
        return Hold(
            hold_id=context.request_id,
            key=key,
            model=request.model,
            opened_at=now,
            expires_at=now + lifetime + HOLD_MARGIN,
            tokens=usual.input_tokens + usual.output_tokens,
            micro_usd=reservation.wanted_micro_usd,
            priced=reservation.priced and not others,
            least_micro_usd=reservation.least_micro_usd,
            at_most_half=reservation.at_most_half,
            other_models=others,
        )

    async def _call(self, accounting: RequestAccounting) -> Answer | AnswerStream:
        route, clock = accounting.route, self._dependencies.clock
        adapter = self._dependencies.adapters[route.provider.family]
        request = await inlined(accounting.request, self._dependencies.images, adapter.fetches_url)
        upstream_request = adapter.build_request(request, route)
        accounting.dropped = (*accounting.dropped, *upstream_request.dropped)
        accounting.sending(clock.monotonic())
        answer = accounting.answer = await self._dependencies.upstream.send(
            upstream_request, route.provider, accounting.context.deadline
        )
        if not 200 <= answer.status < 300:
            accounting.turned_down = True
            raise adapter.parse_error(answer.status, answer.headers, await answer.read())
        reader = ResponseReader(adapter, request, route, answer)
        if request.stream:
            return await open_stream(request.wants_usage_chunk, accounting, reader, self._dependencies.ledger, clock)
        completion = await reader.whole()
        now = clock.monotonic()
        accounting.saw(completion, now)
        accounting.completed(now)
        return Answer(accounting.envelope.completion(completion, accounting.told_usage), accounting, self._dependencies)
