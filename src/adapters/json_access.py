"""JSON to providers and from them. Of what comes nothing is certain: a reader gives the shape it promises, or empty."""

import json
import math
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from tollgate.gateway.errors import BadRequestError, UpstreamError
from tollgate.gateway.types import Json

P = ParamSpec("P")
T = TypeVar("T")

MAX_COUNT = 100_000_000
"""More tokens, or anything else that is counted, no answer has: the largest context there is takes ten million."""
MAX_CHOICES = 128
"""As many as OpenAI lets a client ask for ("Create chat completion", `n`)."""
MAX_CONTAINERS = 500_000
"""Objects and arrays in one body or event. As Python's they take up to a hundred times the memory of their JSON; of
what answers are made of, the log probabilities of tokens, fewer fit into the largest body that is read."""


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


def parse(text: str | bytes) -> Any:
    """The JSON value in `text`, null for NaN and infinities, which no client could read.

    Raises UpstreamError where it is something else, HTML for instance, and where it holds more than MAX_CONTAINERS.
    """
    if _containers(text) > MAX_CONTAINERS:
        raise UpstreamError("The provider's answer has too many parts to read.")
    try:
        return json.loads(text, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError):
        raise UpstreamError("The provider's answer is not JSON.") from None


def parse_object(text: str | bytes) -> Json:
    """The JSON object in `text`; see `parse`. Raises UpstreamError where it is none."""
    value = parse(text)
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


def check_choices(number: int) -> None:
    """Raises UpstreamError for more choices than anybody can ask for."""
    if number > MAX_CHOICES:
        raise UpstreamError("The provider's answer has more choices than can be asked for.")


def count(parent: Json, name: str) -> int:
    """The whole number, not negative and not beyond MAX_COUNT, under this name, or 0; 7.0 is one."""
    value = parent.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MAX_COUNT:
        return 0
    return int(value) if value == int(value) else 0


def larger(before: Json, now: Json) -> Json:
    """Cumulative counts, told more than once: the largest of each, also one object deep; of other values the latest."""
    merged = {**before}
    for name, value in now.items():
        if isinstance(value, dict):
            inner, given = child(merged, name), cast(Json, value)
            kept = {key: inner[key] for key in inner if count(inner, key) > count(given, key)}
            merged[name] = {**inner, **given, **kept}
        elif count(merged, name) <= count(now, name) and value is not None:
            merged[name] = value
    return merged


def text(parent: Json, name: str) -> str | None:
    """The string under this name; None where there is none or it is empty."""
    value = parent.get(name)
    return value if isinstance(value, str) and value else None


def _containers(text: str | bytes) -> int:
    """How many objects and arrays JSON holds at most: those in its strings are counted too."""
    return text.count(b"{") + text.count(b"[") if isinstance(text, bytes) else text.count("{") + text.count("[")


def _finite(number: str) -> float | None:
    value = float(number)
    return value if math.isfinite(value) else None
