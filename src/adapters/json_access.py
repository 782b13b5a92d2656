"""Writes JSON for providers and reads theirs: a reader returns the type that it promises, or an empty value."""

import json
import math
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

import msgspec
from msgspec import Raw

from tollgate.gateway.errors import BadRequestError, UpstreamError
from tollgate.gateway.types import Json

P = ParamSpec("P")
T = TypeVar("T")

MAX_COUNT = 100_000_000
"""The maximum of a count, of tokens for instance: the largest context takes ten million."""
MAX_CHOICES = 128
"""The maximum that OpenAI lets a client request ("Create chat completion", `n`)."""
MAX_CONTAINERS = 500_000
"""The maximum of objects and arrays in one body or event: in Python they take up to 100 times the memory of their JSON.
The largest body that is read has fewer, even if it has log probabilities."""


def encode(body: Json) -> bytes:
    """The body of a request. Raises BadRequestError for infinity and NaN."""
    try:
        return _ENCODER.encode(body).encode("ascii")
    except ValueError:
        raise BadRequestError("Infinity and NaN are not JSON numbers.", code="invalid_value") from None


def refuses_depth(build: Callable[P, T]) -> Callable[P, T]:
    """`build`, which then raises BadRequestError for a request that is nested deeper than it can follow."""

    @wraps(build)
    def bounded(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return build(*args, **kwargs)
        except RecursionError:
            raise BadRequestError("The request is nested too deeply.", code="invalid_value") from None

    return bounded


def parse(text: str | bytes) -> Any:
    """The JSON value in `text`, with null for NaN and infinity, which clients cannot read.

    Raises UpstreamError for any other text, HTML for instance, and for more than MAX_CONTAINERS objects and arrays.
    """
    if len(text) > MAX_CONTAINERS and _containers(text) > MAX_CONTAINERS:
        raise UpstreamError("The provider's response has too many objects and arrays.")
    try:
        if isinstance(text, bytes):
            is_utf8 = text.startswith(b"{") and text[1:2] != b"\0"
            text = text.decode("utf-8" if is_utf8 else json.detect_encoding(text), "surrogatepass")
        text = text.strip(_WHITE_SPACE)
        value, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        value, end = None, -1
    if end != len(text):
        raise UpstreamError("The provider's response is not JSON.")
    return value


def parse_object(text: str | bytes) -> Json:
    """The JSON object in `text`; see `parse`. Raises UpstreamError for any other value."""
    value = parse(text)
    if not isinstance(value, dict):
        raise UpstreamError("The provider's response is not a JSON object.")
    return cast(Json, value)


def parse_as(text: bytes | Raw, kind: Any = Any) -> Any:
    """The JSON in `text` as this type, whose parts of type `Raw` are not parsed yet.

    Raises UpstreamError `unusable_response` for anything else.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise UpstreamError("The provider's response is not as documented.", code="unusable_response") from None


def child(parent: Json, name: str) -> Json:
    """The object under this name, or an empty one."""
    value: Any = parent.get(name)
    return value if type(value) is dict else {}  # pyright: ignore[reportUnknownVariableType]


def children(parent: Json, name: str) -> list[Json]:
    """The objects in the array under this name, without its other values."""
    value = parent.get(name)
    if not isinstance(value, list):
        return []
    return [item for item in cast(list[Any], value) if isinstance(item, dict)]


def check_choices(number: int) -> None:
    """Raises UpstreamError for more than MAX_CHOICES."""
    if number > MAX_CHOICES:
        raise UpstreamError(f"The provider's response has more than {MAX_CHOICES} choices.")


def count(parent: Json, name: str) -> int:
    """The whole number between 0 and MAX_COUNT under this name, else 0; 7.0 is a whole number."""
    value = parent.get(name)
    if type(value) is int:
        return value if 0 < value <= MAX_COUNT else 0
    return int(value) if type(value) is float and 0 < value <= MAX_COUNT and value == int(value) else 0


def merge_counts(earlier: Json, later: Json) -> Json:
    """Cumulative counts that are reported again: the larger of each, also in nested objects; the later other values."""
    merged = {**earlier}
    for name, value in later.items():
        if isinstance(value, dict):
            before, after = child(merged, name), cast(Json, value)
            larger = {key: before[key] for key in before if count(before, key) > count(after, key)}
            merged[name] = {**before, **after, **larger}
        elif count(merged, name) <= count(later, name) and value is not None:
            merged[name] = value
    return merged


def text(parent: Json, name: str) -> str | None:
    """The string under this name; None if it is missing or empty."""
    value = parent.get(name)
    return value if isinstance(value, str) and value else None


def _containers(text: str | bytes) -> int:
    """The maximum of objects and arrays in JSON text: brackets in strings are counted too."""
    return text.count(b"{") + text.count(b"[") if isinstance(text, bytes) else text.count("{") + text.count("[")


def _finite(number: str) -> float | None:
    value = float(number)
    return value if math.isfinite(value) else None


_WHITE_SPACE = " \t\n\r"
"""What may stand around a JSON value (RFC 8259, section 2)."""
_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_finite)
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
"""`json.loads` and `json.dumps` with these arguments make one for each call, which costs as much as a small event."""
