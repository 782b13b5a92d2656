"""Reranking end to end, by the formats of its providers."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.http import HTTP
from support.running_gateway import RunningGateway
from support.scripted_gateway import scripted_gateway
from support.upstream import Script, ScriptedUpstream
from support.waiting import LIMIT_SECONDS

FIXTURES = Path(__file__).parents[1] / "fixtures" / "rerank"
DOCUMENTS: list[Any] = ["a", {"text": "b", "url": "https://b.example"}, "c"]
SEARCHES = "usd_per_unit = { searches = 0.002 }"


def fixture(name: str) -> Script:
    return Script([(FIXTURES / f"{name}.json").read_bytes()])


def answer(body: Any, status: int = 200) -> Script:
    return Script([json.dumps(body).encode()], status)


SCRIPTS = {
    "cohere": ("cohere", fixture("cohere")),
    "jina": ("jina", fixture("jina")),
    "voyage": ("voyage", fixture("voyage")),
    "vllm": ("jina", fixture("vllm")),
    "uncounted": ("cohere", answer({"results": json.loads((FIXTURES / "cohere.json").read_bytes())["results"]})),
    "error": ("cohere", answer({"message": "invalid request: query is too long"}, 400)),
    "error-in-200": ("jina", answer({"error": {"message": "backend exploded"}})),
    "too-few": ("jina", answer({"results": [{"index": 0, "relevance_score": 1}], "usage": {"total_tokens": 9}})),
    "html": ("jina", Script([b"<html></html>"])),
}
QUIRKS = {"cohere": "", "jina": "", "voyage": 'rerank = { renamed = { top_n = "top_k" } }'}


def overlay(url: str) -> str:
    providers = "".join(
        f'[providers.{name}]\nfamily = "{"cohere" if name == "cohere" else "openai"}"\nbase_url = "{url}/{name}"\n'
        f'auth = "none"\nquirks = {{ {quirks} }}\n'
        for name, quirks in QUIRKS.items()
    )
    models = (
        f'[models."{name}"]\ncreated = 2026-01-01\nowned_by = "tests"\ncontext_length = 1000\n'
        f'operations = ["rerank"]\nroutes = [{{ provider = "{provider}", model = "{name}" }}]\n'
        f'[models."{name}".prices]\ninput_usd_per_mtok = {0 if provider == "cohere" else 2}\noutput_usd_per_mtok = 0\n'
        f'{SEARCHES if provider == "cohere" else ""}\nsource = "tests"\ndate = 2026-01-01\n'
        for name, (provider, _) in SCRIPTS.items()
    )
    return providers + "".join(models)


provider, gateway = scripted_gateway({name: script for name, (_, script) in SCRIPTS.items()}, overlay)


def body(model: str, **fields: Any) -> dict[str, Any]:
    return {"model": model, "query": "q", "documents": DOCUMENTS, **fields}


@pytest.mark.parametrize(
    ("model", "limit", "first", "usage"),
    [
        ("cohere", "top_n", 0.999071, {"searches": 1, "cost_micro_usd": 2000}),
        ("jina", "top_n", 0.9, {"input_tokens": 815, "cost_micro_usd": 1630}),
        ("voyage", "top_k", 0.75, {"input_tokens": 26, "cost_micro_usd": 52}),
        ("vllm", "top_n", 0.9985, {"input_tokens": 56, "cost_micro_usd": 112}),
    ],
)
def test_every_format_has_the_same_result_and_its_own_bill(
    http: httpx.Client,
    gateway: RunningGateway,
    provider: ScriptedUpstream,
    model: str,
    limit: str,
    first: float,
    usage: dict[str, int],
) -> None:
    response = http.post("/rerank", json=body(model, top_n=2, return_documents=True))
    assert response.status_code == 200
    results = response.json()["results"]
    assert results[0] == {"index": 2, "relevance_score": first, "document": {"text": "c"}}
    assert [result["index"] for result in results] == [2, 0]
    sent = provider.requests[-1]
    assert sent.path.endswith("/rerank")
    assert sent.body == {"model": model, "query": "q", "documents": ["a", "b", "c"], limit: 2}
    record = gateway.settled(response.headers["x-request-id"])
    assert {name: record[name] for name in usage} == usage
    assert (record["operation"], record["estimated"], record["cost_source"]) == ("rerank", 0, "catalog")


def test_usage_is_in_the_formats_of_cohere_and_jina(http: httpx.Client) -> None:
    by_searches = http.post("/rerank", json=body("cohere")).json()
    assert by_searches["meta"]["billed_units"] == {"search_units": 1}
    assert "document" not in by_searches["results"][0]
    by_tokens = http.post("/rerank", json=body("jina")).json()
    assert by_tokens["usage"] == {"prompt_tokens": 815, "total_tokens": 815}


def test_uncounted_searches_are_estimated(http: httpx.Client, gateway: RunningGateway) -> None:
    response = http.post("/rerank", json=body("uncounted"))
    assert "meta" not in response.json()
    record = gateway.settled(response.headers["x-request-id"])
    assert (record["searches"], record["estimated"], record["cost_micro_usd"]) == (1, 1, 2000)


@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank", "/rerank"])
def test_endpoint_has_the_paths_of_its_clients(gateway: RunningGateway, path: str) -> None:
    url = gateway.base_url.removesuffix("/v1") + path
    headers = {"authorization": f"Bearer {gateway.api_key}"}
    assert HTTP.post(url, json=body("cohere"), headers=headers, timeout=LIMIT_SECONDS).status_code == 200
    assert HTTP.post(url, json=body("cohere"), timeout=LIMIT_SECONDS).status_code == 401


@pytest.mark.parametrize(
    ("model", "status", "message"),
    [
        ("error", 400, "invalid request: query is too long"),
        ("error-in-200", 502, "backend exploded"),
        ("too-few", 502, "did not rank the documents"),
        ("html", 502, "not JSON"),
    ],
)
def test_failure_of_a_provider_is_an_error(
    http: httpx.Client, gateway: RunningGateway, model: str, status: int, message: str
) -> None:
    response = http.post("/rerank", json=body(model))
    assert response.status_code == status
    assert message in response.json()["error"]["message"]
    assert gateway.open_holds() == 0


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"query": None}, "query", "missing_required_parameter"),
        ({"query": ""}, "query", "invalid_value"),
        ({"query": ["q"]}, "query", "invalid_value"),
        ({"documents": None}, "documents", "missing_required_parameter"),
        ({"documents": []}, "documents", "invalid_value"),
        ({"documents": "a"}, "documents", "invalid_value"),
        ({"documents": ["a", 7]}, "documents[1]", "invalid_value"),
        ({"documents": [{"url": "x"}]}, "documents[0].text", "missing_required_parameter"),
        ({"documents": ["a"] * 1001}, "documents", "invalid_value"),
        ({"top_n": 0}, "top_n", "invalid_value"),
        ({"top_n": "2"}, "top_n", "invalid_value"),
        ({"return_documents": "yes"}, "return_documents", "invalid_value"),
        ({"model": None}, "model", "missing_required_parameter"),
        ({"model": "gpt-5.4"}, "model", "unsupported_operation"),
    ],
)
def test_invalid_request_is_400_and_names_the_field(
    http: httpx.Client, fields: dict[str, Any], param: str, code: str
) -> None:
    response = http.post("/rerank", json={**body("cohere"), **fields})
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["param"], error["code"]) == (param, code)
