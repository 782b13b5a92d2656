"""Reads a JSON request body into an operation's request, and names the field at fault if it cannot."""

import json
import re
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.types import Json

Model = TypeVar("Model", bound=BaseModel)

MAX_VALUES = 100_000
BYTES_PER_VALUE = 24
_THOUSAND_SEPARATORS = re.compile(
    rb"""(?:(?:[^"\[{,]++|"(?:[^"\\]++|\\.)*+"?)*+[\[{,]){1000}+""", re.DOTALL
)  # possessive, so that it keeps nothing to go back to


def parse_json(body: bytes, model: type[Model], max_values: int = MAX_VALUES) -> Model:
    """The request in a JSON body. Raises BadRequestError, with the field at fault as its `param`.

    Top-level nulls are removed first: OpenAI's clients send null for "not given".
    """
    if _is_dense(body, max_values):
        raise BadRequestError("The request body has too many values.", code="invalid_json")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise BadRequestError("The request body is not valid JSON.", code="invalid_json") from None
    if not isinstance(value, dict):
        raise BadRequestError("The request body must be a JSON object.", code="invalid_json")
    given = {name: field for name, field in cast(Json, value).items() if field is not None}
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise _bad_field(given, error.errors(include_url=False)) from None


def _is_dense(body: bytes, max_values: int) -> bool:
    """Whether the body has more values than a request of its size can need: parsed, each takes about 70 bytes.

    What separates values is counted; where that might be too much, again without what stands in strings.
    """
    most = max(max_values, len(body) // BYTES_PER_VALUE)
    if sum(body.count(separator) for separator in (b",", b"{", b"[")) <= most:
        return False
    found = place = 0
    while found <= most and (match := _THOUSAND_SEPARATORS.match(body, place)):
        found, place = found + 1000, match.end()
    return found > most


def _bad_field(given: Json, details: list[ErrorDetails]) -> BadRequestError:
    """The first field at fault. In a union, the branch whose type fits, or else the one that got furthest, is meant."""
    first = [detail for detail in details if detail["loc"][:1] == details[0]["loc"][:1]]
    faults = [(not detail["type"].endswith("_type"), _param(given, detail), detail) for detail in first]
    _, param, detail = max(faults, key=lambda fault: (fault[0], len(fault[1]), fault[1]))
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
