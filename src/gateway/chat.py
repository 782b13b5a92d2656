"""The use case: admit, route, call, settle, for one chat completion, buffered or streamed."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway import keys
from gateway.admission import Account, Hold, RefusedError, error_of
from gateway.budget import Reservation, reserve
from gateway.catalog import Catalog, Model
from gateway.errors import GatewayError, InsufficientQuotaError, UpstreamError
from gateway.exchange import Exchange, Trace
from gateway.functions import wants_functions, with_tools
from gateway.images import inlined
from gateway.keys import ApiKey, RecentKeys
from gateway.ports import Adapter, Clock, Images, KeyStore, Ledger, StreamParser, Upstream, UpstreamAnswer
from gateway.routing import Route, find_routes, other_models
from gateway.types import ChatRequest, Chunk, Json

HOLD_SECONDS = 900
HOLD_MARGIN = 30
"""How long an unsettled request keeps its hold: to its deadline (or a function's longest life), and a margin."""


_Batch = tuple[list[Chunk], GatewayError | None]
"""The chunks of one read, and the failure that it ended in, if any: what came before it still counts."""


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


class AnswerStream:
    """An answer as it comes: lists of OpenAI chunks. Its first chunk is in hand, so its HTTP status is certain.

    Iteration ends after the provider's terminal marker, and raises GatewayError where the provider breaks off. The
    request is settled before the last list, or the error: a client that knows of the end may ask again at once. Whoever
    takes the answer must `settle` it all the same, however far it was read.
    """

    def __init__(self, first: list[Json], rest: "_Chunks", exchange: Exchange, edges: Edges) -> None:
        self.route = exchange.route
        self.dropped = exchange.dropped
        self._first = first
        self._rest = rest
        self._exchange = exchange
        self._edges = edges

    async def __aiter__(self) -> AsyncIterator[list[Json]]:
        failure: Exception | None = None
        try:
            if self._first:
                yield self._first
            async for chunks in self._rest:
                yield chunks
        except Exception as error:
            failure = error
        await self._exchange.settle(self._edges.ledger, self._edges.clock)
        if self._rest.last:
            yield self._rest.last
        if failure is not None:
            raise failure

    async def settle(self) -> None:
        """Close the account of this request and let the provider go; again does nothing."""
        await self._rest.aclose()
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
            functions, request = wants_functions(request), with_tools(request)
        exchange = await self._admit(api_key, request, trace, routes[0])
        exchange.wants_functions = functions
        try:
            return await self._call(exchange)
        except BaseException as error:
            exchange.failed(error, self._edges.clock.monotonic())
            await exchange.close(self._edges.ledger, self._edges.clock)
            raise

    async def _admit(self, api_key: str, request: ChatRequest, trace: Trace, route: Route) -> Exchange:
        """Reserve what the request may use. The exchange's request has its answer limited to what the budget has."""
        reservation = reserve(request, route)
        hold = self._hold(keys.read(api_key), request, reservation, trace)
        try:
            account = trace.account = await self._edges.ledger.admit(hold)
        except RefusedError as refused:
            trace.account = refused.account
            raise error_of(refused, hold) from None
        self._seen.add(hold.key)
        exchange = Exchange(trace, hold, request, route, reservation.usual)
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
        if request.stream and not _is_json(answer):
            return await self._stream(request, exchange, adapter.open_stream(request, route), answer)
        completion = adapter.parse_response(await answer.read(), request, route)
        if request.stream:
            exchange.usage = completion.usage  # it is billed all the same
            raise UpstreamError("The provider answered a request for a stream with a whole answer.")
        now = clock.monotonic()
        exchange.saw(completion, now)
        exchange.completed(now)
        return Answer(exchange.told(exchange.envelope.completion(completion)), exchange, self._edges)

    async def _stream(
        self, request: ChatRequest, exchange: Exchange, parser: StreamParser, answer: UpstreamAnswer
    ) -> AnswerStream:
        chunks = _Chunks(request.wants_usage_chunk, exchange, parser, answer, self._edges)
        first = await anext(chunks, None)
        if first is None and not chunks.last:
            raise UpstreamError("The provider's stream ended before it began.")
        return AnswerStream(first or [], chunks, exchange, self._edges)


class _Chunks:
    """OpenAI chunks as they come, those that one read brought together in one list.

    Those with a finish_reason, which a client takes for the end, are kept in `last`.
    """

    def __init__(
        self, with_usage: bool, exchange: Exchange, parser: StreamParser, answer: UpstreamAnswer, edges: Edges
    ) -> None:
        self.last: list[Json] = []
        self._with_usage = with_usage
        self._exchange = exchange
        self._edges = edges
        self._lists = self._read(_batches(parser, answer))

    def __aiter__(self) -> AsyncIterator[list[Json]]:
        return self._lists

    async def __anext__(self) -> list[Json]:
        return await anext(self._lists)

    async def aclose(self) -> None:
        """Read no further."""
        await self._lists.aclose()

    async def _read(self, batches: AsyncIterator[_Batch]) -> AsyncGenerator[list[Json], None]:
        clock, exchange = self._edges.clock, self._exchange
        try:
            async for batch, failure in batches:
                chunks, error = await self._paid_for(batch, failure)
                if bodies := self._bodies(chunks):
                    yield bodies
                if error is not None:
                    raise error
        except Exception as error:
            exchange.failed(error, clock.monotonic())
            raise
        exchange.completed(clock.monotonic())
        if self._with_usage and exchange.usage is not None:
            self.last.append(exchange.envelope.usage_chunk(exchange.usage))

    def _bodies(self, chunks: list[Chunk]) -> list[Json]:
        bodies: list[Json] = []
        for chunk in chunks:
            is_end = any(choice.get("finish_reason") for choice in chunk.choices)
            if chunk.choices:
                body = self._exchange.told(self._exchange.envelope.chunk(chunk, self._with_usage))
                (self.last if is_end else bodies).append(body)
        return bodies

    async def _paid_for(self, batch: list[Chunk], failure: GatewayError | None) -> _Batch:
        """The chunks that the budget pays for, and why there are no more: the failure behind them, or no money."""
        now = self._edges.clock.monotonic()
        for number, chunk in enumerate(batch):
            try:
                await self._extend(self._exchange.answer_tokens_with(chunk))
            except GatewayError as error:
                return batch[:number], error
            self._exchange.saw(chunk, now)
        return batch, failure

    async def _extend(self, tokens: int) -> None:
        """Hold more of the budget for an answer that grows to so many tokens: as much again, or what is left.

        Raises InsufficientQuotaError where that is not enough.
        """
        allowance = self._exchange.allowance
        if allowance is None or tokens <= allowance.tokens:
            return
        least = allowance.lacking(tokens)
        wanted = max(least, allowance.held_micro_usd)
        try:
            held = await self._edges.ledger.extend(self._exchange.hold, wanted, least)
        except RefusedError:
            raise InsufficientQuotaError("The budget of this key is used up: the answer ends here.") from None
        self._exchange.holds(held)


async def _batches(parser: StreamParser, answer: UpstreamAnswer) -> AsyncIterator[_Batch]:
    async for data in answer.stream():
        yield _drain(parser.feed(data))
        if parser.done:
            return
    yield _drain(parser.close())


def _drain(chunks: Iterable[Chunk]) -> _Batch:
    batch: list[Chunk] = []
    try:
        for chunk in chunks:
            batch.append(chunk)
    except GatewayError as error:
        return batch, error
    return batch, None


def _is_json(answer: UpstreamAnswer) -> bool:
    return answer.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"
