"""What the families share for embeddings: the texts and parameters of a request, and which vectors are valid."""

import base64
import math
import struct
from array import array
from collections.abc import Iterable, Sequence, Set
from typing import Any, cast

from tollgate.adapters.dialects import ROUTER_PREFERENCES
from tollgate.adapters.dropped_params import DroppedParams, unsupported
from tollgate.gateway.embeddings import EmbeddingsRequest
from tollgate.gateway.errors import UpstreamError
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json

CHANGES_THE_RESULT = frozenset({"input", "dimensions", "input_type"})
"""Parameters that change the result: a request with one that is not supported is refused."""
MAX_FLOAT32 = 3.4028234663852886e38


def texts_of(request: EmbeddingsRequest) -> list[str]:
    """The texts to embed. Raises BadRequestError for tokens, which mean something to one provider alone."""
    inputs = request.input if isinstance(request.input, list) else [request.input]
    texts = [text for text in inputs if isinstance(text, str)]
    if len(texts) < len(inputs):
        raise unsupported("input", "The model does not support tokens as its input: send texts.")
    return texts


def read_params(request: EmbeddingsRequest, route: Route, supported: Set[str]) -> tuple[Json, tuple[str, ...]]:
    """The parameters of these names, and the names of the others, which are dropped.

    Raises BadRequestError for a parameter that changes the result and is not supported, by the family or the model.
    """
    params, dropped = request.wire(), DroppedParams(request)
    for name in ("model", "input", "encoding_format", *ROUTER_PREFERENCES):
        params.pop(name, None)
    for name in [*params]:
        if name in supported and name not in route.model.capabilities.unsupported:
            continue
        if name in CHANGES_THE_RESULT:
            raise unsupported(name)
        dropped.drop(name)
        del params[name]
    return params, dropped.names


def check_vectors(values: Iterable[Any], expected: int) -> Sequence[str | Sequence[float]]:
    """The vectors as the provider sent them. Raises UpstreamError unless there are so many and all are valid.

    Numbers are kept in arrays: the lists of a large batch would take four times the memory.
    """
    vectors = [_vector(value) for value in values]
    if len(vectors) != expected:
        raise _unusable("The provider did not return one embedding for each input.")
    return vectors


def _vector(value: Any) -> str | Sequence[float]:
    """A vector as the provider sends it: base64 of float32, or a list of numbers that fit into float32."""
    if isinstance(value, str) and _is_float32(value):
        return value
    if isinstance(value, list) and value and _are_numbers(cast("list[Any]", value)):
        return array("d", cast("list[float]", value))
    raise _unusable("The provider returned an embedding that is not a vector of floats.")


def _is_float32(text: str) -> bool:
    """Numbers need a closer look only if one has the sign and the first seven bits of an exponent that infinity and NaN
    have (IEEE 754, binary32)."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        return False
    if not data or len(data) % 4:
        return False
    highest = data[3::4]
    return not (b"\x7f" in highest or b"\xff" in highest) or all(
        map(math.isfinite, struct.unpack(f"<{len(data) // 4}f", data))
    )


def _are_numbers(values: list[Any]) -> bool:
    """Checked by C functions alone: a batch has millions of numbers."""
    types: set[type] = set(map(type, values))
    return types <= {float, int} and max(map(abs, cast("list[float]", values))) <= MAX_FLOAT32


def _unusable(message: str) -> UpstreamError:
    """The error for a response that the provider bills, and that has no embeddings for the client."""
    return UpstreamError(message, code="unusable_response")
