"""Reranking: the request in a provider's dialect, and which responses are valid."""

import json
from typing import Any

import pytest

from support.families import route
from tollgate.adapters.rerank import RerankCall
from tollgate.gateway.errors import GatewayError, UpstreamError
from tollgate.gateway.quirks import Dialect, Quirks
from tollgate.gateway.rerank import RerankRequest
from tollgate.gateway.types import Usage


def call(quirks: Quirks | None = None, **fields: Any) -> RerankCall:
    request = RerankRequest.of({"model": "m", "query": "q", "documents": ["a", {"text": "b"}], **fields})
    return RerankCall(request, route("openai", quirks))


def response(*results: Any, **more: Any) -> bytes:
    named = [{"index": index, "relevance_score": score} for index, score in results]
    return json.dumps({"results": named, **more}).encode()


def test_request_has_texts_and_the_names_of_the_provider() -> None:
    voyage = Quirks(rerank=Dialect(renamed={"top_n": "top_k"}, unsupported=("priority",)))
    made = call(voyage, top_n=9, return_documents=True, priority=1, max_tokens_per_doc=8, provider={"order": ["x"]})
    expected = {"model": "native", "query": "q", "documents": ["a", "b"], "top_k": 2, "max_tokens_per_doc": 8}
    assert (made.request.url, json.loads(made.request.body)) == ("https://x/v1/rerank", expected)
    assert made.request.dropped == ("priority",)


def test_results_are_sorted_and_cut_to_the_requested_number() -> None:
    assert call().parse_response(response((0, 0.1), (1, 1))).results == [(1, 1.0), (0, 0.1)]
    assert call(top_n=1).parse_response(response((0, -7.5), (1, -3.5))).results == [(1, -3.5)]


@pytest.mark.parametrize(
    ("more", "usage"),
    [
        ({"meta": {"billed_units": {"search_units": 2.0}}}, Usage(searches=2)),
        ({"usage": {"total_tokens": 7}}, Usage(7)),
        ({"usage": {"prompt_tokens": 6, "total_tokens": 7}}, Usage(6)),
        ({"usage": {"search_units": 1, "total_tokens": 7}}, Usage(7, searches=1)),
        ({"usage": None, "meta": []}, None),
    ],
)
def test_usage_is_searches_or_tokens(more: Any, usage: Usage | None) -> None:
    assert call().parse_response(response((0, 1), (1, 0), **more)).usage == usage


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        response(),
        response((0, 1)),
        response((0, 1), (0, 0.5)),
        response((0, 1), (2, 0.5)),
        response((0, 1), (-1, 0.5)),
        response((0, 1), (True, 0.5)),
        response((0, 1), ("1", 0.5)),
        response((0, 1), (1, "0.5")),
        response((0, 1), (1, None)),
        response((0, 1), (1, 10**400)),
        response((0, 1), (1, float("nan"))),
        b'{"error": "no", "results": []}',
        b'{"object": "error", "message": "no"}',
    ],
)
def test_response_without_each_document_once_is_an_error(body: bytes) -> None:
    with pytest.raises(GatewayError) as raised:
        call().parse_response(body)
    assert isinstance(raised.value, UpstreamError)
