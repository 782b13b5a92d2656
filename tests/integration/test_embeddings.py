"""Embeddings end to end, from the official client to a scripted provider, by server and function."""

import struct
from base64 import b64decode
from typing import Any

import httpx
import pytest
from openai import BadRequestError, InternalServerError, OpenAI

from support.http import HTTP
from support.running_gateway import RunningGateway
from support.scenarios import VECTORS, packed
from support.upstream import ScriptedUpstream
from support.waiting import LIMIT_SECONDS

TWO = ["one", "two"]


@pytest.mark.parametrize("script", ["embed-floats", "embed-base64"])
def test_official_client_reads_vectors_in_every_encoding_of_the_provider(client: OpenAI, script: str) -> None:
    response = client.embeddings.create(model=f"test/{script}", input=TWO)
    assert [item.embedding for item in response.data] == VECTORS
    assert [item.index for item in response.data] == [0, 1]
    assert (response.object, response.model) == ("list", f"test/{script}")
    assert (response.usage.prompt_tokens, response.usage.total_tokens) == (1000, 1000)


@pytest.mark.parametrize("script", ["embed-floats", "embed-base64"])
def test_client_gets_the_encoding_it_requests(http: httpx.Client, script: str) -> None:
    body = {"model": f"test/{script}", "input": TWO}
    floats = http.post("/embeddings", json=body).json()["data"]
    as_floats = http.post("/embeddings", json={**body, "encoding_format": "float"}).json()["data"]
    as_base64 = http.post("/embeddings", json={**body, "encoding_format": "base64"}).json()["data"]
    assert [item["embedding"] for item in floats] == [item["embedding"] for item in as_floats] == VECTORS
    assert [item["embedding"] for item in as_base64] == [packed(vector) for vector in VECTORS]
    assert struct.unpack("<3f", b64decode(as_base64[0]["embedding"])) == tuple(VECTORS[0])


@pytest.mark.parametrize(
    ("value", "script"),
    [("text", "embed-one"), (["text"], "embed-one"), ([1, 2, 3], "embed-one"), ([[1, 2], [3]], "embed-floats")],
)
def test_every_form_of_input_reaches_the_provider(
    client: OpenAI, upstream: ScriptedUpstream, value: Any, script: str
) -> None:
    response = client.embeddings.create(model=f"test/{script}", input=value, dimensions=3)
    sent = upstream.requests[-1]
    assert sent.path == "/v1/embeddings"
    assert sent.body == {"model": script, "input": value, "dimensions": 3, "encoding_format": "base64"}
    assert len(response.data) == (2 if script == "embed-floats" else 1)


def test_usage_and_cost_are_in_the_record_and_the_log_line(client: OpenAI, gateway: RunningGateway) -> None:
    raw = client.embeddings.with_raw_response.create(model="test/embed-floats", input=TWO)
    request_id = raw.headers["x-request-id"]
    record = gateway.settled(request_id)
    assert (record["operation"], record["input_tokens"], record["output_tokens"]) == ("embeddings", 1000, 0)
    assert (record["cost_micro_usd"], record["cost_source"]) == (2000, "catalog")  # 1000 tokens at 2.0 USD a million
    line = gateway.log_of(request_id)
    assert (line["operation"], line["input_tokens"], line["streamed"]) == ("embeddings", 1000, False)
    assert raw.headers["x-tollgate-provider"] == "scripted"


def test_usage_that_the_provider_does_not_report_is_estimated(http: httpx.Client, gateway: RunningGateway) -> None:
    response = http.post("/embeddings", json={"model": "test/embed-uncounted", "input": ["abcdefgh", "abcd"]})
    assert "usage" not in response.json()
    record = gateway.settled(response.headers["x-request-id"])
    assert (record["input_tokens"], record["estimated"], record["cost_source"]) == (3, 1, "estimated")


