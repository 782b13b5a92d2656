"""The app: its routes, one request id and one log line for each request, and OpenAI's envelope around every error."""

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.admission import standing_headers
from gateway.errors import GatewayError, MethodNotAllowedError, NotFoundError
from gateway.exchange import Trace
from handler import reading, v1
from handler.deps import House
from handler.responses import error_response, json_response

DEADLINE_MARGIN = 2.0
"""Seconds before a function's end by which an answer must be whole, so that it is still settled and logged."""


def create_app(house: House) -> FastAPI:
    """The ASGI application over one house."""
    app = FastAPI(title="Tollgate", openapi_url=None, redirect_slashes=False)
    app.state.house = house
    app.include_router(v1.router)
    app.include_router(reading.router)
    app.add_api_route("/health", health, methods=["GET"])
    app.add_exception_handler(GatewayError, on_gateway_error)
    app.add_exception_handler(HTTPException, on_http_exception)
    app.add_middleware(Threshold, house=house)
    return app


async def health() -> Response:
    """`GET /health`: alive. It asks nobody and needs no key."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return json_response({"status": "ok", "timestamp": now})


async def on_gateway_error(request: Request, error: Exception) -> Response:
    """Every error of ours."""
    assert isinstance(error, GatewayError)
    request.state.error_code = error.code or error.type
    return error_response(error)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """What the router says: no such path, or not by this method."""
    assert isinstance(error, HTTPException)
    place = f"({request.method} {request.url.path[:200]})"
    if error.status_code != 405:
        text = f"Invalid URL {place}. A client's base URL ends in /v1; the endpoints are {_endpoints()}."
        return await on_gateway_error(request, NotFoundError(text, code="unknown_url"))
    response = await on_gateway_error(request, MethodNotAllowedError(f"Method not allowed {place}."))
    response.headers.update(error.headers or {})
    return response


def _endpoints() -> str:
    routes = [route for router in (v1.router, reading.router) for route in router.routes]
    return ", ".join(route.path for route in routes if isinstance(route, Route))


class Threshold:
    """What every request passes on its way in and out: it gets its id, its deadline and its log line here."""

    def __init__(self, app: ASGIApp, house: House) -> None:
        self._app = app
        self._house = house

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        clock = self._house.clock
        started = clock.monotonic()
        trace = Trace(new_request_id(clock.now()), started, _deadline(scope, started))
        state: dict[str, Any] = scope.setdefault("state", {})
        state["trace"] = trace
        status, whole = 0, False

        async def send_with_id(message: Message) -> None:
            nonlocal status, whole
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *_own_headers(trace, clock.now())]
            await send(message)
            whole = message["type"] == "http.response.body" and not message.get("more_body", False)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:
            self._house.telemetry.fault(trace.request_id, error)
            if whole:
                return  # the client has its answer: there is nobody left to tell
            if status:
                raise
            fault = GatewayError("The gateway failed.", code="internal_error")
            state["error_code"] = fault.code
            await error_response(fault)(scope, receive, send_with_id)
        finally:
            self._house.telemetry.request(
                trace,
                method=scope["method"],
                path=scope["path"],
                status=status,
                error_code=state.get("error_code"),
                ms=round((clock.monotonic() - started) * 1000),
            )


def _own_headers(trace: Trace, now: float) -> Iterator[tuple[bytes, bytes]]:
    """What every answer carries: its id and, where the key is known, how that stands. Never the provider's limits."""
    yield b"x-request-id", trace.request_id.encode()
    for name, value in standing_headers(trace.account, now).items() if trace.account else ():
        yield name.encode(), value.encode()


def new_request_id(now: float) -> str:
    """`req_` and 32 hex digits: the time in milliseconds first, so that ids sort by time, then 80 random bits."""
    return f"req_{round(now * 1000):012x}{secrets.token_hex(10)}"


def _deadline(scope: Scope, started: float) -> float | None:
    """When a Lambda invocation must have its answer, in monotonic seconds; None outside Lambda."""
    context = cast(Any, scope.get("aws.context"))
    if context is None:
        return None
    return started + context.get_remaining_time_in_millis() / 1000 - DEADLINE_MARGIN
