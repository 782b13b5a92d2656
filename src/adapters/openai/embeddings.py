"""One attempt at embeddings over OpenAI's API (API reference, "Create embeddings") and compatible servers."""

import base64
import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any, cast

from tollgate.adapters.dropped_params import DroppedParams, unsupported
from tollgate.adapters.json_access import child, children, count, encode, parse_object
from tollgate.adapters.openai.chat_response import raise_if_error
from tollgate.adapters.openai.usage import read_usage
from tollgate.adapters.provider_errors import error_from_response
from tollgate.gateway.embeddings import MAX_RESPONSE_BYTES, Embeddings, EmbeddingsRequest
from tollgate.gateway.errors import GatewayError, UpstreamError
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json, UpstreamRequest, Usage

CHANGES_THE_RESULT = frozenset({"input", "dimensions"})
"""Parameters that change the result: a request with one that the server does not support is refused."""
NO_STREAM = ("stream", "stream_options")
"""Embeddings are not streamed."""
ROUTER_PREFERENCES = ("provider", "usage", "plugins")
ROUTER_MODELS = ("models", "route", "transforms")
"""Fields for a router (OpenRouter's API reference): preferences are not sent to other servers; other models and routes
are dropped and reported."""
MAX_FLOAT32 = 3.4028234663852886e38
_ENVELOPE = frozenset({"id", "object", "created", "model", "data", "usage", "error", "provider"})
"""Top-level fields of a response that the gateway writes itself; the others are relayed."""


class EmbeddingsCall:
    """See `gateway.ports.ProviderCall`."""

    def __init__(self, request: EmbeddingsRequest, route: Route) -> None:
        self.request = _build_request(request, route)
        self._inputs = request.inputs

    def parse_error(self, status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
        """See ProviderCall."""
        return error_from_response(status, headers, body)

    def parse_response(self, body: bytes) -> Embeddings:
        """See ProviderCall. Raises UpstreamError unless there is one vector for each input."""
        response = parse_object(body)
        raise_if_error(response)
        data = sorted(children(response, "data"), key=lambda item: count(item, "index"))
        if [count(item, "index") for item in data] != list(range(self._inputs)):
            raise _unusable("The provider did not return one embedding for each input.")
        extra = {name: value for name, value in response.items() if name not in _ENVELOPE}
        return Embeddings([_vector(item.get("embedding")) for item in data], _usage(response), extra)

    def open_stream(self) -> None:
        """Embeddings are not streamed."""
        return


def _build_request(request: EmbeddingsRequest, route: Route) -> UpstreamRequest:
    quirks = route.provider.quirks
    body, dropped = request.wire(), DroppedParams(request)
    body["model"] = route.upstream_model
    if request.encoding_format == "float" or "encoding_format" in quirks.embeddings_unsupported:
        body.pop("encoding_format", None)  # floats are every server's default, and the gateway writes base64 itself
    for name in () if quirks.router else ROUTER_PREFERENCES:
        body.pop(name, None)
    router_fields = () if quirks.router else ROUTER_MODELS
    for name in (*NO_STREAM, *router_fields, *quirks.embeddings_unsupported, *route.model.capabilities.unsupported):
        if name not in body:
            continue
        if name in CHANGES_THE_RESULT:
            raise unsupported(name)
        dropped.drop(name)
        del body[name]
    for name, renamed in quirks.embeddings_renamed.items():
        if name in body:
            body[renamed] = body.pop(name)
    url = f"{route.provider.base_url.rstrip('/')}/embeddings"
    return UpstreamRequest(url, encode(body), dropped=dropped.names, max_response_bytes=MAX_RESPONSE_BYTES)


def _vector(value: Any) -> str | Sequence[float]:
    """A vector as the provider sends it: base64 of float32, or a list of numbers that fit into float32."""
    if isinstance(value, str) and _is_float32(value):
        return value
    if isinstance(value, list) and value and _are_numbers(cast("list[Any]", value)):
        return cast("list[float]", value)
    raise _unusable("The provider returned an embedding that is not a vector of floats.")


def _is_float32(text: str) -> bool:
    try:
        data = base64.b64decode(text, validate=True)
        return len(data) > 0 and all(map(math.isfinite, struct.unpack(f"<{len(data) // 4}f", data)))
    except (ValueError, struct.error):
        return False


def _are_numbers(values: list[Any]) -> bool:
    """Checked by C functions alone: a batch has millions of numbers."""
    types: set[type] = set(map(type, values))
    return types <= {float, int} and max(map(abs, cast("list[float]", values))) <= MAX_FLOAT32


def _unusable(message: str) -> UpstreamError:
    """The error for a response that the provider bills, and that has no embeddings for the client."""
    return UpstreamError(message, code="unusable_response")


def _usage(response: Json) -> Usage | None:
    """The usage; Voyage reports `total_tokens` alone (its API reference, "Text embeddings")."""
    usage = read_usage(response)
    total = count(child(response, "usage"), "total_tokens")
    return Usage(input_tokens=total) if usage is None and total else usage
