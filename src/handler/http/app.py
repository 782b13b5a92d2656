"""The ASGI app: every route of the API behind one middleware."""

from collections.abc import Sequence
from datetime import UTC, datetime

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from tollgate import __version__
from tollgate.handler.components import Components
from tollgate.handler.http import account, count_tokens, endpoints, models, openapi, uploads
from tollgate.handler.http.middleware import RequestMiddleware
from tollgate.handler.http.requests import components_of
from tollgate.handler.http.responses import json_response
from tollgate.handler.http.routes import Asgi, path_without_alias, route


async def health(request: Request) -> Response:
    """`GET /health`: the process is alive, and its version. It reads nothing and needs no key."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return json_response({"status": "ok", "version": __version__, "timestamp": now})


EXPOSED_HEADERS = (
    "x-request-id", "retry-after", "x-tollgate-provider", "x-tollgate-upstream-model", "x-tollgate-dropped-params",
    "x-tollgate-attempts", "x-tollgate-overhead-ms", "x-tollgate-cost-usd", "x-tollgate-cache",
    "x-tollgate-idempotent-replay", "x-tollgate-stored",
)  # fmt: skip
"""Headers that pages may read."""
ABOUT = {
    "name": "Tollgate",
    "description": "An LLM gateway for clients of OpenAI's, OpenRouter's and Anthropic's APIs, with a key of its own.",
    "base_urls": {"openai": "/v1", "openrouter": "/api/v1", "anthropic": "/"},
    "documentation": {"openapi": "/openapi.json", "page": "/docs"},
    "dashboard": "/dashboard",
}


async def about(request: Request) -> Response:
    """`GET /`: what answers here and where to go; it needs no key. Claude Code sends `HEAD /` before it starts."""
    return json_response({**ABOUT, "endpoints": request.app.paths})


ROUTES = (
    *endpoints.ROUTES,
    *count_tokens.ROUTES,
    *models.ROUTES,
    *account.ROUTES,
    *openapi.ROUTES,
    *uploads.ROUTES,
    route("GET", "/", about),
    route("GET", "/health", health),
)


async def serve_admin(scope: Scope, receive: Receive, send: Send) -> None:
    """The admin API, which is not there if the owner has turned it off."""
    if not components_of(Request(scope)).settings.admin_api:
        raise HTTPException(404)
    from tollgate.handler.http.admin import router  # few requests are for it

    await router(scope, receive, send)


async def get_dashboard(request: Request) -> Response:
    """The dashboard: its page, or one of the files that it loads."""
    from tollgate.handler.http.dashboard import dashboard_file  # as few

    return dashboard_file(request)


LATE_ROUTES = (
    Route("/admin/v1/{rest:path}", Asgi(serve_admin), methods=None),
    route("GET", "/dashboard", get_dashboard),
    route("GET", "/dashboard/{name:path}", get_dashboard),
)
"""What is imported when it is requested."""


def _methods(path: str) -> set[str]:
    return {method for route in ROUTES if route.path == path for method in route.methods or ()}


def _with_cors(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """The app for browsers on pages of these origins (Fetch standard, "CORS protocol"); `*` is every page."""
    from starlette.middleware.cors import CORSMiddleware  # off by default

    return CORSMiddleware(
        app, origins, allow_methods=("GET", "POST"), allow_headers=("*",), expose_headers=EXPOSED_HEADERS, max_age=600
    )


class Application:
    """The ASGI application with these components. It has no lifespan: the composition root closes the components."""

    def __init__(self, components: Components) -> None:
        self.components = components
        self.paths = tuple(dict.fromkeys(route.path for route in ROUTES))
        self.methods = {path: ", ".join(sorted(_methods(path))) for path in self.paths}
        """The methods of each path, as the header `Allow` has them: a router names those of one route alone."""
        app: ASGIApp = RequestMiddleware(Router((*ROUTES, *LATE_ROUTES), redirect_slashes=False), components)
        self._app = _with_cors(app, components.settings.cors_origins) if components.settings.cors_origins else app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self
        if scope["type"] == "http":
            scope["path"] = path_without_alias(scope["path"])
        await self._app(scope, receive, send)
