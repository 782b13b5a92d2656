"""From the core's answers to HTTP: JSON, or server-sent events as they come; settled before the last byte."""

import asyncio
import json
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tollgate.gateway.errors import ClientClosedError, GatewayError
from tollgate.gateway.serving import Answer, AnswerStream
from tollgate.gateway.sse import DONE, KEEP_ALIVE, encode
from tollgate.handler.telemetry import Telemetry

Result = TypeVar("Result")

KEEP_ALIVE_SECONDS = 15
"""Silence after which a comment goes out: proxies between here and the client drop connections that say nothing."""


def json_response(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON, ASCII only."""
    return Response(_dump(body), status, headers, "application/json")


def error_response(error: GatewayError) -> Response:
    """The error in OpenAI's envelope, under its own status."""
    return json_response(error.envelope(), error.status, error.headers())


class WholeAnswer(Response):
    """A `chat.completion`."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(None, 200, _headers_of(answer))
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._answer.settle()
        whole = json_response(self._answer.body, 200, _headers_of(self._answer))
        await whole(scope, receive, send)


class StreamedAnswer(Response):
    """`chat.completion.chunk` events as they come; a failure is an event of its own, and then there is no `[DONE]`."""

    media_type = "text/event-stream"

    def __init__(self, answer: AnswerStream, request_id: str, telemetry: Telemetry) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers({**_headers_of(answer), "cache-control": "no-cache", "x-accel-buffering": "no"})
        self._answer = answer
        self._request_id = request_id
        self._telemetry = telemetry
        self._last_sent = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._last_sent = asyncio.get_running_loop().time()
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async with asyncio.TaskGroup() as tasks:
                pump = tasks.create_task(self._pump(send))
                others = [
                    tasks.create_task(_cancel_when_gone(receive, pump)),
                    tasks.create_task(self._keep_alive(send)),
                ]
                pump.add_done_callback(lambda _: [other.cancel() for other in others])
        finally:
            await self._answer.settle()

    async def _pump(self, send: Send) -> None:
        loop = asyncio.get_running_loop()
        last = DONE
        try:
            async for chunks in self._answer:
                self._last_sent = loop.time()
                body = b"".join(encode(chunk) for chunk in chunks)
                await send({"type": "http.response.body", "body": body, "more_body": True})
        except GatewayError as error:
            last = encode(error.envelope())
        except OSError:
            return  # the server says so of a client that is gone
        except Exception as error:
            self._telemetry.fault(self._request_id, error)
            last = encode(GatewayError("The gateway failed.", code="internal_error").envelope())
        await send({"type": "http.response.body", "body": last, "more_body": False})

    async def _keep_alive(self, send: Send) -> None:
        loop = asyncio.get_running_loop()
        while True:
            silent = loop.time() - self._last_sent
            if silent >= KEEP_ALIVE_SECONDS:
                self._last_sent = loop.time()
                await send({"type": "http.response.body", "body": KEEP_ALIVE, "more_body": True})
            await asyncio.sleep(max(KEEP_ALIVE_SECONDS - silent, 1))


async def cancel_on_disconnect(receive: Receive, work: Coroutine[Any, Any, Result]) -> Result:
    """The result of `work`, which is called off when the client goes. Raises ClientClosedError then."""
    task = asyncio.ensure_future(work)
    watch = asyncio.ensure_future(_cancel_when_gone(receive, task))
    try:
        return await task
    except asyncio.CancelledError:
        if watch.done() and not watch.cancelled():
            raise ClientClosedError("The client closed the request.") from None
        raise
    finally:
        watch.cancel()


async def _cancel_when_gone(receive: Receive, work: "asyncio.Future[Any]") -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    work.cancel()


def _headers_of(answer: Answer | AnswerStream) -> dict[str, str]:
    """Who answered: the provider, its name for the model, and what of the request it was not told."""
    route = answer.route
    headers = {"x-tollgate-provider": route.provider.name, "x-tollgate-upstream-model": route.upstream_model}
    if answer.dropped:
        headers["x-tollgate-dropped-params"] = ", ".join(answer.dropped)
    return headers


def _dump(body: Any) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode("ascii")
