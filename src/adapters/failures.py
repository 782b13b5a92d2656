"""What a provider's failure means for the client: one table for every family.

A provider's trouble with the gateway's own credential or account is not the client's fault and never its 401. The
provider's message is relayed, without what might be in it of keys, addresses and accounts.
"""

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

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
    r"|\b(?:key|org|proj)[-_](?=[\w*.-]{0,64}[\d*])[\w*.-]{6,}"  # without a digit it is a word: key-value, org-wide
    r"|\bAIza[\w-]{20,}"
    r"|\bAKIA\w{16}"
    r"|\b[0-9a-f]{32,}\b"
    r"|\bBearer\s+(?=\S{0,64}[\d*])\S+"
    r"|\b\d{12}\b",
    re.IGNORECASE,
)
_NAME = re.compile(r"[\w.:\[\]-]{1,64}", re.ASCII)
_CONTEXT = re.compile(
    r"context.{0,10}(length|window|size|limit)|maximum context|too many (input )?tokens|(prompt|input) is too long"
    r"|input token count.{0,20}exceeds",
    re.I,
)
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
