"""Reads a provider's error from a body in which routers, gateways and frameworks may have nested it."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

from tollgate.adapters.json_access import child, children, parse, text
from tollgate.gateway.errors import UpstreamError
from tollgate.gateway.types import Json


@dataclass(frozen=True, slots=True)
class ErrorDetails:
    """One error. `status` is the HTTP status in the body, if any; `retry_after` is in seconds."""

    message: str = ""
    code: str | None = None
    param: str | None = None
    status: int | None = None
    retry_after: float | None = None


_EMPTY = ErrorDetails()
_MAX_DEPTH = 8
_MAX_ITEMS = 20
_MAX_TEXT = 20_000
_MESSAGE_FIELDS = (
    "message", "Message", "error_msg", "error_message", "errorMessage", "status_msg", "msg", "detail",
    "error_description",
)  # fmt: skip
"""Fields with an error's message: OpenAI's, AWS's, Baidu's, MiniMax's, FastAPI's, OAuth's."""
_INNER_FIELDS = ("error", "errors")
"""Fields with the inner error beside a wrapper's own message: `error` and, at Cloudflare and in GraphQL, `errors`."""
_OUTER_FIELDS = ("base_resp", "response", "body", "cause")
_CODES_IN_TYPE = frozenset({"insufficient_quota", "context_length_exceeded", "content_filter"})
_REPR = re.compile(r"""['"](?:message|error_msg|detail)['"]: {0,2}(?:'([^'\n]{1,2000})'|"([^"\n]{1,2000})")""")
"""The message in the `repr` of a Python dict, as exceptions of Python clients have it."""
_STATUSES = {
    400: r"invalid_(request|value|type|prompt|parameter|argument)\w*|context_length_exceeded|failed_precondition"
    r"|content_(filter|policy_violation)|unsupported_(value|parameter)|missing_required_parameter"
    r"|string_above_max_length",
    401: r"authentication_error|invalid_api_key|unauthenticated",
    402: r"billing_error|payment_required",
    403: r"permission\w*",
    404: r"(model_)?not_found(_error)?",
    413: r"request_too_large",
    429: r"rate_limit\w*|tokens|requests|resource_exhausted",
    503: r"\w*overloaded\w*|service_unavailable\w*|slow_down|unavailable",
    504: r"\w*timeout\w*|deadline_exceeded",
}
"""The codes and types of errors by status: OpenAI's guide "Error codes", Anthropic's API reference "Errors", and
Google's `google.rpc.Code`."""


def read_error_body(body: bytes) -> ErrorDetails:
    """The error in a body with an error status: JSON of any shape, or plain text; HTML is empty."""
    try:
        return read_error(parse(body))
    except UpstreamError:
        pass
    message = body[:_MAX_TEXT].decode("utf-8", "replace").strip()
    is_plain = message.replace("\n", " ").isprintable() and "\ufffd" not in message and message[:1] not in "<{["
    return ErrorDetails(message) if is_plain else _EMPTY


def read_error(value: Any, depth: int = 0) -> ErrorDetails:
    """The innermost error in a JSON value."""
    if depth > _MAX_DEPTH:
        return _EMPTY
    if isinstance(value, str):
        return _in_text(value, depth)
    if isinstance(value, dict):
        return _in_object(cast(Json, value), depth)
    return _in_list(cast("list[Any]", value), depth) if isinstance(value, list) else _EMPTY


def named_status(code: Any, kind: Any) -> int | None:
    """The HTTP status of an error in a body: of its code, which is a number or a name, else of its type.

    None if neither is known.
    """
    for value in (code, kind):
        name = str(value)
        if re.fullmatch(r"[45]\d\d", name, re.ASCII):
            return int(name)
        for status, pattern in _STATUSES.items():
            if re.fullmatch(pattern, name, re.IGNORECASE):
                return status
    return None


def _in_text(message: str, depth: int) -> ErrorDetails:
    """A text, which may be JSON, or end in JSON: "SomeClientError: 400 - {...}"."""
    message = message[:_MAX_TEXT].strip()
    if message[:1] == "<":
        return _EMPTY
    start = re.search(r"\[?\{", message)
    if start is None:
        return ErrorDetails(message)
    try:
        value, _ = json.JSONDecoder().raw_decode(message, start.start())
    except (ValueError, RecursionError):
        match = _REPR.search(message, start.start())
        return ErrorDetails(match[1] or match[2]) if match else ErrorDetails(message)
    inner = read_error(value, depth + 1)
    return inner if inner.message else ErrorDetails(message)


def _in_list(values: list[Any], depth: int) -> ErrorDetails:
    """Several errors as one: all different messages, and the code of the first."""
    errors = [error for value in values[:_MAX_ITEMS] if (error := read_error(value, depth + 1)).message]
    if not errors:
        return _EMPTY
    return replace(errors[0], message="; ".join(dict.fromkeys(error.message for error in errors)))


def _in_object(error: Json, depth: int) -> ErrorDetails:
    """The first inner error with a message; what it lacks is taken from this object."""
    nested = (read_error(value, depth + 1) for value in _nested_values(error))
    inner = next((details for details in nested if details.message), _EMPTY)
    kind = text(error, "type") or text(child(error, "metadata"), "error_type") or text(error, "status")
    return ErrorDetails(
        inner.message,
        inner.code or _code(error, kind),
        inner.param or text(error, "param"),
        named_status(error.get("code"), kind) or inner.status,
        inner.retry_after or _retry_after(error),
    )


def _nested_values(error: Json) -> Iterator[Any]:
    """The values that may contain the message, the innermost first.

    OpenRouter has the provider's error in `metadata.raw`. If `error` is a word and `message` a sentence, as in several
    server frameworks, the sentence comes first.
    """
    yield child(error, "metadata").get("raw")
    yield from (error.get(name) for name in _INNER_FIELDS if not isinstance(error.get(name), str))
    yield from (error.get(name) for name in (*_MESSAGE_FIELDS, *_INNER_FIELDS, *_OUTER_FIELDS))


def _code(error: Json, kind: str | None) -> str | None:
    """The error's code, which some providers have in `type` alone; a number is a status and not a code."""
    if kind in _CODES_IN_TYPE:
        return kind
    code = text(error, "code")
    return None if code is None or code.isdecimal() else code


def _retry_after(error: Json) -> float | None:
    """Seconds to wait, as a number in one of several fields, or as Google's RetryInfo: "17s", "3.5s"."""
    waits = [error.get("retry_after"), error.get("retry_after_seconds"), child(error, "metadata").get("retry_after")]
    delays = [text(entry, "retryDelay") or "" for entry in children(error, "details")[:_MAX_ITEMS]]
    waits += [float(delay[:-1]) for delay in delays if re.fullmatch(r"\d{1,9}(\.\d{1,9})?s", delay, re.ASCII)]
    return next((float(wait) for wait in waits if isinstance(wait, int | float) and 0 < wait < float("inf")), None)
