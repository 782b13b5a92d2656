"""What endpoints read of an HTTP request: its context, and its body up to the limit."""

from starlette.requests import ClientDisconnect, Request

from tollgate.gateway.accounting import RequestContext
from tollgate.gateway.errors import ClientClosedError, RequestTooLargeError
from tollgate.handler.components import Components

SMALL_BODY_BYTES = 64 * 1024
"""A body up to this size is parsed before its key is checked, so that the usual request costs no read of the store."""


def components_of(request: Request) -> Components:
    """The components that the app was built with."""
    return request.app.components


def context_of(request: Request) -> RequestContext:
    """What this request leaves for its log line."""
    return request.state.context


def is_small(request: Request) -> bool:
    """Whether the body can be read and parsed at little cost, also for a client without a key."""
    declared = request.headers.get("content-length", "")
    return declared.isdecimal() and int(declared[:20]) <= SMALL_BODY_BYTES


async def read_body(request: Request) -> bytes:
    """The whole body. Raises RequestTooLargeError over the limit, ClientClosedError if the client disconnects."""
    pieces: list[bytes] = []
    size = 0
    max_bytes = components_of(request).settings.max_body_bytes
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > max_bytes:
        raise _too_large(request)
    try:
        async for piece in request.stream():
            pieces.append(piece)
            size += len(piece)
            if size > max_bytes:
                raise _too_large(request)
    except ClientDisconnect:
        raise ClientClosedError("The client closed the request.") from None
    return b"".join(pieces)


def _too_large(request: Request) -> RequestTooLargeError:
    components = components_of(request)
    megabytes = components.settings.max_body_bytes // (1024 * 1024)
    how = "The owner raises it by TOLLGATE_MAX_BODY_MB."
    return RequestTooLargeError(f"The request body is over {megabytes} MB, the limit of this gateway. {how}")
