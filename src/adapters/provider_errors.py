"""Maps a provider's error to the client's error, for every family.

A provider's refusal of the gateway's credential or account is not the client's fault and never its 401. The provider's
message is relayed after redaction (see `adapters.redaction`).
"""

import re
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, ParamSpec

from tollgate.adapters.error_bodies import ErrorDetails, read_error, read_error_body
from tollgate.adapters.redaction import redact
from tollgate.gateway.errors import (
    BadRequestError,
    GatewayError,
    NotFoundError,
    OverloadedError,
    RateLimitError,
    RequestTooLargeError,
    UpstreamAuthError,
    UpstreamError,
    UpstreamTimeoutError,
)

P = ParamSpec("P")

MAX_RETRY_AFTER = 86_400.0
"""The maximum of `retry-after` in seconds: a day."""
_NAME = re.compile(r"[\w.:\[\]-]{1,64}", re.ASCII)
_CONTEXT = re.compile(
    r"context.{0,10}(length|window|size|limit)|maximum context|too many (input )?tokens|(prompt|input) is too long"
    r"|input token count.{0,20}exceeds|input tokens exceeded|maximum prompt length"
    r"|(prompt|input|tokens)\b.{0,40}exceeds (the )?maximum length|`?inputs`? tokens \+ `?max_new_tokens`? must be"
    r"|(prompt|input)( token| tokens|s)?( count| length)?\b.{0,30}\bexceeds? (the |its |your )?(limit|max)"
    r"|exceed(s|ed|ing)? (the |this )?(model'?s? )?((max(imum)?|model|input|prompt) ){0,3}token limit"
    r"|(prompt|input|messages?) exceeds? max(imum)? length|range of input length should be"
    r"|reduce the length of (the|your) (messages|prompt|input)|(longer|larger) than the (model'?s )?(max|context)",
    re.I,
)
_CONTEXT_CODES = frozenset({
    "context_length_exceeded", "context_window_exceeded", "model_max_prompt_tokens_exceeded", "prompt_too_long",
})  # fmt: skip
_CONTEXT_STATUSES = (400, 413, 422, 500, 502)
"""Statuses of an error for a prompt that is too long; llama.cpp and proxies report a server error."""
_CONTENT_FILTER = frozenset({"content_filter", "content_policy_violation", "content_filtered", "moderation_blocked"})
_FLAGGED = re.compile(r"\bflagged\b|\bmoderation\b|content (policy|filter|management policy)", re.I)
"""Messages of OpenRouter with status 403 for a filtered prompt (its documentation, "Errors")."""
_BAD_CREDENTIAL = re.compile(
    r"\bAPI key (not valid|not found|expired)|\bAPI_KEY_INVALID\b"
    r"|\bcredit balance is too low|\breached your specified API usage limits"
    r"|\binsufficient (account )?(balance|credit)",
    re.I,
)
"""Messages for a refused credential with status 400, of Google, and for an empty account, of Anthropic, Zhipu, MiniMax.
"""
_CREDENTIAL_STATUSES = (400, 429, 502)
_OUT_OF_QUOTA = frozenset({"insufficient_quota", "credit_balance_exhausted", "billing_not_active"})
_MODEL = re.compile(r"\bmodels?\b|\bdeployment|\binference profile|\bno (allowed )?(endpoints|providers)\b", re.I)
_PATH = re.compile(
    r"\bcannot (get|post)\b|\b(invalid|unknown) (url|path|route|endpoint)|\b(page|route) not found", re.I
)
_UNKNOWN_URL = "The provider does not have this URL (HTTP 404). Check base_url in the provider's catalog row."
_TIME = r"\d{1,9}(?:\.\d{1,9})?\s{0,2}(?:milliseconds?|ms|hours?|hrs?|h|minutes?|mins?|m|seconds?|secs?|s)(?![a-z])"
_DURATION = re.compile(
    rf"\b(?:try(?:ing)? (?:\w+ ){{0,2}}?again|retry(?:ing)?|wait|available|resets?)\b[^.\d]{{0,40}}"
    rf"({_TIME}(?:(?:,|\s|and){{0,4}}{_TIME}){{0,3}})",
    re.I,
)
_PART = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*(ms|milli|h|m|s)", re.I)
_SECONDS = {"ms": 0.001, "milli": 0.001, "h": 3600.0, "m": 60.0, "s": 1.0}

