"""The middleware around every request: its request id, its deadline, its log line, and a response to faults."""

import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tollgate.gateway.accounting import RequestContext
from tollgate.gateway.admission import rate_limit_headers
from tollgate.gateway.errors import GatewayError
from tollgate.handler.components import Components
from tollgate.handler.http.errors import response_to
from tollgate.handler.http.responses import BrokenStreamError
from tollgate.handler.telemetry import loggable

if TYPE_CHECKING:
    from tollgate.handler.traces import Traces

DEADLINE_MARGIN = 2.0
"""Seconds before a function's end by which a response must be complete, so that it is still settled and logged."""


class RequestMiddleware:
    """Gives every request its id and its deadline, adds its own headers to the response, and writes its log line."""

    def __init__(self, app: ASGIApp, components: Components) -> None:
        self._app = app
        self._components = components

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        clock = self._components.clock
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
        except (GatewayError, HTTPException) as error:
            await response_to(error, Request(scope))(scope, receive, send_with_id)
        except BrokenStreamError:
            raise  # the server cuts the connection
        except Exception as error:
            self._components.telemetry.fault(context.request_id, error)
            if whole:
                return  # the client has its response
            if status:
                raise
            fault = GatewayError("The gateway failed.", code="internal_error")
            await response_to(fault, Request(scope))(scope, receive, send_with_id)
        finally:
            self._components.telemetry.request(
                context,
                method=scope["method"],
                path=scope["path"],
                status=status,
                error_code=state.get("error_code"),
                ms=round((clock.monotonic() - started) * 1000),
            )
            if self._components.traces is not None:
                await self._trace(self._components.traces, scope, context, status)

    async def _trace(self, traces: "Traces", scope: Scope, context: RequestContext, status: int) -> None:
        """Send the trace of a request that has ended: a function does nothing once it has returned."""
        clock, parent = self._components.clock, Headers(scope=scope).get("traceparent", "")
        try:
            await traces.request(
                context,
                method=scope["method"],
                path=loggable(scope["path"]),
                status=status,
                parent=parent,
                now=clock.monotonic(),
                unix_now=clock.now(),
            )
        except GatewayError as error:
            self._components.telemetry.traces_lost(context.request_id, error)


def _own_headers(context: RequestContext, now: float) -> Iterator[tuple[bytes, bytes]]:
    """The request id and, if the key is known, the state of its limits; never the limits of a provider.

    OpenAI's clients read `x-request-id`, Anthropic's `request-id`.
    """
    for name in (b"x-request-id", b"request-id"):
        yield name, context.request_id.encode()
    for name, value in rate_limit_headers(context.account, now).items() if context.account else ():
        yield name.encode(), value.encode()


def new_request_id(now: float) -> str:
    """`req_` and 32 hex digits: the time in milliseconds first, so that ids sort by time, then 80 random bits."""
    return f"req_{round(now * 1000):012x}{secrets.token_hex(10)}"


def _deadline(scope: Scope, started: float) -> float | None:
    """When the response of a Lambda invocation must be complete, in monotonic seconds; None outside Lambda."""
    context = cast(Any, scope.get("aws.context"))
    if context is None:
        return None
    return started + context.get_remaining_time_in_millis() / 1000 - DEADLINE_MARGIN
