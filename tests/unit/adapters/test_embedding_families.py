"""Embeddings of the gemini, bedrock and cohere families: requests, parameters, and which responses are valid."""

import json
import math
from typing import Any

import pytest

from support.families import route
from tollgate.adapters import FAMILIES
from tollgate.gateway.embeddings import Embeddings, EmbeddingsRequest
from tollgate.gateway.errors import BadRequestError, UpstreamError
from tollgate.gateway.types import Usage

TITAN, COHERE = {"embeddings_body": "titan"}, {"embeddings_body": "cohere"}
FAMILIES_AND_BODIES: list[Any] = [("gemini", {}), ("bedrock", TITAN), ("bedrock", COHERE), ("cohere", {})]


def call(family: str, capabilities: dict[str, Any], **fields: Any) -> Any:
    request = EmbeddingsRequest.of({"model": "m", "input": "a", **fields})
    return FAMILIES[family].calls["embeddings"](request, route(family, **capabilities))


def sent(family: str, capabilities: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return json.loads(call(family, capabilities, **fields).request.body)


def test_gemini_has_a_request_for_each_input() -> None:
    fields: dict[str, Any] = {"input": ["a", "b"], "dimensions": 256, "input_type": "search_query", "title": "t"}
    options = {"outputDimensionality": 256, "taskType": "RETRIEVAL_QUERY", "title": "t"}
    assert sent("gemini", {}, **fields)["requests"] == [
        {"model": "models/native", "content": {"parts": [{"text": text}]}, **options} for text in "ab"
    ]


def test_titan_and_cohere_have_bodies_of_their_own() -> None:
    assert sent("bedrock", TITAN, dimensions=256, normalize=False) == {
        "inputText": "a",
        "dimensions": 256,
        "normalize": False,
    }
    cohere = {"texts": ["a"], "input_type": "search_document", "embedding_types": ["float"], "output_dimension": 256}
    assert sent("bedrock", COHERE, dimensions=256) == cohere
    assert sent("cohere", {}, dimensions=256) == {"model": "native", **cohere}
    assert sent("cohere", {}, input_type="search_query", truncate="END")["input_type"] == "search_query"


@pytest.mark.parametrize(("family", "capabilities"), FAMILIES_AND_BODIES)
def test_other_parameters_are_dropped_and_reported(family: str, capabilities: dict[str, Any]) -> None:
    plain = call(family, capabilities)
    with_others = call(family, capabilities, user="u", stream=True, provider={}, encoding_format="float")
    assert (with_others.request.body, with_others.request.dropped) == (plain.request.body, ("user", "stream"))
    with pytest.raises(BadRequestError) as raised:
        call(family, capabilities, user="u", provider={"require_parameters": True})
    assert raised.value.param == "user"


@pytest.mark.parametrize(("family", "capabilities"), FAMILIES_AND_BODIES)
def test_dimensions_that_the_model_does_not_support_are_refused(family: str, capabilities: dict[str, Any]) -> None:
    with pytest.raises(BadRequestError) as raised:
        call(family, {**capabilities, "unsupported": ("dimensions",)}, dimensions=256)
    assert (raised.value.param, raised.value.code) == ("dimensions", "unsupported_parameter")


@pytest.mark.parametrize(("family", "capabilities"), [("bedrock", TITAN), ("gemini", {})])
def test_kind_of_input_that_cannot_be_expressed_is_refused(family: str, capabilities: dict[str, Any]) -> None:
    with pytest.raises(BadRequestError) as raised:
        call(family, capabilities, input_type="image")
    assert (raised.value.param, raised.value.code) == ("input_type", "unsupported_parameter")


@pytest.mark.parametrize(("family", "capabilities"), FAMILIES_AND_BODIES)
@pytest.mark.parametrize("value", [[1, 2], [[1], [2]]])
def test_tokens_are_refused(family: str, capabilities: dict[str, Any], value: Any) -> None:
    with pytest.raises(BadRequestError) as raised:
        call(family, capabilities, input=value)
    assert raised.value.param == "input"


@pytest.mark.parametrize(("family", "capabilities"), [*FAMILIES_AND_BODIES, ("openai", {})])
def test_input_that_is_too_long_is_named(family: str, capabilities: dict[str, Any]) -> None:
    body = b'{"message": "Too many input tokens. Max input tokens: 8192, request input token count: 9000"}'
    error = call(family, capabilities).parse_error(400, {}, body)
    assert (error.status, error.param, error.code) == (400, "input", "context_length_exceeded")
    assert call(family, capabilities).parse_error(400, {}, b'{"message": "no"}').param is None


def test_titan_takes_one_input() -> None:
    with pytest.raises(BadRequestError, match="max_inputs = 1") as raised:
        call("bedrock", TITAN, input=["a", "b"])
    assert raised.value.param == "input"


def test_shortened_vectors_of_gemini_have_length_one() -> None:
    body = json.dumps({"embeddings": [{"values": [3.0, 4.0]}]}).encode()
    whole: Embeddings = call("gemini", {}).parse_response(body)
    shortened: Embeddings = call("gemini", {}, dimensions=2).parse_response(body)
    assert [*whole.vectors[0]] == [3.0, 4.0]
    assert [
        math.isclose(float(value), expected) for value, expected in zip(shortened.vectors[0], (0.6, 0.8), strict=True)
    ]
    zeros: Embeddings = call("gemini", {}, dimensions=2).parse_response(b'{"embeddings":[{"values":[0.0,0.0]}]}')
    assert [*zeros.vectors[0]] == [0.0, 0.0]


@pytest.mark.parametrize(
    ("family", "capabilities", "body", "usage"),
    [
        ("gemini", {}, {"embeddings": [{"values": [1.0]}], "usageMetadata": {"promptTokenCount": 4}}, Usage(4)),
        ("gemini", {}, {"embeddings": [{"values": [1.0]}]}, None),
        ("bedrock", TITAN, {"embedding": [1.0], "inputTextTokenCount": 4}, Usage(4)),
        ("bedrock", TITAN, {"embedding": [1.0]}, None),
        ("bedrock", COHERE, {"embeddings": [[1.0]]}, None),
        ("bedrock", COHERE, {"embeddings": {"float": [[1.0]]}}, None),
        ("cohere", {}, {"embeddings": {"float": [[1.0]]}, "meta": {"billed_units": {"input_tokens": 4}}}, Usage(4)),
    ],
)
def test_vector_and_usage_are_read(family: str, capabilities: dict[str, Any], body: Any, usage: Usage | None) -> None:
    result = call(family, capabilities).parse_response(json.dumps(body).encode())
    assert ([[*vector] for vector in result.vectors], result.usage) == ([[1.0]], usage)


@pytest.mark.parametrize(("family", "capabilities"), FAMILIES_AND_BODIES)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"embedding":[],"embeddings":[]}',
        b'{"embedding":"x","embeddings":"x"}',
        b'{"embedding":[null],"embeddings":[[null]]}',
        b'{"embedding":{},"embeddings":{"float":{}}}',
        b'{"embedding":["1"],"embeddings":{"float":[["1"]]}}',
        b'{"embeddings":[{"values":[1.0]},{"values":[1.0]}]}',
        b'{"embeddings":[{"values":[true]}]}',
    ],
)
def test_response_without_one_valid_vector_per_input_is_an_error(
    family: str, capabilities: dict[str, Any], body: bytes
) -> None:
    with pytest.raises(UpstreamError):
        call(family, capabilities).parse_response(body)
