"""One attempt at embeddings over InvokeModel, whose body is that of the model's maker.

Source: AWS, Amazon Bedrock User Guide, "Amazon Titan Embeddings text models", "Cohere Embed v4" and "Cohere Embed". The
catalog says whose body a model has, because an inference profile's name does not tell which model it serves.
"""

from urllib.parse import quote

from tollgate.adapters import cohere_embeddings
from tollgate.adapters.bedrock.errors import parse_error
from tollgate.adapters.dropped_params import unsupported
from tollgate.adapters.embeddings import check_vectors, read_params, texts_of
from tollgate.adapters.json_access import count, encode, parse_object
from tollgate.adapters.provider_errors import too_long_in
from tollgate.gateway.embeddings import MAX_RESPONSE_BYTES, Embeddings, EmbeddingsRequest
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json, UpstreamRequest, Usage

TITAN_SUPPORTED = frozenset({"dimensions", "normalize"})


class EmbeddingsCall:
    """See `gateway.ports.ProviderCall`."""

    parse_error = staticmethod(too_long_in("input", parse_error))

    def __init__(self, request: EmbeddingsRequest, route: Route) -> None:
        self._is_titan = route.model.capabilities.embeddings_body == "titan"
        body, dropped = (_titan_body if self._is_titan else cohere_embeddings.write_body)(request, route)
        url = f"{route.provider.base_url.rstrip('/')}/model/{quote(route.upstream_model, safe='')}/invoke"
        self.request = UpstreamRequest(url, encode(body), dropped=dropped, max_response_bytes=MAX_RESPONSE_BYTES)
        self._inputs = request.inputs

    def parse_response(self, body: bytes) -> Embeddings:
        """See ProviderCall. Raises UpstreamError unless there is one vector for each input.

        Cohere's models report tokens in a header alone, so that theirs are estimated.
        """
        response = parse_object(body)
        if not self._is_titan:
            return Embeddings(cohere_embeddings.read_vectors(response, self._inputs))
        tokens = count(response, "inputTextTokenCount")
        vectors = check_vectors([response.get("embedding")], 1)
        return Embeddings(vectors, Usage(input_tokens=tokens) if tokens else None)

    def open_stream(self) -> None:
        """Embeddings are not streamed."""
        return


def _titan_body(request: EmbeddingsRequest, route: Route) -> tuple[Json, tuple[str, ...]]:
    """The body for Titan Text Embeddings V2, which embeds one text."""
    params, dropped = read_params(request, route, TITAN_SUPPORTED)
    texts = texts_of(request)
    if len(texts) > 1:
        raise unsupported("input", "The model takes one input at once: its row in the catalog needs max_inputs = 1.")
    return {"inputText": texts[0], **params}, dropped
