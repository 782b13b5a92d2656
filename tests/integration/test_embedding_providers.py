"""Embeddings of providers with protocols of their own, end to end, with batches that are split and joined."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openai import APIStatusError, BadRequestError, OpenAI, RateLimitError

from support.running_gateway import RunningGateway
from support.scripted_gateway import scripted_gateway
from support.upstream import Script, ScriptedUpstream

FIXTURES = Path(__file__).parents[1] / "fixtures" / "embeddings"
VECTORS = [[0.5, -0.25, 3.0], [1.0, 2.0, -4.5]]
TWO = ["one", "two"]


def fixture(name: str) -> Script:
    return Script([(FIXTURES / f"{name}.json").read_bytes()])


def answer(body: Any, status: int = 200, **headers: str) -> Script:
    return Script([json.dumps(body).encode()], status, {"content-type": "application/json", **headers})


def vector(text: str) -> list[float]:
    return [float(text), 0.5]


def gemini_batch(body: Any) -> Script:
    texts = [request["content"]["parts"][0]["text"] for request in body["requests"]]
    usage = {"usageMetadata": {"promptTokenCount": 10 * len(texts)}}
    return answer({"embeddings": [{"values": vector(text)} for text in texts], **usage})


def titan_batch(body: Any) -> Script:
    text = body["inputText"]
    if text == "0":
        throttled = {"message": "Too many requests, please wait before trying again."}
        return answer(throttled, 429, **{"x-amzn-errortype": "ThrottlingException"})
    return answer({"embedding": vector(text), "inputTextTokenCount": 10})


def cohere_batch(body: Any) -> Script:
    return answer({"embeddings": {"float": [vector(text) for text in body["texts"]]}})


GOOGLE_ERROR = {"error": {"code": 400, "message": "The text content is empty.", "status": "INVALID_ARGUMENT"}}
COHERE_ERROR = {"id": "8b29", "message": "invalid request: output_dimension is not supported"}
SCRIPTS: dict[str, tuple[str, str, Script | Callable[[Any], Script]]] = {
    "gemini": ("google", "", fixture("gemini")),
    "gemini-uncounted": ("google", "", fixture("gemini_uncounted")),
    "gemini-batch": ("google", "max_inputs = 2", gemini_batch),
    "gemini-error": ("google", "", answer(GOOGLE_ERROR, 400)),
    "titan": ("aws", 'max_inputs = 1, embeddings_body = "titan"', fixture("titan")),
    "titan-batch": ("aws", 'max_inputs = 1, embeddings_body = "titan"', titan_batch),
    "titan-error": ("aws", 'embeddings_body = "titan"', answer({"message": "no"}, 400)),
    "cohere-on-bedrock": ("aws", 'embeddings_body = "cohere"', fixture("bedrock_cohere")),
    "cohere": ("cohere", "", fixture("cohere")),
    "cohere-batch": ("cohere", "max_inputs = 2", cohere_batch),
    "cohere-error": ("cohere", "", answer(COHERE_ERROR, 400)),
    "html": ("cohere", "", Script([b"<html></html>"])),
    "other-json": ("google", "", answer({"hello": "world"})),
    "no-vector": ("aws", 'embeddings_body = "titan"', answer({"embedding": None, "inputTextTokenCount": 3})),
}


def overlay(url: str) -> str:
    providers = "".join(
        f'[providers.{name}]\nfamily = "{family}"\nbase_url = "{url}/{name}"\nauth = "none"\n'
        for name, family in (("google", "gemini"), ("aws", "bedrock"), ("cohere", "cohere"))
    )
    models = (
        f'[models."{name}"]\ncreated = 2026-01-01\nowned_by = "tests"\ncontext_length = 1000\n'
        f'operations = ["embeddings"]\ncapabilities = {{ {capabilities} }}\n'
        f'routes = [{{ provider = "{provider}", model = "{name}" }}]\n[models."{name}".prices]\n'
        'input_usd_per_mtok = 2\noutput_usd_per_mtok = 0\nsource = "tests"\ndate = 2026-01-01\n'
        for name, (provider, capabilities, _) in SCRIPTS.items()
    )
    return providers + "".join(models)


provider, gateway = scripted_gateway({name: script for name, (_, _, script) in SCRIPTS.items()}, overlay)


@pytest.mark.parametrize(
    ("model", "texts", "path", "tokens"),
    [
        ("gemini", TWO, "/google/models/gemini:batchEmbedContents", 7),
        ("titan", ["one"], "/aws/model/titan/invoke", 5),
        ("cohere", TWO, "/cohere/embed", 11),
        ("cohere-on-bedrock", TWO, "/aws/model/cohere-on-bedrock/invoke", None),
    ],
)
def test_official_client_reads_the_vectors_of_each_protocol(
    client: OpenAI,
    gateway: RunningGateway,
    provider: ScriptedUpstream,
    model: str,
    texts: list[str],
    path: str,
    tokens: int | None,
) -> None:
    raw = client.embeddings.with_raw_response.create(model=model, input=texts)
    response = raw.parse()
    assert [item.embedding for item in response.data] == VECTORS[: len(texts)]
    assert provider.requests[-1].path == path
    record = gateway.settled(raw.headers["x-request-id"])
    assert (record["input_tokens"], record["estimated"]) == ((2, 1) if tokens is None else (tokens, 0))
    assert record["cost_micro_usd"] == record["input_tokens"] * 2


def test_uncounted_usage_is_estimated_and_not_reported(client: OpenAI, gateway: RunningGateway) -> None:
    raw = client.embeddings.with_raw_response.create(model="gemini-uncounted", input=["abcdefgh", "abcd"])
    assert "usage" not in raw.http_response.json()
    record = gateway.settled(raw.headers["x-request-id"])
    assert (record["input_tokens"], record["estimated"], record["cost_source"]) == (3, 1, "estimated")


@pytest.mark.parametrize(("model", "requests", "tokens"), [("gemini-batch", 3, 50), ("titan-batch", 5, 50)])
def test_batch_above_the_limit_is_split_and_joined_in_order(
    client: OpenAI, gateway: RunningGateway, provider: ScriptedUpstream, model: str, requests: int, tokens: int
) -> None:
    before = len(provider.requests)
    raw = client.embeddings.with_raw_response.create(model=model, input=["5", "3", "1", "4", "2"])
    response = raw.parse()
    assert [item.embedding[0] for item in response.data] == [5, 3, 1, 4, 2]
    assert response.usage.prompt_tokens == tokens
    assert len(provider.requests) - before == requests
    record = gateway.settled(raw.headers["x-request-id"])
    assert (record["input_tokens"], record["estimated"]) == (tokens, 0)


def test_split_batch_that_is_not_counted_is_estimated(client: OpenAI, gateway: RunningGateway) -> None:
    raw = client.embeddings.with_raw_response.create(model="cohere-batch", input=["1", "2", "12345678"])
    record = gateway.settled(raw.headers["x-request-id"])
    assert (record["input_tokens"], record["estimated"]) == (4, 1)


def test_parts_before_a_failed_one_are_billed(client: OpenAI, gateway: RunningGateway) -> None:
    texts = [str(number) for number in range(20, -1, -1)]
    with pytest.raises(RateLimitError) as raised:
        client.with_options(max_retries=0).embeddings.create(model="titan-batch", input=texts)
    record = gateway.settled(raised.value.response.headers["x-request-id"])
    assert record["status"] == 429
    assert 130 <= record["input_tokens"] <= 200  # up to seven other parts may have been open
    assert gateway.open_holds() == 0


@pytest.mark.parametrize(
    ("model", "status", "message"),
    [
        ("gemini-error", 400, "The text content is empty."),
        ("titan-error", 400, "no"),
        ("cohere-error", 400, "invalid request: output_dimension is not supported"),
        ("html", 502, "not JSON"),
        ("other-json", 502, "one embedding for each input"),
        ("no-vector", 502, "not a vector of floats"),
    ],
)
def test_failure_of_a_provider_has_its_status_and_message(
    client: OpenAI, gateway: RunningGateway, model: str, status: int, message: str
) -> None:
    with pytest.raises(APIStatusError, match=message) as raised:
        client.with_options(max_retries=0).embeddings.create(model=model, input="x")
    assert raised.value.status_code == status
    assert gateway.open_holds() == 0


@pytest.mark.parametrize("model", ["gemini", "titan", "cohere"])
def test_tokens_are_refused_where_they_mean_nothing(client: OpenAI, model: str) -> None:
    with pytest.raises(BadRequestError) as raised:
        client.embeddings.create(model=model, input=[1, 2, 3])
    assert (raised.value.param, raised.value.code) == ("input", "unsupported_parameter")
