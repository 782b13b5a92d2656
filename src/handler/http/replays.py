"""Replays stored responses over HTTP: for `Idempotency-Key`, and from the response cache of `x-tollgate-cache`."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from tollgate.gateway.accounting import RequestContext
from tollgate.gateway.cache_hit import account_for_hit
from tollgate.gateway.documents import MAX_DOCUMENT_BYTES
from tollgate.gateway.errors import StoreUnavailableError
from tollgate.gateway.replay import (
    CACHE,
    IDEMPOTENCY_SECONDS,
    RequestText,
    StoredResponse,
    idempotency_name,
    replay_options,
    require_replayable,
)
from tollgate.handler.components import Components
from tollgate.handler.http.requests import components_of, context_of
from tollgate.handler.http.responses import EventStreamResponse
from tollgate.handler.http.routes import path_without_alias
from tollgate.handler.http.streaming import StreamResponse

IN_FLIGHT_SECONDS = 900
"""How long a request without a deadline is taken to be in flight: a function's longest life."""
ITEM = "response"
REPLAYED = {"x-tollgate-idempotent-replay": "true"}
NOT_STORED = (b"x-tollgate-stored", b"false")
OF_ONE_REQUEST = ("content-length", "x-tollgate-attempts", "x-tollgate-overhead-ms", "x-tollgate-cost-usd")
"""Headers that are not true of a replay."""

STREAMS = (EventStreamResponse, StreamResponse)

Serve = Callable[[], Awaitable[Response]]


async def serve_or_replay(request: Request, api_key: str, model: str, body: bytes, serve: Serve) -> Response:
    """The stored response that the headers ask for, or the one of `serve`, which is stored as it is sent.

    `model` is the name that the client requests; the key must allow it for a hit of the cache too.

    Raises GatewayError; AuthenticationError before anything else.
    """
    components, context = components_of(request), context_of(request)
    account = await components.gateway.authenticate(api_key, context)
    options = replay_options(request.headers)
    text = RequestText(path_without_alias(request.url.path), request.headers, body)
    claim = None
    if options.idempotency_key is not None:
        name = idempotency_name(account.record.key_id, options.idempotency_key)
        claim = _Claim(components, f"idempotency#{name}", StoredResponse(text.fingerprint(), context.request_id))
        if not await claim.take(context):
            return await claim.replay()
    try:
        cache_seconds = options.cache_seconds or account.record.cache_seconds
        if not cache_seconds:
            served = await serve()
            return served if claim is None else _RecordedResponse(served, components, context, claim, None)
        guardrails = repr((account.record.guardrails, components.gateway.catalog.guardrails))
        cache_key = text.cache_key(account.record.key_id, guardrails)
        cache = _Cache(components, f"cache#{cache_key}", cache_seconds)
        stored = await cache.read()
        if stored is None:
            return _RecordedResponse(await serve(), components, context, claim, cache)
        dependencies = components.gateway.dependencies
        await account_for_hit(dependencies.ledger, dependencies.clock, api_key, model, stored, context)
        hit = _response(stored, {CACHE: "hit"})
        return hit if claim is None else _RecordedResponse(hit, components, context, claim, None)
    except BaseException:
        if claim is not None:
            await claim.release()
        raise


def _response(stored: StoredResponse, more_headers: dict[str, str]) -> Response:
    return Response(stored.body, 200, {**(stored.headers or {}), **more_headers})


@dataclass(frozen=True, slots=True)
class _Claim:
    """The right to be the one request that runs under an idempotency key, until its response takes its place."""

    components: Components
    collection: str
    marker: StoredResponse

    async def take(self, context: RequestContext) -> bool:
        """Whether this request is the first. The claim of a process that dies ends with the request's deadline."""
        clock = self.components.clock
        left = IN_FLIGHT_SECONDS if context.deadline is None else context.deadline - clock.monotonic()
        marker = self.marker.to_document()
        assert marker is not None
        return await self.components.documents.write(self.collection, ITEM, marker, clock.now() + left + 1, None)

    async def replay(self) -> Response:
        """The response of the first request."""
        document = await self.components.documents.read(self.collection, ITEM)
        stored = None if document is None else StoredResponse.from_document(document.body)
        return _response(require_replayable(stored, self.marker.fingerprint), REPLAYED)

    async def save(self, document: bytes) -> bool:
        """Put the response in the place of the claim. Returns whether it is there."""
        return await self._replace(document, self.components.clock.now() + IDEMPOTENCY_SECONDS)

    async def release(self) -> None:
        """Give the claim up, so that a retry runs."""
        await self._replace(b"", self.components.clock.now() - 1)

    async def _replace(self, body: bytes, expires_at: float) -> bool:
        documents = self.components.documents
        with suppress(StoreUnavailableError):  # the claim expires
            document = await documents.read(self.collection, ITEM)
            if document is not None and document.body == self.marker.to_document():
                return await documents.write(self.collection, ITEM, body, expires_at, document)
        return False


