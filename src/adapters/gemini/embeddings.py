"""One attempt at embeddings over batchEmbedContents (Gemini API reference, "Embeddings").

Every input is a request of its own in the batch: gemini-embedding-2 makes one vector of all parts of a content.
"""

import math
from array import array
from collections.abc import Sequence
from urllib.parse import quote

from tollgate.adapters.dropped_params import unsupported
from tollgate.adapters.embeddings import check_vectors, read_params, texts_of
from tollgate.adapters.gemini.chat_response import raise_if_error
from tollgate.adapters.json_access import child, children, count, encode, parse_object
from tollgate.adapters.provider_errors import error_from_response, too_long_in
from tollgate.gateway.embeddings import MAX_RESPONSE_BYTES, Embeddings, EmbeddingsRequest
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json, UpstreamRequest, Usage

SUPPORTED = frozenset({"dimensions", "input_type", "title"})
TASK_TYPES = {
    "search_document": "RETRIEVAL_DOCUMENT",
    "search_query": "RETRIEVAL_QUERY",
    "document": "RETRIEVAL_DOCUMENT",
    "query": "RETRIEVAL_QUERY",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
}
"""Google's `taskType` (API reference, "TaskType") for Cohere's and Voyage's values of `input_type`."""


class EmbeddingsCall:
    """See `gateway.ports.ProviderCall`."""

    parse_error = staticmethod(too_long_in("input", error_from_response))

    def __init__(self, request: EmbeddingsRequest, route: Route) -> None:
        self.request = _build_request(request, route)
        self._inputs = request.inputs
        self._is_shortened = request.dimensions is not None

    def parse_response(self, body: bytes) -> Embeddings:
        """See ProviderCall. Raises UpstreamError unless there is one vector for each input."""
        response = parse_object(body)
        raise_if_error(response)
        values = [item.get("values") for item in children(response, "embeddings")]
        vectors = check_vectors(values, self._inputs)
        return Embeddings([self._normalised(vector) for vector in vectors], _usage(response))

    def open_stream(self) -> None:
        """Embeddings are not streamed."""
        return

    def _normalised(self, vector: str | Sequence[float]) -> str | Sequence[float]:
        """The vector with length 1, as OpenAI's have; gemini-embedding-001 does not normalise shortened ones (Gemini
        API documentation, "Embeddings", "Ensuring quality for smaller dimensions")."""
        if not self._is_shortened or isinstance(vector, str):
            return vector
        length = math.hypot(*vector)
        return array("d", [value / length for value in vector]) if length else vector


def _build_request(request: EmbeddingsRequest, route: Route) -> UpstreamRequest:
    params, dropped = read_params(request, route, SUPPORTED)
    model = {"model": f"models/{route.upstream_model}"}
    options = _options(params)
    batch = [{**model, "content": {"parts": [{"text": text}]}, **options} for text in texts_of(request)]
    url = f"{route.provider.base_url.rstrip('/')}/models/{quote(route.upstream_model, safe='')}:batchEmbedContents"
    body = encode({"requests": batch})
    return UpstreamRequest(url, body, dropped=dropped, max_response_bytes=MAX_RESPONSE_BYTES)


def _options(params: Json) -> Json:
    options: Json = {"title": params["title"]} if "title" in params else {}
    if "dimensions" in params:
        options["outputDimensionality"] = params["dimensions"]
    if "input_type" in params:
        task_type = TASK_TYPES.get(str(params["input_type"]))
        if task_type is None:
            raise unsupported("input_type", f"'input_type' is one of {', '.join(TASK_TYPES)}.")
        options["taskType"] = task_type
    return options


def _usage(response: Json) -> Usage | None:
    """The usage; models before gemini-embedding-2 report none."""
    tokens = count(child(response, "usageMetadata"), "promptTokenCount")
    return Usage(input_tokens=tokens) if tokens else None
