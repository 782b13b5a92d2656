"""The use case: admit, route, call, settle, for one chat completion, buffered or streamed."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway import keys
from gateway.admission import Account, Hold, RefusedError, error_of
from gateway.budget import Reservation, reserve
from gateway.catalog import Catalog, Model
from gateway.errors import GatewayError
from gateway.exchange import Exchange, Trace
from gateway.functions import with_tools
from gateway.images import inlined
from gateway.keys import ApiKey, RecentKeys
from gateway.ports import Adapter, Clock, Images, KeyStore, Ledger, Upstream
from gateway.reading import AnswerReader
from gateway.routing import Route, find_routes, other_models
from gateway.streaming import AnswerStream, open_stream
from gateway.types import ChatRequest, Json

HOLD_SECONDS = 900
HOLD_MARGIN = 30
"""How long an unsettled request keeps its hold: to its deadline (or a function's longest life), and a margin."""


@dataclass(frozen=True, slots=True)
class Edges:
    """Everything the gateway reaches the world through; `adapters` by the name of their family."""

    adapters: Mapping[str, Adapter]
    upstream: Upstream
    images: Images
    keys: KeyStore
    ledger: Ledger
    clock: Clock


class Answer:
    """A whole answer. Whoever takes it must `settle` it before it is sent: who has it may ask again at once."""

    def __init__(self, body: Json, exchange: Exchange, edges: Edges) -> None:
        self.body = body
        self.route = exchange.route
        self.dropped = exchange.dropped
        self._exchange = exchange
        self._edges = edges

    async def settle(self) -> None:
        """Close the account of this request; again does nothing."""
        await self._exchange.close(self._edges.ledger, self._edges.clock)


class Gateway:
    """The gateway itself. The model `stand_in` answers for those none of whose providers has a credential here."""

    def __init__(self, catalog: Catalog, edges: Edges, stand_in: Model | None = None) -> None:
        self.catalog = catalog
        self._edges = edges
        self._stand_in = stand_in
        self._seen = RecentKeys(edges.clock.monotonic)

    async def authenticate(self, api_key: str, trace: Trace) -> Account:
        """The key's account, read and not written: for what takes no hold. Raises AuthenticationError."""
        key = keys.read(api_key)
        account = await self._edges.keys.get(key.key_id)
        keys.verify(account and account.record, key, self._edges.clock.now())
        trace.account = account
        assert account is not None
        self._seen.add(key)
        return account

    async def recognise(self, api_key: str, trace: Trace) -> None:
        """Raises AuthenticationError for what is no key: before a large body is read. A key seen lately is believed."""
        if keys.read(api_key) not in self._seen:
            await self.authenticate(api_key, trace)

    @asynccontextmanager
    async def told_to_key_holders(self, api_key: str, trace: Trace) -> AsyncGenerator[None]:
        """What is wrong with a request is told to those who hold a key; others learn only that they hold none."""
        try:
            yield
        except GatewayError:
            await self.authenticate(api_key, trace)
            raise

    async def chat(self, api_key: str, request: ChatRequest, trace: Trace) -> Answer | AnswerStream:
        """Answer one request. Raises GatewayError, with nothing left open, where no answer begins."""
        async with self.told_to_key_holders(api_key, trace):
            routes = find_routes(self.catalog, request.model, self._edges.upstream.is_open, self._stand_in)
            has_functions, request = request.has_functions, with_tools(request)
        exchange = await self._admit(api_key, request, trace, routes[0], has_functions)
        try:
            return await self._call(exchange)
        except BaseException as error:
            exchange.failed(error, self._edges.clock.monotonic())
            await exchange.close(self._edges.ledger, self._edges.clock)
            raise

    async def _admit(
        self, api_key: str, request: ChatRequest, trace: Trace, route: Route, has_functions: bool
    ) -> Exchange:
        """Reserve what the request may use. The exchange's request has its answer limited to what the budget has."""
        reservation = reserve(request, route)
        hold = self._hold(keys.read(api_key), request, reservation, trace)
        try:
            account = trace.account = await self._edges.ledger.admit(hold)
        except RefusedError as refused:
            trace.account = refused.account
            raise error_of(refused, hold) from None
        self._seen.add(hold.key)
        exchange = Exchange(trace, hold, request, route, reservation.usual, has_functions)
        lease = account.balance.leases.get(hold.hold_id) if account.checked else None
        if lease is not None and account.record.limits.budget is not None and hold.priced:
            exchange.bound_by(reservation, lease.micro_usd)
        return exchange

    def _hold(self, key: ApiKey, request: ChatRequest, reservation: Reservation, trace: Trace) -> Hold:
        clock, usual = self._edges.clock, reservation.usual
        now, others = clock.now(), other_models(request)
        lifetime = HOLD_SECONDS if trace.deadline is None else trace.deadline - clock.monotonic()
        return Hold(
            hold_id=trace.request_id,
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

    async def _call(self, exchange: Exchange) -> Answer | AnswerStream:
        route, clock = exchange.route, self._edges.clock
        adapter = self._edges.adapters[route.provider.family]
        request = await inlined(exchange.request, self._edges.images, adapter.fetches_url)
        upstream_request = adapter.build_request(request, route)
        exchange.dropped = (*exchange.dropped, *upstream_request.dropped)
        exchange.sending(clock.monotonic())
        answer = exchange.answer = await self._edges.upstream.send(
            upstream_request, route.provider, exchange.trace.deadline
        )
        if not 200 <= answer.status < 300:
            exchange.turned_down = True
            raise adapter.parse_error(answer.status, answer.headers, await answer.read())
        reader = AnswerReader(adapter, request, route, answer)
        if request.stream:
            return await open_stream(request.wants_usage_chunk, exchange, reader, self._edges.ledger, clock)
        completion = await reader.whole()
        now = clock.monotonic()
        exchange.saw(completion, now)
        exchange.completed(now)
        return Answer(exchange.envelope.completion(completion, exchange.told_usage), exchange, self._edges)
