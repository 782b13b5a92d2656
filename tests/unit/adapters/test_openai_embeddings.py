"""Embeddings of the openai family: what is sent, and which responses are read as vectors."""

import json
from typing import Any

import pytest

from support.families import route
from tollgate.adapters.openai.embeddings import EmbeddingsCall
from tollgate.gateway.embeddings import EmbeddingsRequest
from tollgate.gateway.errors import BadRequestError, GatewayError, UpstreamError
from tollgate.gateway.quirks import Quirks
from tollgate.gateway.types import Usage

MISTRAL = Quirks(embeddings_renamed={"dimensions": "output_dimension"}, embeddings_unsupported=("user",))


def call(quirks: Quirks | None = None, capabilities: dict[str, Any] | None = None, **fields: Any) -> EmbeddingsCall:
    request = EmbeddingsRequest.model_validate({"model": "m", "input": ["a", "b"], **fields})
    return EmbeddingsCall(request, route("openai", quirks, **(capabilities or {})))


def sent(one: EmbeddingsCall) -> dict[str, Any]:
    return json.loads(one.request.body)


def response(*vectors: Any, **more: Any) -> bytes:
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    return json.dumps({"data": data, "usage": {"prompt_tokens": 2, "total_tokens": 2}, **more}).encode()


def test_request_goes_out_with_the_providers_name_of_the_model() -> None:
    one = call(dimensions=8, user="u", input_type="query")
    expected = {"model": "native", "input": ["a", "b"], "dimensions": 8, "user": "u", "input_type": "query"}
    assert (one.request.url, sent(one), one.request.dropped) == ("https://x/v1/embeddings", expected, ())


@pytest.mark.parametrize(("requested", "expected"), [({}, None), ("float", None), ("base64", "base64")])
def test_floats_are_requested_by_saying_nothing(requested: Any, expected: str | None) -> None:
    fields = {"encoding_format": requested} if requested else {}
    assert sent(call(**fields)).get("encoding_format") == expected


def test_server_without_base64_is_not_told_of_it() -> None:
    one = call(Quirks(embeddings_unsupported=("encoding_format",)), encoding_format="base64")
    assert "encoding_format" not in sent(one)
    assert one.request.dropped == ()


def test_parameters_are_renamed_and_dropped_by_the_row() -> None:
    one = call(MISTRAL, dimensions=8, user="u")
    assert sent(one) == {"model": "native", "input": ["a", "b"], "output_dimension": 8}
    assert one.request.dropped == ("user",)
    with pytest.raises(BadRequestError) as refused:
        call(MISTRAL, user="u", provider={"require_parameters": True})
    assert refused.value.param == "user"


def test_dimensions_of_a_model_that_has_none_are_refused() -> None:
    with pytest.raises(BadRequestError) as refused:
        call(capabilities={"unsupported": ("dimensions",)}, dimensions=8)
    assert (refused.value.param, refused.value.code) == ("dimensions", "unsupported_parameter")


def test_vectors_come_in_the_order_of_their_indexes() -> None:
    data = [{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": [1.0]}]
    result = call().parse_response(response(data=data, id="x", meta={"a": 1}))
    assert (result.vectors, result.usage, result.extra) == ([[1.0], [2.0]], Usage(2), {"meta": {"a": 1}})


@pytest.mark.parametrize(
    ("usage", "expected"),
    [({"total_tokens": 7}, Usage(7)), ({"prompt_tokens": 5, "total_tokens": 5}, Usage(5)), ({}, None), (None, None)],
)
def test_usage_is_read_under_either_name(usage: Any, expected: Usage | None) -> None:
    assert call().parse_response(response([1.0], [2.0], usage=usage)).usage == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        response([1.0]),
        response([1.0], [1.0], [1.0]),
        response([1.0], []),
        response([1.0], ["1"]),
        response([1.0], [True]),
        response([1.0], [None]),
        response([1.0], [1e39]),
        response([1.0], "!!!!"),
        response([1.0], "AAA="),
        response([1.0], {}),
        response(data=[{"index": 0, "embedding": [1.0]}, {"index": 0, "embedding": [1.0]}]),
        response([1.0], [float("nan")]),
        response([1.0], [2.0], error={"message": "no"}),
    ],
)
def test_anything_but_one_vector_for_each_input_is_an_error(body: bytes) -> None:
    with pytest.raises(GatewayError) as failed:
        call().parse_response(body)
    assert isinstance(failed.value, UpstreamError)


def test_error_status_is_read_as_for_chat() -> None:
    body = b'{"error": {"message": "Slow down", "type": "rate_limit"}}'
    assert call().parse_error(429, {"retry-after": "3"}, body).retry_after == 3
