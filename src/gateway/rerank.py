"""The rerank operation: its request, its result, and what it reserves.

OpenAI has no such endpoint. The request is that of Cohere (API reference, "Rerank API (v2)") with Jina's documents and
`return_documents` (API documentation, "Reranker API").
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from msgspec import Meta, Struct

from tollgate.gateway.metering import estimate_tokens
from tollgate.gateway.operations import InputOperation
from tollgate.gateway.request_body import InputBody
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Usage, utf8_length

MAX_DOCUMENTS = 1000
"""The most that Voyage takes (API reference, "Rerankers"), and that Cohere recommends."""
DOCUMENTS_PER_SEARCH = 100
TOKENS_PER_DOCUMENT = 500
"""Cohere bills a search for each 100 documents, and a document for each 500 tokens of it and the query ("Pricing")."""

Text = Annotated[str, Meta(min_length=1)]


class TextDocument(Struct):
    """A document as an object, whose other fields are not ranked."""

    text: str


class RerankRequest(InputBody, frozen=True, kw_only=True):
    """The body of `POST /v1/rerank`."""

    query: Text
    documents: Annotated[list[str | TextDocument], Meta(min_length=1, max_length=MAX_DOCUMENTS)]
    top_n: Annotated[int, Meta(ge=1)] | None = None
    return_documents: bool = False

    @property
    def texts(self) -> list[str]:
        """The text of each document."""
        documents: list[Any] = [*self.documents]  # as the client sent them: objects are mappings
        return [document if isinstance(document, str) else document["text"] for document in documents]

    @property
    def results(self) -> int:
        """How many results the client gets."""
        return min(self.top_n or len(self.documents), len(self.documents))


@dataclass(frozen=True, slots=True)
class Ranking:
    """The most relevant documents, as (index among the documents, relevance score), the most relevant first."""

    results: Sequence[tuple[int, float]]
    usage: Usage | None = None
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])
    finish_reason: None = None
    text_bytes: int = 0

    @property
    def has_content(self) -> bool:
        """It always has results."""
        return True


def _expected(request: RerankRequest, route: Route) -> Usage:
    """Tokens of the documents, each with the query, and searches if the model's price is for these."""
    query = estimate_tokens(utf8_length(request.query))
    pairs = [query + estimate_tokens(utf8_length(text)) for text in request.texts]
    if route.prices is None or "searches" not in route.prices.usd_per_unit:
        return Usage(input_tokens=sum(pairs))
    documents = sum(-(-tokens // TOKENS_PER_DOCUMENT) for tokens in pairs)
    return Usage(input_tokens=sum(pairs), searches=-(-documents // DOCUMENTS_PER_SEARCH))


RERANK = InputOperation("rerank", _expected, text_fields=("query", "documents"))
"""See `gateway.operations.Operation`."""
