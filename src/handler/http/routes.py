"""One route of the API: a method, a path and a function from requests to responses."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

Handle = Callable[[Request], Awaitable[Response]]


def route(method: str, path: str, handle: Handle) -> Route:
    """A route for this method, and for HEAD if it is GET: the server leaves out the body (RFC 9110, section 9.3.2)."""
    return Route(path, _Handler(handle), methods=[method])


def path_without_alias(path: str) -> str:
    """The path with `/v1` for OpenRouter's `/api/v1`: every route has both."""
    return path.removeprefix("/api") if path.startswith("/api/v1/") else path


def resource(path: str, **handlers: Handle) -> Route:
    """One route for all methods of a path, such as `resource("/things", GET=list_things, POST=create_thing)`."""

    async def handle(request: Request) -> Response:
        return await handlers["GET" if request.method == "HEAD" else request.method](request)

    return Route(path, _Handler(handle), methods=[*handlers])


class Asgi:
    """A function as an ASGI app. It is no function, so Starlette does not wrap it as a handler of requests."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


class _Handler:
    """A handler as an ASGI app. It is no function, so Starlette does not wrap each message that it sends."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._handle(Request(scope, receive, send))
        await response(scope, receive, send)
