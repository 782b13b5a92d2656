"""What every format of Anthropic's API has: the key in either header, and the error body."""

from collections.abc import Mapping
from contextlib import suppress

from tollgate.adapters.clients.openai import bearer_key
from tollgate.gateway import keys
from tollgate.gateway.errors import AuthenticationError, GatewayError
from tollgate.gateway.types import Json

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
"""Anthropic's API reference, "Errors"."""
_TOO_LONG = "prompt is too long"
"""Anthropic's words for it, by which Claude Code knows that it has to shorten the conversation."""


def api_key(headers: Mapping[str, str]) -> str:
    """The API key in `x-api-key`, else in `Authorization: Bearer`. Raises AuthenticationError if there is none.

    Claude Code sends both if it has both, perhaps one of them for another server: only a key in the form of the
    gateway's counts.
    """
    key = headers.get("x-api-key", "").strip()
    with suppress(AuthenticationError):
        keys.read(key)
        return key
    return bearer_key(headers)


def error_body(error: GatewayError) -> Json:
    """Anthropic's error body. It has no field for the parameter at fault, which is named in the message."""
    message = error.message
    if error.code == "context_length_exceeded" and _TOO_LONG not in message:
        message = f"{_TOO_LONG}: {message}"
    elif error.param and error.param not in message:
        message = f"{error.param}: {message}"
    kind = _TYPES.get(error.status) or ("api_error" if error.status >= 500 else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": message}}
