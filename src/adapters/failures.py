"""What a provider's failure means for the client: one table for every family.

A provider's trouble with the gateway's own credential or account is not the client's fault and never its 401. The
provider's message is relayed, without what might be in it of keys, addresses and accounts.
"""

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from gateway.errors import (
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

MAX_MESSAGE = 2000
MAX_WAIT = 86_400.0  # a day; who asks for more is not worth waiting for
_PRIVATE = re.compile(
    r"https?://\S+"
    r"|\barn:aws\S*"
    r"|\b(?:sk|pk|rk|gsk|xai)[-_][\w*.-]{6,}"
    r"|\b(?:s3|gs)://\S+"
    r"|(?<![\w.-])(?:[\w-]{1,63}\.){1,8}(?:com|net|org|io|ai|dev|app|cloud|local|internal|corp|lan|cn|eu)"
    r"(?::\d{2,5}\b\S*|/\S+)"  # an address without a scheme, if a port or a path follows: else it is a name
    r"|(?<![\w.-])localhost[:/]\S+"
    r"|(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?!\.?\w)(?:[:/]\S*)?"
    r"|\b(?:key|org|proj)[-_](?=[\w*.-]{0,64}[\d*])[\w*.-]{6,}"  # without a digit it is a word: key-value, org-wide
    r"|\b(?:org-|proj_|fw_)[a-z0-9]{10,}"  # and a long one is none
    r"|\bprojects/(?:\d{6,}|[\w-]{1,63}(?=/locations))"
    r"|\beyJ[\w-]{5,}\.eyJ[\w-]*(?:\.[\w-]*)?"
    r"|\bAIza[\w-]{20,}"
    r"|\b(?-i:A[KS]IA[A-Z0-9]{16})"
    r"|\b[0-9a-f]{32,}\b"
    r"|\bBearer\s+(?=\S{0,64}[\d*])\S+"
    r"|\b\d{12}\b",
    re.IGNORECASE,
)
_NAME = re.compile(r"[\w.:\[\]-]{1,64}", re.ASCII)
_CONTEXT = re.compile(
    r"context.{0,10}(length|window|size|limit)|maximum context|too many (input )?tokens|(prompt|input) is too long"
    r"|input token count.{0,20}exceeds|input tokens exceeded|maximum prompt length"
    r"|(prompt|input|tokens)\b.{0,40}exceeds (the )?maximum length|`?inputs`? tokens \+ `?max_new_tokens`? must be",
    re.I,
)
_STATUSES = {
    400: r"invalid_(request|value|type|prompt|parameter)\w*|context_length_exceeded|content_(filter|policy_violation)"
    r"|unsupported_(value|parameter)|missing_required_parameter|string_above_max_length",
    401: r"authentication_error|invalid_api_key",
    403: r"permission\w*",
    404: r"(model_)?not_found(_error)?",
    413: r"request_too_large",
    429: r"rate_limit\w*|tokens|requests",
    503: r"\w*overloaded\w*|service_unavailable\w*|slow_down",
    504: r"\w*timeout\w*",
}
"""The words for which OpenAI and others have a status (OpenAI's guide "Error codes")."""
_CONTENT_FILTER = frozenset({"content_filter", "content_policy_violation"})
_BAD_CREDENTIAL = re.compile(
    r"\bAPI key (not valid|not found|expired)|\bAPI_KEY_INVALID\b"
    r"|\bcredit balance is too low|\breached your specified API usage limits",
    re.I,
)
"""How Google says under status 400 what others say under 401, and Anthropic what others say under 402."""
_OUT_OF_QUOTA = frozenset({"insufficient_quota", "credit_balance_exhausted", "billing_not_active"})


def failure(
    status: int,
    message: str,
    *,
    param: str | None = None,
    code: str | None = None,
    retry_after: float | None = None,
) -> GatewayError:
    """The client's error for a provider's HTTP status, or for the status it names in-band.

    `retry_after` is in seconds. A provider's redirect or made-up status is a bad gateway.
    """
    text = redact(message) or f"The provider answered with HTTP status {status}."
    param, code = _name(param), _name(code)
    if status in (401, 402, 403) or code in _OUT_OF_QUOTA or (status == 400 and _BAD_CREDENTIAL.search(text)):
        return UpstreamAuthError("The provider refused the gateway's credential or account.")
    if status in (400, 422):
        return _bad_request(text, param, code)
    if status == 404:
        return NotFoundError(text, param="model", code="model_not_found")
    if status == 413:
        return RequestTooLargeError(text)
    if status == 429:
        return RateLimitError(text, retry_after=retry_after)
    if status in (408, 504):
        return UpstreamTimeoutError(text)
    if status in (503, 529):
        return OverloadedError(text, retry_after=retry_after)
    return UpstreamError(text)


def named_status(code: Any, kind: Any) -> int:
    """The status of an error that came in-band: what its code says, as a number or in words, else what its type says.

    502 where neither is known.
    """
    for word in (code, kind):
        name = str(word)
        if re.fullmatch(r"[45]\d\d", name, re.ASCII):
            return int(name)
        for status, words in _STATUSES.items():
            if re.fullmatch(words, name, re.IGNORECASE):
                return status
    return 502


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


def redact(message: str) -> str:
    """A provider's message without addresses, keys and account numbers, cut at MAX_MESSAGE characters."""
    return _PRIVATE.sub("[redacted]", message[: 2 * MAX_MESSAGE])[:MAX_MESSAGE].strip()  # cut first, a key may hide


def _name(given: str | None) -> str | None:
    """A provider's name for a field or a code, if it is one: it goes into log and record, where no text may go."""
    return given if given is not None and _NAME.fullmatch(given) else None


def _bad_request(text: str, param: str | None, code: str | None) -> BadRequestError:
    if code == "context_length_exceeded" or _CONTEXT.search(text):
        return BadRequestError(text, param=param or "messages", code="context_length_exceeded")
    if code in _CONTENT_FILTER:
        return BadRequestError(text, param=param, code="content_filter")
    return BadRequestError(text, param=param, code=code)


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text else None
    except ValueError:
        return None
    return value if value is not None and 0 <= value < float("inf") else None
