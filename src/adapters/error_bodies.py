"""What a provider's error says, taken out of all that routers, gateways and frameworks have wrapped it in."""

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
    """One error. `status` is the HTTP status that it names itself, if any; `wait` is in seconds."""

    message: str = ""
    code: str | None = None
    param: str | None = None
    status: int | None = None
    wait: float | None = None


_NOTHING = ErrorDetails()
_MAX_DEPTH = 8
_MAX_ITEMS = 20
_MAX_TEXT = 20_000
_MESSAGES = (
    "message", "Message", "error_msg", "error_message", "errorMessage", "status_msg", "msg", "detail",
    "error_description",
)  # fmt: skip
"""Names of an error's words: OpenAI's, AWS's, Baidu's, MiniMax's, FastAPI's, OAuth's."""
_WRAPPED = ("error", "errors")
"""What holds the error proper beside a wrapper's own words: `error` and, at Cloudflare and in GraphQL, `errors`."""
_WRAPPED_LAST = ("base_resp", "response", "body", "cause")
_TOLD_IN_TYPE = frozenset({"insufficient_quota", "context_length_exceeded", "content_filter"})
_REPR = re.compile(r"""['"](?:message|error_msg|detail)['"]: {0,2}(?:'([^'\n]{1,2000})'|"([^"\n]{1,2000})")""")
"""The words in an error that Python has written out, as its clients' exceptions do."""
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
"""The words for which providers have a status: OpenAI's guide "Error codes", Anthropic's API reference "Errors", and
Google's `google.rpc.Code`."""


def read_error_body(body: bytes) -> ErrorDetails:
    """The error in a body under an error status: JSON of any shape, or a few plain words; HTML says nothing."""
    try:
        return read_error(parse(body))
    except UpstreamError:
        pass
    words = body[:_MAX_TEXT].decode("utf-8", "replace").strip()
    is_plain = words.replace("\n", " ").isprintable() and "\ufffd" not in words and words[:1] not in "<{["
    return ErrorDetails(words) if is_plain else _NOTHING


def read_error(value: Any, depth: int = 0) -> ErrorDetails:
    """The innermost error of a JSON value that is one, or holds one."""
    if depth > _MAX_DEPTH:
        return _NOTHING
    if isinstance(value, str):
        return _in_text(value, depth)
    if isinstance(value, dict):
        return _in_object(cast(Json, value), depth)
    return _in_list(cast("list[Any]", value), depth) if isinstance(value, list) else _NOTHING


def named_status(code: Any, kind: Any) -> int | None:
    """The status of an error that came in-band: what its code says, as a number or in words, else what its type says.

    None where neither is known.
    """
    for word in (code, kind):
        name = str(word)
        if re.fullmatch(r"[45]\d\d", name, re.ASCII):
            return int(name)
        for status, words in _STATUSES.items():
            if re.fullmatch(words, name, re.IGNORECASE):
                return status
    return None


def _in_text(words: str, depth: int) -> ErrorDetails:
    """Words, which may be JSON themselves, or end in some: "SomeClientError: 400 - {...}"."""
    words = words[:_MAX_TEXT].strip()
    if words[:1] == "<":
        return _NOTHING
    opened = re.search(r"\[?\{", words)
    if opened is None:
        return ErrorDetails(words)
    try:
        value, _ = json.JSONDecoder().raw_decode(words, opened.start())
    except (ValueError, RecursionError):
        written = _REPR.search(words, opened.start())
        return ErrorDetails(written[1] or written[2]) if written else ErrorDetails(words)
    inner = read_error(value, depth + 1)
    return inner if inner.message else ErrorDetails(words)


def _in_list(values: list[Any], depth: int) -> ErrorDetails:
    """Several errors as one: all their words, each once, and the code of the first."""
    found = [said for value in values[:_MAX_ITEMS] if (said := read_error(value, depth + 1)).message]
    if not found:
        return _NOTHING
    return replace(found[0], message="; ".join(dict.fromkeys(said.message for said in found)))


def _in_object(error: Json, depth: int) -> ErrorDetails:
    """The words of the first that has some, and what else is told there or, failing that, around it."""
    inner = next((said for one in _candidates(error) if (said := read_error(one, depth + 1)).message), _NOTHING)
    kind = text(error, "type") or text(child(error, "metadata"), "error_type") or text(error, "status")
    return ErrorDetails(
        inner.message,
        inner.code or _code(error, kind),
        inner.param or text(error, "param"),
        named_status(error.get("code"), kind) or inner.status,
        inner.wait or _wait(error),
    )


def _candidates(error: Json) -> Iterator[Any]:
    """What may hold the words, the innermost first.

    OpenRouter keeps what a provider said in `metadata.raw`. Where `error` is a word and `message` a sentence, as
    frameworks for servers have it, the sentence tells more.
    """
    yield child(error, "metadata").get("raw")
    yield from (error.get(name) for name in _WRAPPED if not isinstance(error.get(name), str))
    yield from (error.get(name) for name in (*_MESSAGES, *_WRAPPED, *_WRAPPED_LAST))


def _code(error: Json, kind: str | None) -> str | None:
    """What OpenAI says in `code`, others say in `type` alone; a number in text is a status, and no code."""
    if kind in _TOLD_IN_TYPE:
        return kind
    code = text(error, "code")
    return None if code is None or code.isdecimal() else code


def _wait(error: Json) -> float | None:
    """Seconds to wait, as a number under one of its names, or as Google's RetryInfo: "17s", "3.5s"."""
    told = [error.get("retry_after"), error.get("retry_after_seconds"), child(error, "metadata").get("retry_after")]
    delays = [text(entry, "retryDelay") or "" for entry in children(error, "details")[:_MAX_ITEMS]]
    told += [float(delay[:-1]) for delay in delays if re.fullmatch(r"\d{1,9}(\.\d{1,9})?s", delay, re.ASCII)]
    return next((float(one) for one in told if isinstance(one, int | float) and 0 < one < float("inf")), None)
