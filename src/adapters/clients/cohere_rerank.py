"""Reranking as clients of Cohere, Jina and vLLM speak it (see `gateway.rerank`); errors are in OpenAI's format."""

from collections.abc import Callable, Mapping
from functools import partial

from tollgate.adapters.clients.json_body import parse_json
from tollgate.adapters.clients.openai import bearer_key, error_body
from tollgate.gateway.client_format import Encoder, ResponseInfo
from tollgate.gateway.json_text import dump
from tollgate.gateway.rerank import RERANK, Ranking, RerankRequest
from tollgate.gateway.types import Json, Usage


class CohereRerank:
    """See `gateway.client_format.ClientFormat`."""

    operation = RERANK
    api_key = staticmethod(bearer_key)
    error = staticmethod(error_body)

    def parse(self, headers: Mapping[str, str], body: bytes) -> tuple[RerankRequest, Callable[[ResponseInfo], Encoder]]:
        """The request. Raises BadRequestError."""
        request = parse_json(headers, body, RerankRequest)
        return request, partial(RerankEncoder, documents=request.texts if request.return_documents else None)


class RerankEncoder:
    """The results, with Cohere's `meta.billed_units` and Jina's `usage`; `document` is added from the request."""

    media_type = "application/json"

    def __init__(self, info: ResponseInfo, *, documents: list[str] | None) -> None:
        self._info = info
        self._documents = documents

    def result(self, result: Ranking, usage: Usage | None) -> bytes:
        """The response; without counts that are not known."""
        results = [self._result(index, score) for index, score in result.results]
        body: Json = {"id": self._info.request_id, "model": self._info.model, "results": results}
        if usage is not None:
            searches, tokens = usage.searches, usage.input_tokens
            units = {"search_units": searches} if searches else {"input_tokens": tokens}
            body["meta"] = {"api_version": {"version": "2"}, "billed_units": units}
            body["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
        return dump({**body, "provider": self._info.provider})

    def _result(self, index: int, score: float) -> Json:
        result: Json = {"index": index, "relevance_score": score}
        return result if self._documents is None else {**result, "document": {"text": self._documents[index]}}
