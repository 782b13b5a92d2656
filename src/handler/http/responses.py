"""Results of the core as HTTP responses: whole, or as events; the request is settled before the last byte."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from itertools import chain
from typing import Any, TypeVar

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tollgate.gateway.client_format import Encoder, StreamEncoder
from tollgate.gateway.errors import ClientClosedError, GatewayError
from tollgate.gateway.json_text import dump
from tollgate.gateway.responses import BufferedResponse, StreamedResponse
from tollgate.gateway.types import Json
from tollgate.handler.telemetry import Telemetry

Result = TypeVar("Result")

KEEP_ALIVE_SECONDS = 15
"""Seconds of silence after which a comment is sent: proxies drop connections on which nothing is sent."""

STREAM_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}


def json_response(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON, ASCII only."""
    return Response(dump(body), status, headers, "application/json")


def error_response(error: GatewayError, body: Json) -> Response:
    """The error in the client's envelope, under its own status."""
    return json_response(body, error.status, error.headers())


class WholeResponse(Response):
    """A whole response; the request is settled before it is sent."""

    def __init__(self, served: BufferedResponse, encoder: Encoder) -> None:
        self.status_code = 200
        self.background = None
        self.media_type = encoder.media_type
        self.init_headers(_headers_of(served))
        self._served = served
        self._encoder = encoder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._served.settle()
        cost = self._served.cost
        if cost is not None and cost.usd is not None:
            self.headers["x-tollgate-cost-usd"] = f"{cost.usd:f}"
        encoded = self._encoder.result(self._served.result, self._served.usage)
        pieces = iter((encoded,) if isinstance(encoded, bytes) else encoded)
        self.body, following = next(pieces), next(pieces, None)
        if following is None:
            self.headers["content-length"] = str(len(self.body))
            await super().__call__(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for piece in chain((self.body, following), pieces):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(0)  # other requests have their turn
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class BrokenStreamError(ConnectionAbortedError):
    """A stream in whose format no failure can be expressed has failed. Raised to the server, it cuts the connection."""


def is_no_broken_stream(record: logging.LogRecord) -> bool:
    """A filter for the log of a server: the failure behind a BrokenStreamError is in the line of its request."""
    return record.exc_info is None or not isinstance(record.exc_info[1], BrokenStreamError)


class EventStreamResponse(Response):
    """A stream as it comes; a failure is an event of its own, and then the end marker is not sent.

    If the format has no such event, the response is cut, so that no client takes it for a whole one.
    """

    def __init__(self, served: StreamedResponse, encoder: StreamEncoder, request_id: str, telemetry: Telemetry) -> None:
        self.status_code = 200
        self.background = None
        self.media_type = encoder.stream_media_type
        self.init_headers({**_headers_of(served), **STREAM_HEADERS})
        self.is_complete = False
        """Whether the stream has ended as it should; true before its last event is sent."""
        self._served = served
        self._encoder = encoder
        self._request_id = request_id
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        keep_alive = _KeepAlive(send, self._encoder.keep_alive)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            with suppress(ClientClosedError):
                await cancel_on_disconnect(scope, receive, self._pump(send, keep_alive))
        finally:
            keep_alive.stop()
            await self._served.settle()

    async def _pump(self, send: Send, keep_alive: "_KeepAlive") -> None:
        chunk = self._encoder.chunk
        try:
            async for chunks in self._served:
                body = chunk(chunks[0]) if len(chunks) == 1 else b"".join(map(chunk, chunks))
                await send({"type": "http.response.body", "body": body, "more_body": True})
                keep_alive.sent()
            last = self._encoder.end(self._served.usage, self._served.usage_extra)
            self.is_complete = True
        except GatewayError as error:
            last = self._encoder.error(error)
        except OSError:
            return  # the server raises it for a client that has disconnected
        except Exception as error:
            self._telemetry.fault(self._request_id, error)
            last = self._encoder.error(GatewayError("The gateway failed.", code="internal_error"))
        keep_alive.stop()
        if last is None:
            raise BrokenStreamError("The response was cut.")
        await send({"type": "http.response.body", "body": last, "more_body": False})


class _KeepAlive:
    """Sends `data` after each KEEP_ALIVE_SECONDS of silence. One timer runs, whatever the number of chunks."""

    def __init__(self, send: Send, data: bytes) -> None:
        self._send = send
        self._data = data
        self._loop = asyncio.get_running_loop()
        self._sending: asyncio.Task[None] | None = None
        self._last_sent = self._loop.time()
        self._timer = self._loop.call_at(self._last_sent + KEEP_ALIVE_SECONDS, self._check)

    def sent(self) -> None:
        """Something was sent."""
        self._last_sent = self._loop.time()

    def stop(self) -> None:
        """Send no more."""
        self._timer.cancel()
        if self._sending is not None:
            self._sending.cancel()

    def _check(self) -> None:
        now = self._loop.time()
        if now - self._last_sent >= KEEP_ALIVE_SECONDS and (self._sending is None or self._sending.done()):
            self._sending = self._loop.create_task(self._send_once())
            self._last_sent = now
        self._timer = self._loop.call_at(max(self._last_sent + KEEP_ALIVE_SECONDS, now + 1), self._check)

    async def _send_once(self) -> None:
        with suppress(OSError):  # the client has disconnected
            await self._send({"type": "http.response.body", "body": self._data, "more_body": True})


async def cancel_on_disconnect(
    scope: Scope,
    receive: Receive,
    work: Coroutine[Any, Any, Result],
    discard: Callable[[Result], Awaitable[None]] | None = None,
) -> Result:
    """The result of `work`, which is cancelled if the client disconnects. Raises ClientClosedError then.

    A result that is not returned, because the caller was cancelled when the work had just ended, is discarded. In
    Lambda no disconnect is reported, so the work runs without a task that waits for one.
    """
    if "aws.context" in scope:
        return await work
    task = asyncio.ensure_future(work)
    watch = asyncio.ensure_future(_cancel_when_gone(receive, task))
    try:
        return await task
    except asyncio.CancelledError:
        if discard is not None and task.done() and not task.cancelled() and task.exception() is None:
            await discard(task.result())
        if watch.done() and not watch.cancelled():
            raise ClientClosedError("The client closed the request.") from None
        raise
    finally:
        watch.cancel()


async def _cancel_when_gone(receive: Receive, work: "asyncio.Future[Any]") -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    work.cancel()


def _headers_of(served: BufferedResponse | StreamedResponse) -> dict[str, str]:
    """Who answers: the provider, its name for the model, how many attempts it took, what the gateway itself took of the
    time, and the parameters that were changed or not sent."""
    route = served.route
    headers = {
        "x-tollgate-provider": route.provider.name,
        "x-tollgate-upstream-model": route.upstream_model,
        "x-tollgate-attempts": str(served.attempts),
        "x-tollgate-overhead-ms": str(served.overhead_ms),
    }
    if served.dropped:
        headers["x-tollgate-dropped-params"] = ", ".join(served.dropped)
    return headers