@dataclass(frozen=True, slots=True)
class _Cache:
    """The place of one response in the cache. A store that does not respond costs the hit, not the request."""

    components: Components
    collection: str
    seconds: int

    async def read(self) -> StoredResponse | None:
        with suppress(StoreUnavailableError):
            document = await self.components.documents.read(self.collection, ITEM)
            return None if document is None else StoredResponse.from_document(document.body)
        return None

    async def save(self, document: bytes) -> bool:
        """Store the response. Returns whether this was it, and not that of an equal request."""
        expires_at = self.components.clock.now() + self.seconds
        with suppress(StoreUnavailableError):
            return await self.components.documents.write(self.collection, ITEM, document, expires_at, None)
        return False


class _RecordedResponse(Response):
    """A response that is stored before its last byte is sent: a client that has it may repeat its request at once.

    A whole response is kept back up to the size that can be stored, so that its headers say if it is not stored.
    """

    def __init__(
        self,
        response: Response,
        components: Components,
        context: RequestContext,
        claim: _Claim | None,
        cache: _Cache | None,
    ) -> None:
        self._response = response
        self._context = context
        self._claim = claim
        self._cache = cache
        self._held: list[Message] | None = None if isinstance(response, STREAMS) else []
        self._start: Message = {}
        self._body: list[bytes] = []
        self._size = 0
        self._saved = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def record(message: Message) -> None:
            await self._record(message, send)

        try:
            await self._response(scope, receive, record)
        finally:
            await self._release()

    async def _record(self, message: Message, send: Send) -> None:
        if message["type"] == "http.response.start":
            self._start = {**message, "headers": [*message["headers"]]}
            if self._held is not None:
                self._held.append(self._start)
                return
            await send(self._with_miss(self._start))
            return
        is_last = not message.get("more_body", False)
        self._size += len(message.get("body", b""))
        fits = self._size <= MAX_DOCUMENT_BYTES
        if fits:
            self._body.append(message.get("body", b""))
        else:
            self._body.clear()
        if is_last and fits and self._is_complete:
            await self._save()
        if is_last:
            await self._release()
        if self._held is not None and fits and not is_last:
            self._held.append(message)
            return
        await self._send_held(send)
        await send(message)

    async def _release(self) -> None:
        """Give up a claim whose response is not stored, once."""
        claim, self._claim = self._claim, None
        if claim is not None and not self._saved:
            await claim.release()

    async def _send_held(self, send: Send) -> None:
        held, self._held = self._held or (), None
        for number, message in enumerate(held):
            if number == 0:
                message = self._with_miss(message)
                if not self._saved:
                    message["headers"].append(NOT_STORED)
            await send(message)

    def _with_miss(self, start: Message) -> Message:
        """The start of a response that the cache did not have."""
        miss = [] if self._cache is None else [(CACHE.encode(), b"miss")]
        return {**start, "headers": [*start["headers"], *miss]}

    @property
    def _is_complete(self) -> bool:
        return not isinstance(self._response, STREAMS) or self._response.is_complete

    async def _save(self) -> None:
        record = self._context.record
        if record is None:
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in self._start["headers"]}
        headers = {name: value for name, value in headers.items() if name not in OF_ONE_REQUEST}
        stored = StoredResponse(
            fingerprint="" if self._claim is None else self._claim.marker.fingerprint,
            request_id=self._context.request_id,
            headers=headers,
            operation=record.operation,
            model=record.model,
            provider=record.provider,
            upstream_model=record.upstream_model,
            finish_reason=record.finish_reason,
            streamed=record.streamed,
            body=b"".join(self._body),
        )
        document = stored.to_document()
        if document is None:
            return
        saved = [await place.save(document) for place in (self._claim, self._cache) if place is not None]
        self._saved = any(saved)
