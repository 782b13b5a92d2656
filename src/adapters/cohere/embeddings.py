"""One attempt at embeddings over Cohere's API (API reference, "Embed API (v2)")."""

from tollgate.adapters.cohere_embeddings import read_vectors, write_body
from tollgate.adapters.json_access import child, count, encode, parse_object
from tollgate.adapters.provider_errors import error_from_response, too_long_in
from tollgate.gateway.embeddings import MAX_RESPONSE_BYTES, Embeddings, EmbeddingsRequest
from tollgate.gateway.routing import Route
from tollgate.gateway.types import UpstreamRequest, Usage


class EmbeddingsCall:
    """See `gateway.ports.ProviderCall`. An error is `{"id", "message"}`."""

    parse_error = staticmethod(too_long_in("input", error_from_response))

    def __init__(self, request: EmbeddingsRequest, route: Route) -> None:
        body, dropped = write_body(request, route)
        url = f"{route.provider.base_url.rstrip('/')}/embed"
        data = encode({"model": route.upstream_model, **body})
        self.request = UpstreamRequest(url, data, dropped=dropped, max_response_bytes=MAX_RESPONSE_BYTES)
        self._inputs = request.inputs

    def parse_response(self, body: bytes) -> Embeddings:
        """See ProviderCall. Raises UpstreamError unless there is one vector for each input."""
        response = parse_object(body)
        tokens = count(child(child(response, "meta"), "billed_units"), "input_tokens")
        return Embeddings(read_vectors(response, self._inputs), Usage(input_tokens=tokens) if tokens else None)

    def open_stream(self) -> None:
        """Embeddings are not streamed."""
        return
