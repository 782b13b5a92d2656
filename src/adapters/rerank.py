"""One attempt at reranking, for every family that serves it: the providers' formats differ in names alone.

Sources: Cohere, API reference, "Rerank API (v2)"; Jina, API documentation, "Reranker API"; Voyage, API reference,
"Rerankers"; vLLM, documentation, "OpenAI-Compatible Server", "Re-rank API".
"""

from tollgate.adapters.dialects import in_dialect
from tollgate.adapters.json_access import child, children, count, encode, parse_object
from tollgate.adapters.provider_errors import error_from_response, in_band_error, too_long_in
from tollgate.gateway.errors import UpstreamError
from tollgate.gateway.rerank import Ranking, RerankRequest
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json, UpstreamRequest, Usage

CHANGES_THE_RESULT = frozenset({"query", "documents"})
"""`top_n` and `return_documents` do not: the gateway itself counts the results and adds the documents."""

MAX_SCORE = 1e300
"""Far more than a score can be, and less than a number that is no float."""


class RerankCall:
    """See `gateway.ports.ProviderCall`."""

    parse_error = staticmethod(too_long_in("documents", error_from_response))

    def __init__(self, request: RerankRequest, route: Route) -> None:
        body = {**request.wire(), "documents": request.texts}
        body.pop("return_documents", None)
        if request.top_n is not None:
            body["top_n"] = request.results
        body, dropped = in_dialect(body, request, route, route.provider.quirks.rerank, CHANGES_THE_RESULT)
        self.request = UpstreamRequest(f"{route.provider.base_url.rstrip('/')}/rerank", encode(body), dropped=dropped)
        self._documents = len(request.documents)
        self._results = request.results

    def parse_response(self, body: bytes) -> Ranking:
        """See ProviderCall. Raises UpstreamError unless there are as many documents as requested, each once."""
        response = parse_object(body)
        results = children(response, "results") or children(response, "data")
        if not results and (response.get("error") or response.get("object") == "error"):
            raise in_band_error(response)
        ranked = {item["index"]: float(item["relevance_score"]) for item in results if self._is_result(item)}
        if len(ranked) != len(results) or len(ranked) < self._results:
            raise UpstreamError("The provider did not rank the documents.", code="unusable_response")
        best_first = sorted(ranked.items(), key=lambda result: -result[1])
        return Ranking(best_first[: self._results], _usage(response))

    def open_stream(self) -> None:
        """Rankings are not streamed."""
        return

    def _is_result(self, item: Json) -> bool:
        index, score = item.get("index"), item.get("relevance_score")
        is_score = isinstance(score, int | float) and abs(score) <= MAX_SCORE
        return type(index) is int and 0 <= index < self._documents and is_score


def _usage(response: Json) -> Usage | None:
    """Cohere's search units, or tokens, of which Jina and Voyage report the total alone."""
    units = child(child(response, "meta"), "billed_units")
    searches = count(units, "search_units") or count(child(response, "usage"), "search_units")
    tokens = count(child(response, "usage"), "prompt_tokens") or count(child(response, "usage"), "total_tokens")
    return Usage(input_tokens=tokens, searches=searches) if tokens or searches else None
