"""The app: its routes, one request id and one log line for each request, and OpenAI's envelope around every error."""

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tollgate.gateway.accounting import RequestContext
from tollgate.gateway.admission import rate_limit_headers
from tollgate.gateway.errors import GatewayError, MethodNotAllowedError, NotFoundError
from tollgate.handler.components import Components
from tollgate.handler.http import account, endpoints
from tollgate.handler.http.responses import error_response, json_response

DEADLINE_MARGIN = 2.0
"""Seconds before a function's end by which an answer must be whole, so that it is still settled and logged."""


def create_app(components: Components) -> FastAPI:
    """The ASGI application over one house."""
    app = FastAPI(title="Tollgate", openapi_url=None, redirect_slashes=False)
    app.state.components = components
    app.include_router(endpoints.router)
    app.include_router(account.router)
    app.add_api_route("/health", health, methods=["GET"])
    app.add_exception_handler(GatewayError, on_gateway_error)
    app.add_exception_handler(HTTPException, on_http_exception)
    app.add_middleware(RequestMiddleware, components=components)
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
    routes = [route for router in (endpoints.router, account.router) for route in router.routes]
    return ", ".join(route.path for route in routes if isinstance(route, Route))


class RequestMiddleware:
    """What every request passes on its way in and out: it gets its id, its deadline and its log line here."""

    def __init__(self, app: ASGIApp, components: Components) -> None:
        self._app = app
        self._house = components

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        clock = self._house.clock
        started = clock.monotonic()
        context = RequestContext(new_request_id(clock.now()), started, _deadline(scope, started))
        state: dict[str, Any] = scope.setdefault("state", {})
        state["context"] = context
        status, whole = 0, False

        async def send_with_id(message: Message) -> None:
            nonlocal status, whole
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *_own_headers(context, clock.now())]
            await send(message)
            whole = message["type"] == "http.response.body" and not message.get("more_body", False)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:
            self._house.telemetry.fault(context.request_id, error)
            if whole:
                return  # the client has its answer: there is nobody left to tell
            if status:
                raise
            fault = GatewayError("The gateway failed.", code="internal_error")
            state["error_code"] = fault.code
            await error_response(fault)(scope, receive, send_with_id)
        finally:
            self._house.telemetry.request(
                context,
                method=scope["method"],
                path=scope["path"],
                status=status,
                error_code=state.get("error_code"),
                ms=round((clock.monotonic() - started) * 1000),
            )


def _own_headers(context: RequestContext, now: float) -> Iterator[tuple[bytes, bytes]]:
    """What every answer carries: its id and, where the key is known, how that stands. Never the provider's limits."""
    yield b"x-request-id", context.request_id.encode()
    for name, value in rate_limit_headers(context.account, now).items() if context.account else ():
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