_ERROR_TYPES: Mapping[int, type[GatewayError]] = {
    408: UpstreamTimeoutError,
    413: RequestTooLargeError,
    504: UpstreamTimeoutError,
}


def error_from_response(status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
    """The client's error for a response with an error status. Header names are lower-case."""
    return provider_error(read_error_body(body), status, retry_after(headers))


def too_long_in(param: str, parse_error: Callable[P, GatewayError]) -> Callable[P, GatewayError]:
    """`parse_error` for an operation without messages: what is too long for the model is this parameter."""

    def parse(*args: P.args, **kwargs: P.kwargs) -> GatewayError:
        error = parse_error(*args, **kwargs)
        if error.code == "context_length_exceeded" and error.param == "messages":
            error.param = param
        return error

    return parse


def provider_error(
    details: ErrorDetails, status: int | None = None, header_retry_after: float | None = None
) -> GatewayError:
    """The client's error for these details; without a status, for the status in the body.

    `header_retry_after` is in seconds; a wait in the body takes precedence.
    """
    wait = header_retry_after if details.retry_after is None else details.retry_after
    status = status or details.status or 502
    return error_for_status(status, details.message, param=details.param, code=details.code, retry_after=wait)


def error_for_status(
    status: int,
    message: str,
    *,
    param: str | None = None,
    code: str | None = None,
    retry_after: float | None = None,
) -> GatewayError:
    """The client's error for a provider's HTTP status, or for the status in its body.

    `retry_after` is in seconds; without it, the wait is read from the message. A redirect or an unknown status is a bad
    gateway.
    """
    text = redact(message) or f"The provider returned HTTP status {status}."
    param, code = _name(param), _name(code)
    if code in _CONTENT_FILTER or (status == 403 and _FLAGGED.search(text)):
        status, code = 400, "content_filter"
    if status in (401, 402, 403) or code in _OUT_OF_QUOTA or _is_bad_credential(status, text):
        return UpstreamAuthError("The provider refused the gateway's credential or account.")
    if code in _CONTEXT_CODES or (status in _CONTEXT_STATUSES and _CONTEXT.search(text)):
        return BadRequestError(text, param=param or "messages", code="context_length_exceeded")
    if status in (400, 422):
        return BadRequestError(text, param=param, code=code)
    if status == 404:
        return _not_found(text, code)
    if status in (429, 503, 529):
        error_type = RateLimitError if status == 429 else OverloadedError
        return error_type(
            text, retry_after=_wait_in_message(text) if retry_after is None else min(retry_after, MAX_RETRY_AFTER)
        )
    return _ERROR_TYPES.get(status, UpstreamError)(text)


def in_band_error(body: Any) -> GatewayError:
    """The client's error for an error under status 200."""
    return provider_error(read_error(body))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from `retry-after-ms` or `retry-after` (seconds, or an HTTP date compared with `date`)."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return min(milliseconds / 1000, MAX_RETRY_AFTER)
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is not None:
        return min(seconds, MAX_RETRY_AFTER)
    if not value:
        return None
    try:
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("date", ""))
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(0.0, wait.total_seconds()), MAX_RETRY_AFTER)


def _wait_in_message(message: str) -> float | None:
    """Seconds to wait in a message: "try again in 5.289s", "retry after 1 minute and 30 seconds"."""
    match = _DURATION.search(message)
    parts = _PART.findall(match[1]) if match else []
    return (
        min(sum(float(number) * _SECONDS[unit.lower()] for number, unit in parts), MAX_RETRY_AFTER) if parts else None
    )


def _is_bad_credential(status: int, text: str) -> bool:
    return status in _CREDENTIAL_STATUSES and _BAD_CREDENTIAL.search(text) is not None


def _not_found(text: str, code: str | None) -> GatewayError:
    """An unknown model is the client's mistake, any other URL the owner's."""
    if code == "model_not_found" or (_MODEL.search(f"{text} {code}") and not _PATH.search(text)):
        return NotFoundError(text, param="model", code="model_not_found")
    return UpstreamError(_UNKNOWN_URL)


def _name(value: str | None) -> str | None:
    """A provider's name of a field or a code; None for free text, which must not reach logs and records."""
    return value if value is not None and _NAME.fullmatch(value) else None


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text else None
    except ValueError:
        return None
    return value if value is not None and 0 <= value < float("inf") else None
