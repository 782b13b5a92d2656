"""What a provider's failure means for the client: one table for every family.

A provider's trouble with the gateway's own credential or account is not the client's fault and never its 401. The
provider's message is relayed as far as `adapters.redaction` lets it.
"""

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

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

MAX_WAIT = 86_400.0  # a day; who asks for more is not worth waiting for
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
"""Under these a prompt that is too long is refused; llama.cpp and proxies take it for a fault of their own."""
_CONTENT_FILTER = frozenset({"content_filter", "content_policy_violation", "content_filtered", "moderation_blocked"})
_FLAGGED = re.compile(r"\bflagged\b|\bmoderation\b|content (policy|filter|management policy)", re.I)
"""How OpenRouter says under status 403 that a prompt was filtered (its documentation, "Errors")."""
_BAD_CREDENTIAL = re.compile(
    r"\bAPI key (not valid|not found|expired)|\bAPI_KEY_INVALID\b"
    r"|\bcredit balance is too low|\breached your specified API usage limits"
    r"|\binsufficient (account )?(balance|credit)",
    re.I,
)
"""How Google says under status 400 what others say under 401, and Anthropic, Zhipu and MiniMax what they say under 402.
"""
_CREDENTIAL_STATUSES = (400, 429, 502)
_OUT_OF_QUOTA = frozenset({"insufficient_quota", "credit_balance_exhausted", "billing_not_active"})
_MODEL = re.compile(r"\bmodels?\b|\bdeployment|\binference profile|\bno (allowed )?(endpoints|providers)\b", re.I)
_PATH = re.compile(
    r"\bcannot (get|post)\b|\b(invalid|unknown) (url|path|route|endpoint)|\b(page|route) not found", re.I
)
_NO_SUCH_ADDRESS = "The provider knows no such address (HTTP 404). Check its base URL: base_url, in its catalog row."
_TIME = r"\d{1,9}(?:\.\d{1,9})?\s{0,2}(?:milliseconds?|ms|hours?|hrs?|h|minutes?|mins?|m|seconds?|secs?|s)(?![a-z])"
_DURATION = re.compile(
    rf"\b(?:try(?:ing)? (?:\w+ ){{0,2}}?again|retry(?:ing)?|wait|available|resets?)\b[^.\d]{{0,40}}"
    rf"({_TIME}(?:(?:,|\s|and){{0,4}}{_TIME}){{0,3}})",
    re.I,
)
_PART = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*(ms|milli|h|m|s)", re.I)
_SECONDS = {"ms": 0.001, "milli": 0.001, "h": 3600.0, "m": 60.0, "s": 1.0}


_KINDS: Mapping[int, type[GatewayError]] = {
    408: UpstreamTimeoutError,
    413: RequestTooLargeError,
    504: UpstreamTimeoutError,
}


def error_from_response(status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
    """The client's error for an answer with an error status; header names are lower-case."""
    return provider_error(read_error_body(body), status, retry_after(headers))


def provider_error(said: ErrorDetails, status: int | None = None, wait: float | None = None) -> GatewayError:
    """The client's error for an error that was read; without a status, by the one it names itself.

    `wait` is how many seconds the headers say to wait; what the error says goes before.
    """
    wait = wait if said.wait is None else said.wait
    return failure_error(status or said.status or 502, said.message, param=said.param, code=said.code, retry_after=wait)


def failure_error(
    status: int,
    message: str,
    *,
    param: str | None = None,
    code: str | None = None,
    retry_after: float | None = None,
) -> GatewayError:
    """The client's error for a provider's HTTP status, or for the status it names in-band.

    `retry_after` is in seconds; without it, it is taken from the provider's words. A provider's redirect or made-up
    status is a bad gateway.
    """
    text = redact(message) or f"The provider answered with HTTP status {status}."
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
        kind = RateLimitError if status == 429 else OverloadedError
        return kind(text, retry_after=_wait_in(text) if retry_after is None else min(retry_after, MAX_WAIT))
    return _KINDS.get(status, UpstreamError)(text)


def in_band(error: Any) -> GatewayError:
    """The client's error for one that came under status 200."""
    return provider_error(read_error(error))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from `retry-after-ms` or `retry-after` (seconds, or an HTTP date held against `date`)."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return min(milliseconds / 1000, MAX_WAIT)
    given = headers.get("retry-after")
    seconds = _number(given)
    if seconds is not None:
        return min(seconds, MAX_WAIT)
    if not given:
        return None
    try:
        wait = parsedate_to_datetime(given) - parsedate_to_datetime(headers.get("date", ""))
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(0.0, wait.total_seconds()), MAX_WAIT)


def _wait_in(words: str) -> float | None:
    """Seconds to wait, as a sentence says it: "try again in 5.289s", "retry after 1 minute and 30 seconds"."""
    found = _DURATION.search(words)
    parts = _PART.findall(found[1]) if found else []
    return min(sum(float(number) * _SECONDS[unit.lower()] for number, unit in parts), MAX_WAIT) if parts else None


def _is_bad_credential(status: int, text: str) -> bool:
    return status in _CREDENTIAL_STATUSES and _BAD_CREDENTIAL.search(text) is not None


def _not_found(text: str, code: str | None) -> GatewayError:
    """A model that is not there is the client's mistake, any other address the owner's."""
    if code == "model_not_found" or (_MODEL.search(f"{text} {code}") and not _PATH.search(text)):
        return NotFoundError(text, param="model", code="model_not_found")
    return UpstreamError(_NO_SUCH_ADDRESS)


def _name(given: str | None) -> str | None:
    """A provider's name for a field or a code, if it is one: it goes into log and record, where no text may go."""
    return given if given is not None and _NAME.fullmatch(given) else None


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text else None
    except ValueError:
        return None
    return value if value is not None and 0 <= value < float("inf") else None
