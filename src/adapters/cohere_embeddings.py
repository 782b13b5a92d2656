"""Cohere's embeddings, for every family that serves them: the body of a request, and the vectors of a response.

Sources: Cohere's API reference, "Embed API (v2)"; AWS, Amazon Bedrock User Guide, "Cohere Embed v4" and "Cohere Embed".
"""

from collections.abc import Sequence
from typing import Any, cast

from tollgate.adapters.embeddings import check_vectors, read_params, texts_of
from tollgate.adapters.json_access import child
from tollgate.gateway.embeddings import EmbeddingsRequest
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json

SUPPORTED = frozenset({"dimensions", "input_type", "truncate", "max_tokens"})
DEFAULT_INPUT_TYPE = "search_document"
"""`input_type` is required, and OpenAI has no such field: without it, texts are embedded as documents to be found."""


def write_body(request: EmbeddingsRequest, route: Route) -> tuple[Json, tuple[str, ...]]:
    """The body without the model, and the parameters that were dropped. Raises BadRequestError."""
    params, dropped = read_params(request, route, SUPPORTED)
    dimensions = params.pop("dimensions", None)
    size = {} if dimensions is None else {"output_dimension": dimensions}
    inputs = {"texts": texts_of(request), "input_type": DEFAULT_INPUT_TYPE, "embedding_types": ["float"]}
    return {**inputs, **size, **params}, dropped


def read_vectors(response: Json, expected: int) -> Sequence[str | Sequence[float]]:
    """The vectors, by their type or, as embed v3 on Bedrock returns them, as a list. Raises UpstreamError."""
    vectors: Any = child(response, "embeddings").get("float", response.get("embeddings"))
    return check_vectors(cast("list[Any]", vectors) if isinstance(vectors, list) else (), expected)