def test_provider_errors_have_their_status(client: OpenAI, gateway: RunningGateway) -> None:
    with pytest.raises(BadRequestError) as raised:
        client.embeddings.create(model="test/embed-error", input="x", dimensions=3)
    assert raised.value.param == "dimensions"
    for script in ("embed-failure", "embed-html"):
        with pytest.raises(InternalServerError) as raised:
            client.embeddings.create(model=f"test/{script}", input="x")
        assert raised.value.status_code == 502
    assert gateway.open_holds() == 0


@pytest.mark.parametrize("script", ["embed-one", "embed-floats"])
def test_response_without_one_vector_per_input_is_an_error(client: OpenAI, script: str) -> None:
    with pytest.raises(InternalServerError, match="one embedding for each input"):
        client.embeddings.create(model=f"test/{script}", input=["a", "b", "c"])


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({}, "input", "missing_required_parameter"),
        ({"input": ""}, "input", "invalid_value"),
        ({"input": []}, "input", "invalid_value"),
        ({"input": ["a", ""]}, "input[1]", "invalid_value"),
        ({"input": [1, -1]}, "input[1]", "invalid_value"),
        ({"input": [[1], []]}, "input[1]", "invalid_value"),
        ({"input": {"a": 1}}, "input", "invalid_value"),
        ({"input": "x", "dimensions": 0}, "dimensions", "invalid_value"),
        ({"input": "x", "dimensions": "9"}, "dimensions", "invalid_value"),
        ({"input": "x", "encoding_format": "int8"}, "encoding_format", "invalid_value"),
        ({"input": "x", "model": "test/whole"}, "model", "unsupported_operation"),
        ({"input": "x", "model": "echo-9"}, "model", "model_not_found"),
    ],
)
def test_invalid_request_is_400_or_404_and_names_the_field(
    http: httpx.Client, fields: dict[str, Any], param: str, code: str
) -> None:
    response = http.post("/embeddings", json={"model": "test/embed-one", **fields})
    assert response.status_code == (404 if code == "model_not_found" else 400)
    error = response.json()["error"]
    assert (error["param"], error["code"]) == (param, code)


def test_model_of_another_operation_is_refused_by_name(http: httpx.Client) -> None:
    messages = [{"role": "user", "content": "x"}]
    response = http.post("/chat/completions", json={"model": "test/embed-one", "messages": messages})
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["param"], error["code"]) == ("model", "unsupported_operation")
    assert error["message"] == "The model 'test/embed-one' does not support chat."


def test_invalid_key_is_401(gateway: RunningGateway) -> None:
    for body in ({"model": "test/embed-one", "input": "x"}, {"model": 7}):
        response = HTTP.post(
            f"{gateway.base_url}/embeddings", json=body, headers={"authorization": "Bearer no"}, timeout=LIMIT_SECONDS
        )
        assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_api_key")


def test_request_above_the_budget_is_402(gateway: RunningGateway) -> None:
    key = gateway.key("--budget", "0.000001/total")
    response = HTTP.post(
        f"{gateway.base_url}/embeddings",
        json={"model": "test/embed-one", "input": "text " * 1000},
        headers={"authorization": f"Bearer {key}"},
        timeout=LIMIT_SECONDS,
    )
    assert (response.status_code, response.json()["error"]["code"]) == (402, "insufficient_quota")


def test_largest_batch_of_base64_vectors_arrives(client: OpenAI) -> None:
    response = client.embeddings.create(model="test/embed-largest", input=["a"] * 2048)
    assert [len(item.embedding) for item in response.data] == [3072] * 2048


def test_unusable_response_is_billed_as_estimated(http: httpx.Client, gateway: RunningGateway) -> None:
    response = http.post("/embeddings", json={"model": "test/embed-one", "input": ["abcd", "abcd"]})
    assert (response.status_code, response.json()["error"]["code"]) == (502, "unusable_response")
    record = gateway.settled(response.headers["x-request-id"])
    assert (record["input_tokens"], record["estimated"], record["cost_micro_usd"]) == (2, 1, 4)


def test_many_tokens_are_one_request(client: OpenAI) -> None:
    response = client.embeddings.create(model="test/embed-floats", input=[[7] * 100_000, [8] * 100_000])
    assert len(response.data) == 2
