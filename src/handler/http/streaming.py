"""Serves a streamed chat: while an accepted request waits for its first token, comments keep the connection open.

The first chunk, or the error in its place, decides the HTTP status, as for every response, unless it takes so long that
a proxy or the client would give the connection up. Then the response begins with 200; another route may still be
tried, and an error becomes an event of the stream.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from tollgate.gateway.accounting import RequestContext
from tollgate.gateway.client_format import StreamEncoder
from tollgate.gateway.errors import GatewayError
from tollgate.gateway.sse import KEEP_ALIVE
from tollgate.handler.http.requests import context_of
from tollgate.handler.http.responses import KEEP_ALIVE_SECONDS, STREAM_HEADERS, EventStreamResponse


class StreamResponse(Response):
    """The stream that `serve` begins once the response is sent. `encoder` writes an error of its own stream."""

    def __init__(
        self, request: Request, serve: Callable[[], Awaitable[Response]], encoder: Callable[[], StreamEncoder]
    ) -> None:
        self.status_code = 200
        self.background = None
        self.media_type = "text/event-stream"
        self.init_headers(STREAM_HEADERS)
        self._request = request
        self._serve = serve
        self._encoder = encoder
        self._response: Response | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the stream has ended as it should; true before its last event is sent."""
        return isinstance(self._response, EventStreamResponse) and self._response.is_complete

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start: Message = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        early = _EarlyStart(start, send, context_of(self._request))
        try:
            response = self._response = await self._serve()
        except GatewayError as error:
            await early.stop()
            if not early.has_begun:
                raise
            self._request.state.error_code = error.code or error.type
            with suppress(OSError):  # the client has disconnected
                await send({"type": "http.response.body", "body": self._encoder().error(error), "more_body": False})
            return
        finally:
            await early.stop()

        async def send_rest(message: Message) -> None:
            if not (early.has_begun and message["type"] == "http.response.start"):
                await send(message)

        await response(scope, receive, send_rest)


class _EarlyStart:
    """Begins the response with a comment, and sends more, once a provider has accepted the request and is silent."""

    def __init__(self, start: Message, send: Send, context: RequestContext) -> None:
        self.has_begun = False
        self._start = start
        self._send = send
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._sending: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(KEEP_ALIVE_SECONDS, self._check)

    async def stop(self) -> None:
        """Send no more."""
        self._timer.cancel()
        if self._sending is not None:
            await self._sending

    def _check(self) -> None:
        is_accepted = self._context.is_accepted
        if is_accepted and (self._sending is None or self._sending.done()):
            self._sending = self._loop.create_task(self._send_comment())
        self._timer = self._loop.call_later(KEEP_ALIVE_SECONDS if is_accepted else 1, self._check)

    async def _send_comment(self) -> None:
        with suppress(OSError):  # the client has disconnected
            if not self.has_begun:
                self.has_begun = True
                await self._send(self._start)
            await self._send({"type": "http.response.body", "body": KEEP_ALIVE, "more_body": True})
