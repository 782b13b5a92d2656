"""JSON to providers and from them. Of what comes nothing is certain: a reader gives the shape it promises, or empty."""

import json
import math
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from gateway.errors import BadRequestError, UpstreamError
from gateway.types import Json

P = ParamSpec("P")
T = TypeVar("T")

MAX_COUNT = 2**53 - 1
"""The largest whole number that every reader of JSON agrees on; more tokens than that no answer has."""


def encode(body: Json) -> bytes:
    """A request's body. Raises BadRequestError for what JSON cannot say."""
    try:
        return json.dumps(body, separators=(",", ":"), allow_nan=False).encode("ascii")
    except ValueError:
        raise BadRequestError("Infinity and NaN are not JSON numbers.") from None


def refuses_depth(build: Callable[P, T]) -> Callable[P, T]:
    """`build`, which raises BadRequestError where what it translates lies in one another deeper than it can follow."""

    @wraps(build)
    def bounded(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return build(*args, **kwargs)
        except RecursionError:
            raise BadRequestError("The request is nested too deeply.", code="invalid_value") from None

    return bounded


def parse_object(text: str | bytes) -> Json:
    """The JSON object in `text`, null for NaN and infinities, which no client could read.

    Raises UpstreamError where it is something else, HTML for instance.
    """
    try:
        value = json.loads(text, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError):
        raise UpstreamError("The provider's answer is not JSON.") from None
    if not isinstance(value, dict):
        raise UpstreamError("The provider's answer is not a JSON object.")
    return cast(Json, value)


def child(parent: Json, name: str) -> Json:
    """The object under this name, or an empty one."""
    value = parent.get(name)
    return cast(Json, value) if isinstance(value, dict) else {}


def children(parent: Json, name: str) -> list[Json]:
    """The objects in the array under this name; what is no object in it is left out."""
    value = parent.get(name)
    if not isinstance(value, list):
        return []
    return [cast(Json, item) for item in cast(list[Any], value) if isinstance(item, dict)]


def count(parent: Json, name: str) -> int:
    """The whole number, not negative and not beyond MAX_COUNT, under this name, or 0."""
    value = parent.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MAX_COUNT else 0


def text(parent: Json, name: str) -> str | None:
    """The string under this name; None where there is none or it is empty."""
    value = parent.get(name)
    return value if isinstance(value, str) and value else None


def _finite(number: str) -> float | None:
    value = float(number)
    return value if math.isfinite(value) else None
