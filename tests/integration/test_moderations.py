"""Moderations end to end, by the official client."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import APIStatusError, OpenAI

from support.running_gateway import RunningGateway
from support.scripted_gateway import scripted_gateway
from support.upstream import Script, ScriptedUpstream

FIXTURES = Path(__file__).parents[1] / "fixtures" / "moderations"
TEXT: Any = {"type": "text", "text": "a kitchen knife"}
IMAGE: Any = {"type": "image_url", "image_url": {"url": "https://example.com/knife.png"}}


def answer(body: Any, status: int = 200) -> Script:
    return Script([json.dumps(body).encode()], status)


SCRIPTS = {
    "omni-moderation-latest": ("openai", Script([(FIXTURES / "openai.json").read_bytes()])),
    "mistral": ("mistral", Script([(FIXTURES / "mistral.json").read_bytes()])),
    "mistral-one": ("mistral", answer({"results": [{"categories": {"pii": True}, "category_scores": {"pii": 0.9}}]})),
    "error": ("openai", answer({"error": {"message": "Failed to download image.", "param": "input"}}, 400)),
    "server-error": ("openai", answer({"error": {"message": "oh no"}}, 500)),
    "no-categories": ("openai", answer({"results": [{"flagged": False, "categories": {}, "category_scores": {}}]})),
    "html": ("openai", Script([b"<html></html>"])),
}


def overlay(url: str) -> str:
    providers = "".join(
        f'[providers.{name}]\nfamily = "openai"\nbase_url = "{url}/v1"\nauth = "none"\n'
        for name in ("openai", "mistral")
    )
    models = (
        f'[models."{name}"]\ncreated = 2026-01-01\nowned_by = "tests"\ncontext_length = 1000\n'
        f'operations = ["moderations"]\ncapabilities = {{ vision = {"false" if provider == "mistral" else "true"} }}\n'
        f'routes = [{{ provider = "{provider}", model = "{name}" }}]\n[models."{name}".prices]\n'
        'input_usd_per_mtok = 0\noutput_usd_per_mtok = 0\nsource = "tests"\ndate = 2026-01-01\n'
        for name, (provider, _) in SCRIPTS.items()
    )
    return providers + "".join(models)


provider, gateway = scripted_gateway({name: script for name, (_, script) in SCRIPTS.items()}, overlay)


@pytest.mark.parametrize("value", ["a kitchen knife", ["a kitchen knife"], [TEXT, IMAGE]])
def test_official_client_reads_the_result_for_every_form_of_input(
    client: OpenAI, gateway: RunningGateway, provider: ScriptedUpstream, value: Any
) -> None:
    raw = client.moderations.with_raw_response.create(input=value)
    (result,) = raw.parse().results
    assert (result.flagged, result.categories.violence, result.categories.self_harm) == (True, True, False)
    assert result.category_applied_input_types.violence == ["text", "image"]
    assert raw.parse().id.startswith("modr-")
    sent = provider.requests[-1]
    assert (sent.path, sent.body) == ("/v1/moderations", {"model": "omni-moderation-latest", "input": value})
    record = gateway.settled(raw.headers["x-request-id"])
    assert (record["operation"], record["cost_micro_usd"], record["estimated"]) == ("moderations", 0, 1)


def test_result_without_flagged_is_flagged_by_any_category(client: OpenAI, gateway: RunningGateway) -> None:
    raw = client.moderations.with_raw_response.create(model="mistral", input=["one", "two"])
    assert [result.flagged for result in raw.parse().results] == [False, True]
    record = gateway.settled(raw.headers["x-request-id"])
    assert (record["input_tokens"], record["estimated"]) == (9, 0)


def test_model_for_text_gets_parts_as_one_text_and_no_image(client: OpenAI, provider: ScriptedUpstream) -> None:
    response = client.moderations.create(model="mistral-one", input=[TEXT, TEXT])
    assert response.results[0].flagged
    assert provider.requests[-1].body["input"] == "a kitchen knife\na kitchen knife"
    with pytest.raises(APIStatusError) as raised:
        client.moderations.create(model="mistral-one", input=[TEXT, IMAGE])
    assert (raised.value.status_code, raised.value.response.json()["error"]["param"]) == (400, "input")


@pytest.mark.parametrize(
    ("model", "status", "message"),
    [
        ("error", 400, "Failed to download image."),
        ("server-error", 502, "oh no"),
        ("no-categories", 502, "one result for each input"),
        ("mistral", 502, "one result for each input"),
        ("html", 502, "not JSON"),
    ],
)
def test_failure_of_a_provider_is_an_error(
    client: OpenAI, gateway: RunningGateway, model: str, status: int, message: str
) -> None:
    with pytest.raises(APIStatusError, match=message) as raised:
        client.with_options(max_retries=0).moderations.create(model=model, input="x")
    assert raised.value.status_code == status
    assert gateway.open_holds() == 0


INVALID: list[tuple[dict[str, Any], str, str]] = [
    ({}, "input", "missing_required_parameter"),
    ({"input": []}, "input", "invalid_value"),
    ({"input": 7}, "input", "invalid_value"),
    ({"input": ["a", 7]}, "input[1]", "invalid_value"),
    ({"input": ["a", TEXT]}, "input", "invalid_value"),
    ({"input": [{"type": "audio"}]}, "input[0].type", "invalid_value"),
    ({"input": [{"type": "text"}]}, "input[0].text", "missing_required_parameter"),
    ({"input": [{"type": "image_url", "image_url": {}}]}, "input[0].image_url.url", "missing_required_parameter"),
    ({"input": "x", "model": ""}, "model", "invalid_value"),
    ({"input": "x", "model": "gpt-5.4"}, "model", "unsupported_operation"),
]


@pytest.mark.parametrize(("fields", "param", "code"), INVALID)
def test_invalid_request_is_400_and_names_the_field(
    http: httpx.Client, fields: dict[str, Any], param: str, code: str
) -> None:
    response = http.post("/moderations", json=fields)
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["param"], error["code"]) == (param, code)
