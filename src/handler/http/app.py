"""The ASGI app: its routes, and how errors become responses."""

from datetime import UTC, datetime

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.routing import Route

from tollgate.adapters.clients.openai import error_body as openai_error_body
from tollgate.gateway.errors import GatewayError, MethodNotAllowedError, NotFoundError
from tollgate.handler.components import Components
from tollgate.handler.http import account, endpoints, models
from tollgate.handler.http.middleware import RequestMiddleware
from tollgate.handler.http.responses import error_response, json_response

ROUTERS = (endpoints.router, models.router, account.router)


def create_app(components: Components) -> FastAPI:
    """The ASGI application with these components."""
    app = FastAPI(title="Tollgate", openapi_url=None, redirect_slashes=False)
    app.state.components = components
    for router in ROUTERS:
        app.include_router(router)
    app.add_api_route("/health", health, methods=["GET"])
    app.add_exception_handler(GatewayError, on_gateway_error)
    app.add_exception_handler(HTTPException, on_http_exception)
    app.add_middleware(RequestMiddleware, components=components)
    return app


async def health() -> Response:
    """`GET /health`: the process is alive. It reads nothing and needs no key."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return json_response({"status": "ok", "timestamp": now})


async def on_gateway_error(request: Request, error: Exception) -> Response:
    """The response to a GatewayError, in the format of the endpoint's clients."""
    assert isinstance(error, GatewayError)
    request.state.error_code = error.code or error.type
    error_body = getattr(request.state, "error_body", openai_error_body)
    return error_response(error, error_body(error))


async def on_http_exception(request: Request, error: Exception) -> Response:
    """The response to the router's errors: no such path, or not with this method."""
    assert isinstance(error, HTTPException)
    place = f"({request.method} {request.url.path[:200]})"
    if error.status_code != 405:
        text = f"Invalid URL {place}. A client's base URL ends in /v1; the endpoints are {_endpoints()}."
        return await on_gateway_error(request, NotFoundError(text, code="unknown_url"))
    response = await on_gateway_error(request, MethodNotAllowedError(f"Method not allowed {place}."))
    response.headers.update(error.headers or {})
    return response


def _endpoints() -> str:
    routes = [route for router in ROUTERS for route in router.routes]
    return ", ".join(route.path for route in routes if isinstance(route, Route))
