"""One attempt at embeddings over OpenAI's API (API reference, "Create embeddings") and compatible servers."""

from tollgate.adapters.dialects import in_dialect
from tollgate.adapters.embeddings import CHANGES_THE_RESULT, check_vectors
from tollgate.adapters.json_access import child, children, count, encode, parse_object
from tollgate.adapters.openai.chat_response import raise_if_error
from tollgate.adapters.openai.usage import read_usage
from tollgate.adapters.provider_errors import error_from_response, too_long_in
from tollgate.gateway.embeddings import MAX_RESPONSE_BYTES, Embeddings, EmbeddingsRequest
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json, UpstreamRequest, Usage

_ENVELOPE = frozenset({"id", "object", "created", "model", "data", "usage", "error", "provider"})
"""Top-level fields of a response that the gateway writes itself; the others are relayed."""


class EmbeddingsCall:
    """See `gateway.ports.ProviderCall`."""

    parse_error = staticmethod(too_long_in("input", error_from_response))

    def __init__(self, request: EmbeddingsRequest, route: Route) -> None:
        self.request = _build_request(request, route)
        self._inputs = request.inputs

    def parse_response(self, body: bytes) -> Embeddings:
        """See ProviderCall. Raises UpstreamError unless there is one vector for each input."""
        response = parse_object(body)
        raise_if_error(response)
        data = sorted(children(response, "data"), key=lambda item: count(item, "index"))
        in_order = [item.get("embedding") for place, item in enumerate(data) if count(item, "index") == place]
        extra = {name: value for name, value in response.items() if name not in _ENVELOPE}
        return Embeddings(check_vectors(in_order, self._inputs), _usage(response), extra)

    def open_stream(self) -> None:
        """Embeddings are not streamed."""
        return


def _build_request(request: EmbeddingsRequest, route: Route) -> UpstreamRequest:
    body, dialect = request.wire(), route.provider.quirks.embeddings
    if request.encoding_format == "float" or "encoding_format" in dialect.unsupported:
        body.pop("encoding_format", None)  # floats are every server's default, and the gateway writes base64 itself
    body, dropped = in_dialect(body, request, route, dialect, CHANGES_THE_RESULT)
    url = f"{route.provider.base_url.rstrip('/')}/embeddings"
    return UpstreamRequest(url, encode(body), dropped=dropped, max_response_bytes=MAX_RESPONSE_BYTES)


def _usage(response: Json) -> Usage | None:
    """The usage; Voyage reports `total_tokens` alone (its API reference, "Text embeddings")."""
    usage = read_usage(response)
    total = count(child(response, "usage"), "total_tokens")
    return Usage(input_tokens=total) if usage is None and total else usage
