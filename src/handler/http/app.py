"""The ASGI app: every route of the API behind one middleware."""

from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Router
from starlette.types import Receive, Scope, Send

from tollgate.handler.components import Components
from tollgate.handler.http import account, count_tokens, endpoints, models
from tollgate.handler.http.middleware import RequestMiddleware
from tollgate.handler.http.responses import json_response
from tollgate.handler.http.routes import path_without_alias, route


async def health(request: Request) -> Response:
    """`GET /health`: the process is alive. It reads nothing and needs no key."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return json_response({"status": "ok", "timestamp": now})


ABOUT = {
    "name": "Tollgate",
    "description": "An LLM gateway for clients of OpenAI's, OpenRouter's and Anthropic's APIs, with a key of its own.",
    "base_urls": {"openai": "/v1", "openrouter": "/api/v1", "anthropic": "/"},
}


async def about(request: Request) -> Response:
    """`GET /`: what answers here and where to go; it needs no key. Claude Code sends `HEAD /` before it starts."""
    return Response() if request.method == "HEAD" else json_response({**ABOUT, "endpoints": request.app.paths})


ROUTES = (
    *endpoints.ROUTES,
    *count_tokens.ROUTES,
    *models.ROUTES,
    *account.ROUTES,
    route("GET", "/", about),
    route("HEAD", "/", about),
    route("GET", "/health", health),
)


class Application:
    """The ASGI application with these components. It has no lifespan: the composition root closes the components."""

    def __init__(self, components: Components) -> None:
        self.components = components
        self.paths = tuple(dict.fromkeys(route.path for route in ROUTES))
        self._app = RequestMiddleware(Router(ROUTES, redirect_slashes=False), components)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self
        if scope["type"] == "http":
            scope["path"] = path_without_alias(scope["path"])
        await self._app(scope, receive, send)
