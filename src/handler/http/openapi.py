"""`GET /openapi.json` describes the API, and `GET /docs` shows it as a page; `make docs` writes both files."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from tollgate.handler.http.routes import route

PACKAGE = Path(__file__).parents[2]
PAGE_HEADERS = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}
"""The page runs no script and loads nothing."""


async def get_document(request: Request) -> Response:
    """The OpenAPI document. It needs no key."""
    return Response((PACKAGE / "openapi.json").read_bytes(), media_type="application/json")


async def get_page(request: Request) -> Response:
    """The page. It needs no key."""
    return Response((PACKAGE / "openapi.html").read_bytes(), media_type="text/html", headers=PAGE_HEADERS)


ROUTES = (route("GET", "/openapi.json", get_document), route("GET", "/docs", get_page))
