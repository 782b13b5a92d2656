"""From HTTP to the core's words: the bearer key, the body within its limit, the checked request."""

import json
import re
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from starlette.requests import ClientDisconnect, Request

from tollgate.gateway import keys
from tollgate.gateway.accounting import RequestContext
from tollgate.gateway.errors import AuthenticationError, BadRequestError, ClientClosedError, RequestTooLargeError
from tollgate.gateway.types import ChatRequest, Json
from tollgate.handler.components import Components
from tollgate.handler.settings import MAX_BODY_BYTES

SMALL_BODY_BYTES = 64 * 1024
"""Up to here a body is parsed before its key is checked, so that the usual request costs no read of the store."""

MAX_VALUES = 100_000
BYTES_PER_VALUE = 24
_THOUSAND_SEPARATORS = re.compile(
    rb"""(?:(?:[^"\[{,]++|"(?:[^"\\]++|\\.)*+"?)*+[\[{,]){1000}+""", re.DOTALL
)  # possessive, so that it keeps nothing to go back to


def components_of(request: Request) -> Components:
    """What the app was built over."""
    return request.app.state.components


def context_of(request: Request) -> RequestContext:
    """What this request leaves for its log line."""
    return request.state.context


def bearer_key(request: Request) -> str:
    """The API key in `Authorization: Bearer ...`. Raises AuthenticationError where there is none of its form."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise AuthenticationError
    keys.read(key.strip())
    return key.strip()


def is_small(request: Request) -> bool:
    """Whether its body can be read and parsed at little cost, whoever has sent it."""
    declared = request.headers.get("content-length", "")
    return declared.isdecimal() and int(declared[:20]) <= SMALL_BODY_BYTES


async def read_body(request: Request) -> bytes:
    """The whole body. Raises RequestTooLargeError over MAX_BODY_BYTES, ClientClosedError where it does not come."""
    pieces: list[bytes] = []
    size = 0
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > MAX_BODY_BYTES:
        raise _too_large()
    try:
        async for piece in request.stream():
            pieces.append(piece)
            size += len(piece)
            if size > MAX_BODY_BYTES:
                raise _too_large()
    except ClientDisconnect:
        raise ClientClosedError("The client closed the request.") from None
    return b"".join(pieces)


def parse_chat(body: bytes) -> ChatRequest:
    """A chat completion request. Raises BadRequestError, with the field at fault as its `param`."""
    if _is_dense(body):
        raise BadRequestError("The request body has too many values.", code="invalid_json")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise BadRequestError("The request body is not valid JSON.", code="invalid_json") from None
    if not isinstance(value, dict):
        raise BadRequestError("The request body must be a JSON object.", code="invalid_json")
    given = {name: field for name, field in cast(Json, value).items() if field is not None}
    try:
        return ChatRequest.model_validate(given)
    except ValidationError as error:
        raise _bad_field(given, error.errors(include_url=False)) from None


def _is_dense(body: bytes) -> bool:
    """Whether the body has more values than a request of its size can need: parsed, each takes about 70 bytes.

    What separates values is counted; where that might be too much, again without what stands in strings.
    """
    most = max(MAX_VALUES, len(body) // BYTES_PER_VALUE)
    if sum(body.count(separator) for separator in (b",", b"{", b"[")) <= most:
        return False
    found = place = 0
    while found <= most and (match := _THOUSAND_SEPARATORS.match(body, place)):
        found, place = found + 1000, match.end()
    return found > most


def _too_large() -> RequestTooLargeError:
    megabytes = MAX_BODY_BYTES // (1024 * 1024)
    return RequestTooLargeError(f"The request body is over {megabytes} MB, which is AWS Lambda's own limit.")


def _bad_field(given: Json, details: list[ErrorDetails]) -> BadRequestError:
    """The first field at fault; where that is a union, the branch that got furthest is the one the client meant."""
    first = [detail for detail in details if detail["loc"][:1] == details[0]["loc"][:1]]
    param, detail = max(((_param(given, detail), detail) for detail in first), key=lambda fault: len(fault[0]))
    if detail["type"] == "missing":
        return BadRequestError(
            f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter"
        )
    return BadRequestError(f"Invalid value for '{param}': {detail['msg']}.", param=param, code="invalid_value")


def _param(given: Json, detail: ErrorDetails) -> str:
    """`messages[0].content` for a place in the body; steps that only name a branch of a union lead nowhere in it."""
    path, at = "", cast(Any, given)
    for number, step in enumerate(detail["loc"]):
        if isinstance(at, list) and isinstance(step, int) and step < len(cast("list[Any]", at)):
            path += f"[{step}]"
            at = cast("list[Any]", at)[step]
        elif isinstance(at, dict) and step in at:
            path += f".{step}" if path else str(step)
            at = cast(Any, at)[step]
        elif detail["type"] == "missing" and number == len(detail["loc"]) - 1:
            path += f".{step}" if path else str(step)
    return path
