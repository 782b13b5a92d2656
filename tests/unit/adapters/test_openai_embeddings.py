"""Embeddings of the openai family: the request, and which responses are valid."""

import base64
import json
import math
import struct
from typing import Any

import pytest

from support.families import route
from tollgate.adapters.openai.embeddings import EmbeddingsCall
from tollgate.gateway.embeddings import EmbeddingsRequest
from tollgate.gateway.errors import BadRequestError, GatewayError, UpstreamError
from tollgate.gateway.quirks import Dialect, Quirks
from tollgate.gateway.types import Usage

MISTRAL = Quirks(embeddings=Dialect(renamed={"dimensions": "output_dimension"}, unsupported=("user",)))


def call(quirks: Quirks | None = None, capabilities: dict[str, Any] | None = None, **fields: Any) -> EmbeddingsCall:
    request = EmbeddingsRequest.of({"model": "m", "input": ["a", "b"], **fields})
    return EmbeddingsCall(request, route("openai", quirks, **(capabilities or {})))


def sent(embeddings_call: EmbeddingsCall) -> dict[str, Any]:
    return json.loads(embeddings_call.request.body)


def response(*vectors: Any, **more: Any) -> bytes:
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    return json.dumps({"data": data, "usage": {"prompt_tokens": 2, "total_tokens": 2}, **more}).encode()


def test_request_has_the_upstream_model() -> None:
    embeddings_call = call(dimensions=8, user="u", input_type="query")
    expected = {"model": "native", "input": ["a", "b"], "dimensions": 8, "user": "u", "input_type": "query"}
    expected["encoding_format"] = "base64"
    assert (embeddings_call.request.url, sent(embeddings_call), embeddings_call.request.dropped) == (
        "https://x/v1/embeddings",
        expected,
        (),
    )


@pytest.mark.parametrize("requested", [{}, {"encoding_format": "float"}, {"encoding_format": "base64"}])
def test_base64_is_requested_whatever_the_client_gets(requested: dict[str, Any]) -> None:
    assert sent(call(**requested))["encoding_format"] == "base64"


@pytest.mark.parametrize("requested", [{}, {"encoding_format": "base64"}])
def test_unsupported_encoding_format_is_not_sent(requested: dict[str, Any]) -> None:
    embeddings_call = call(Quirks(embeddings=Dialect(unsupported=("encoding_format",))), **requested)
    assert "encoding_format" not in sent(embeddings_call)
    assert embeddings_call.request.dropped == ()


def test_parameters_are_renamed_and_dropped_by_quirks() -> None:
    embeddings_call = call(MISTRAL, dimensions=8, user="u")
    assert sent(embeddings_call) == {
        "model": "native", "input": ["a", "b"], "output_dimension": 8, "encoding_format": "base64"
    }  # fmt: skip
    assert embeddings_call.request.dropped == ("user",)
    with pytest.raises(BadRequestError) as raised:
        call(MISTRAL, user="u", provider={"require_parameters": True})
    assert raised.value.param == "user"


def test_unsupported_dimensions_are_refused() -> None:
    with pytest.raises(BadRequestError) as raised:
        call(capabilities={"unsupported": ("dimensions",)}, dimensions=8)
    assert (raised.value.param, raised.value.code) == ("dimensions", "unsupported_parameter")


def test_vectors_are_ordered_by_index() -> None:
    data = [{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": [1.0]}]
    result = call().parse_response(response(data=data, id="x", meta={"a": 1}))
    assert ([[*vector] for vector in result.vectors], result.usage, result.extra) == (
        [[1.0], [2.0]],
        Usage(2),
        {"meta": {"a": 1}},
    )


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
def test_response_without_one_valid_vector_per_input_is_an_error(body: bytes) -> None:
    with pytest.raises(GatewayError) as raised:
        call().parse_response(body)
    assert isinstance(raised.value, UpstreamError)


def test_error_is_parsed_as_for_chat() -> None:
    body = b'{"error": {"message": "Slow down", "type": "rate_limit"}}'
    assert call().parse_error(429, {"retry-after": "3"}, body).retry_after == 3


def test_fields_for_a_router_and_of_streams_are_not_sent_to_other_servers() -> None:
    fields: dict[str, Any] = {"provider": {"order": ["x"]}, "models": ["a"], "stream": True}
    one = call(**fields)
    assert sent(one) == {"model": "native", "input": ["a", "b"], "encoding_format": "base64"}
    assert one.request.dropped == ("stream",)
    assert sent(call(Quirks(router=True), **fields)).keys() == {
        "model",
        "input",
        "provider",
        "models",
        "encoding_format",
    }


@pytest.mark.parametrize("number", [3e38, -3e38, 1e-45, -0.0])
def test_every_float32_is_a_number(number: float) -> None:
    text = base64.b64encode(struct.pack("<2f", 1.0, number)).decode()
    assert call().parse_response(response([1.0], text)).vectors[1] == text


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_float32_that_is_no_number_is_an_error(number: float) -> None:
    text = base64.b64encode(struct.pack("<2f", 1.0, number)).decode()
    with pytest.raises(UpstreamError):
        call().parse_response(response([1.0], text))


def test_response_without_usable_vectors_is_billed_by_the_provider() -> None:
    with pytest.raises(UpstreamError) as failed:
        call().parse_response(response([1.0]))
    assert failed.value.code == "unusable_response"
