"""`GET /dashboard`: a page that shows a key's usage and changes keys; its files are those of `src/dashboard`.

The page needs no key: it asks for one, keeps it in memory, and calls the API with it. It loads nothing from elsewhere.
"""

import hashlib
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tollgate.gateway.errors import NotFoundError

FILES = Path(__file__).parents[2] / "dashboard"
PAGE = "index.html"
MEDIA_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
HEADERS = {
    "cache-control": "no-cache",
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""Nothing inline and nothing from elsewhere runs, nobody frames the page, and no text is ever taken as HTML."""


def dashboard_file(request: Request) -> Response:
    """The page, or the file that the path names. Raises NotFoundError."""
    name = request.path_params.get("name")
    if name == "":
        return RedirectResponse("../dashboard")
    file = _files().get(PAGE if name is None else name)
    if file is None:
        raise NotFoundError("The dashboard has no such file.", code="unknown_url")
    body, etag, media_type = file
    headers = {**HEADERS, "etag": etag}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=media_type)


@cache
def _files() -> dict[str, tuple[bytes, str, str]]:
    """The body, the ETag and the media type of each file, by name."""
    found: dict[str, tuple[bytes, str, str]] = {}
    for path in FILES.iterdir():
        if path.suffix in MEDIA_TYPES:
            body = path.read_bytes()
            etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
            found[path.name] = body, etag, MEDIA_TYPES[path.suffix]
    return found
