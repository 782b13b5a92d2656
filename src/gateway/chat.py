"""The use case: admit, route, call, settle, for one chat completion, buffered or streamed."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway import keys
from gateway.admission import Account, Hold, RefusedError, error_of
from gateway.answers import Envelope
from gateway.catalog import Catalog, Model
from gateway.errors import GatewayError, UpstreamError
from gateway.exchange import Exchange, Trace
from gateway.images import inlined
from gateway.metering import cost_of, expected_usage
from gateway.ports import Adapter, Clock, Images, KeyStore, Ledger, StreamParser, Upstream, UpstreamAnswer
from gateway.routing import Route, find_routes
from gateway.types import ChatRequest, Chunk, Json

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
    """A whole answer. Whoever takes it must `settle` it once it has been sent, or could not be."""

    def __init__(self, body: Json, exchange: Exchange, edges: Edges) -> None:
        self.body = body
        self.route = exchange.route
        self.dropped = exchange.dropped
        self._exchange = exchange
        self._edges = edges

    async def settle(self) -> None:
        """Close the account of this request; again does nothing."""
        await self._exchange.settle(self._edges.ledger, self._edges.clock)


class AnswerStream:
    """An answer as it comes: lists of OpenAI chunks. Its first chunk is in hand, so its HTTP status is certain.

    Iteration ends after the provider's terminal marker, and raises GatewayError where the provider breaks off. Whoever
    takes it must `settle` it, however far it was read.
    """

    def __init__(self, first: list[Json], rest: AsyncGenerator[list[Json], None], exchange: Exchange, edges: Edges):
        self.route = exchange.route
        self.dropped = exchange.dropped
        self._first = first
        self._rest = rest
        self._exchange = exchange
        self._edges = edges

    async def __aiter__(self) -> AsyncIterator[list[Json]]:
        yield self._first
        async for chunks in self._rest:
            yield chunks

    async def settle(self) -> None:
        """Let the provider go and close the account of this request; again does nothing."""
        await self._rest.aclose()
        await self._exchange.settle(self._edges.ledger, self._edges.clock)


class Gateway:
    """The gateway itself. The model `stand_in` answers for those none of whose providers has a credential here."""

    def __init__(self, catalog: Catalog, edges: Edges, stand_in: Model | None = None) -> None:
        self.catalog = catalog
        self._edges = edges
        self._stand_in = stand_in

    async def authenticate(self, api_key: str, trace: Trace) -> Account:
        """The key's account, read and not written: for what takes no hold. Raises AuthenticationError."""
        key = keys.read(api_key)
        account = await self._edges.keys.get(key.key_id)
        keys.verify(account and account.record, key, self._edges.clock.now())
        trace.account = account
        assert account is not None
        return account

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
        exchange = await self._admit(api_key, request, trace, routes[0])
        try:
            return await self._call(request, exchange)
        except BaseException as error:
            exchange.failed(error, self._edges.clock.monotonic())
            await exchange.settle(self._edges.ledger, self._edges.clock)
            raise

    async def _admit(self, api_key: str, request: ChatRequest, trace: Trace, route: Route) -> Exchange:
        clock = self._edges.clock
        now = clock.now()
        expected = expected_usage(request, route.model)
        cost = cost_of(expected, route.prices)
        lifetime = HOLD_SECONDS if trace.deadline is None else trace.deadline - clock.monotonic()
        hold = Hold(
            hold_id=trace.request_id,
            key=keys.read(api_key),
            model=request.model,
            opened_at=now,
            expires_at=now + lifetime + HOLD_MARGIN,
            tokens=expected.input_tokens + expected.output_tokens,
            micro_usd=cost.micro_usd,
            priced=cost.usd is not None,
        )
        try:
            trace.account = await self._edges.ledger.admit(hold)
        except RefusedError as refused:
            trace.account = refused.account
            raise error_of(refused, hold) from None
        envelope = Envelope(f"chatcmpl-{trace.request_id.removeprefix('req_')}", int(now), request.model)
        return Exchange(trace, hold, envelope, route, request.stream, expected)

    async def _call(self, request: ChatRequest, exchange: Exchange) -> Answer | AnswerStream:
        route, clock = exchange.route, self._edges.clock
        adapter = self._edges.adapters[route.provider.family]
        request = await inlined(request, self._edges.images, adapter.fetches_url)
        upstream_request = adapter.build_request(request, route)
        exchange.dropped = upstream_request.dropped
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
        return Answer(exchange.envelope.completion(completion), exchange, self._edges)

    async def _stream(
        self, request: ChatRequest, exchange: Exchange, parser: StreamParser, answer: UpstreamAnswer
    ) -> AnswerStream:
        rest = self._chunks(request.wants_usage_chunk, exchange, parser, answer)
        try:
            first = await anext(rest)
        except StopAsyncIteration:
            raise UpstreamError("The provider's stream ended before it began.") from None
        return AnswerStream(first, rest, exchange, self._edges)

    async def _chunks(
        self, with_usage: bool, exchange: Exchange, parser: StreamParser, answer: UpstreamAnswer
    ) -> AsyncGenerator[list[Json], None]:
        """OpenAI chunks as they come, those that one read brought together in one list."""
        clock, envelope = self._edges.clock, exchange.envelope
        try:
            async for batch, error in _batches(parser, answer):
                now = clock.monotonic()
                for chunk in batch:
                    exchange.saw(chunk, now)
                if bodies := [envelope.chunk(chunk, with_usage) for chunk in batch if chunk.choices]:
                    yield bodies
                if error is not None:
                    raise error
        except Exception as error:
            exchange.failed(error, clock.monotonic())
            raise
        exchange.completed(clock.monotonic())
        if with_usage and exchange.usage is not None:
            yield [envelope.usage_chunk(exchange.usage)]


async def _batches(
    parser: StreamParser, answer: UpstreamAnswer
) -> AsyncIterator[tuple[list[Chunk], GatewayError | None]]:
    """The chunks of each read, and the failure that read ended in, if any: what came before it still counts."""
    async for data in answer.stream():
        yield _drain(parser.feed(data))
        if parser.done:
            return
    yield _drain(parser.close())


def _drain(chunks: Iterable[Chunk]) -> tuple[list[Chunk], GatewayError | None]:
    batch: list[Chunk] = []
    try:
        for chunk in chunks:
            batch.append(chunk)
    except GatewayError as error:
        return batch, error
    return batch, None


def _is_json(answer: UpstreamAnswer) -> bool:
    return answer.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"
