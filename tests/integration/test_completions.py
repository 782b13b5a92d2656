"""`POST /v1/completions` end to end: the official client, models that serve completions, and chat models."""

from pathlib import Path
from typing import Any

import pytest
from openai import APIError, BadRequestError, OpenAI

from support.running_gateway import RunningGateway
from support.scripted_gateway import scripted_gateway
from support.upstream import Script, ScriptedUpstream

FIXTURES = Path(__file__).parents[1] / "fixtures"
SSE = {"content-type": "text/event-stream"}
FILES = {
    "davinci": "openai_completions/response.json",
    "davinci-stream": "openai_completions/response.sse",
    "davinci-cut": "openai_completions/cut.sse",
    "gpt": "openai/openai_text.json",
    "gpt-stream": "openai/openai_text.sse",
    "claude": "anthropic/text.json",
    "claude-stream": "anthropic/text.sse",
}
SCRIPTS = {
    name: Script([(FIXTURES / file).read_bytes()], 200, SSE if file.endswith("sse") else {})
    for name, file in FILES.items()
}


def overlay(url: str) -> str:
    families = {"davinci": "openai", "gpt": "openai", "claude": "anthropic"}
    providers = (
        f'[providers.{name}]\nfamily = "{family}"\nbase_url = "{url}/v1"\nauth = "none"\n'
        for name, family in families.items()
    )
    models = (
        f'[models."{name}"]\ncreated = 2026-01-01\nowned_by = "tests"\ncontext_length = 1000\n'
        f'operations = ["{"completions" if name.startswith("davinci") else "chat"}"]\n'
        f'routes = [{{ provider = "{name.partition("-")[0]}", model = "{name}" }}]\n'
        for name in SCRIPTS
    )
    return "".join((*providers, *models))


provider, gateway = scripted_gateway(SCRIPTS, overlay)


def test_model_that_serves_completions_gets_the_request_as_it_is(
    client: OpenAI, provider: ScriptedUpstream, gateway: RunningGateway
) -> None:
    prompts = ["Four", "and"]
    raw = client.completions.with_raw_response.create(
        model="davinci", prompt=prompts, logprobs=1, suffix="!", echo=True
    )
    answer = raw.parse()
    received = provider.requests[-1]
    assert received.path == "/v1/completions"
    assert received.body == {"model": "davinci", "prompt": prompts, "logprobs": 1, "suffix": "!", "echo": True}
    assert [choice.text for choice in answer.choices] == ["Four score", "and seven"]
    assert answer.choices[0].logprobs is not None
    assert (answer.id[:5], answer.model) == ("cmpl-", "davinci")
    record = gateway.settled(raw.headers["x-request-id"])
    assert (record["operation"], record["input_tokens"], record["output_tokens"]) == ("completions", 5, 7)


@pytest.mark.parametrize("with_usage", [True, False])
def test_stream_of_completions_is_passed_on(client: OpenAI, with_usage: bool) -> None:
    options: Any = {"stream_options": {"include_usage": True}} if with_usage else {}
    chunks = list(client.completions.create(model="davinci-stream", prompt="x", stream=True, **options))
    texts = ["".join(c.text for chunk in chunks for c in chunk.choices if c.index == index) for index in (0, 1)]
    assert texts == ["Four score", "and seven"]
    assert {chunk.model for chunk in chunks} == {"davinci-stream"}
    assert [chunk.usage.total_tokens for chunk in chunks if chunk.usage] == ([12] if with_usage else [])


def test_stream_that_breaks_off_ends_in_an_error(client: OpenAI) -> None:
    with pytest.raises(APIError):
        list(client.completions.create(model="davinci-cut", prompt="x", stream=True))


@pytest.mark.parametrize("model", ["gpt", "claude"])
def test_chat_model_continues_the_prompt(client: OpenAI, provider: ScriptedUpstream, model: str) -> None:
    whole = client.completions.create(model=model, prompt="Say: ", echo=True)
    assert provider.requests[-1].body["max_tokens"] == 16
    chunks = list(client.completions.create(model=f"{model}-stream", prompt="Say: ", echo=True, stream=True))
    streamed = "".join(choice.text for chunk in chunks for choice in chunk.choices)
    assert whole.choices[0].text == streamed
    assert streamed.startswith("Say: ")
    assert len(streamed) > len("Say: ")
    assert whole.object == "text_completion"
    assert whole.usage is not None
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices][-1] == "stop"


UNSUPPORTED: list[tuple[dict[str, Any], str]] = [
    ({"prompt": ["a", "b"]}, "prompt"),
    ({"prompt": [1, 2]}, "prompt"),
    ({"suffix": "x"}, "suffix"),
    ({"logprobs": 2}, "logprobs"),
    ({"best_of": 2}, "best_of"),
    ({"max_tokens": 0, "echo": True}, "max_tokens"),
]
BAD: list[tuple[dict[str, Any], str]] = [
    ({"prompt": None}, "prompt"),
    ({"prompt": []}, "prompt"),
    ({"prompt": ["a", 1]}, "prompt"),
    ({"best_of": 1, "n": 2}, "best_of"),
    ({"max_tokens": -1}, "max_tokens"),
    ({"logprobs": True}, "logprobs"),
]


@pytest.mark.parametrize(("fields", "param"), [*UNSUPPORTED, *BAD])
def test_what_a_chat_model_cannot_do_is_refused(client: OpenAI, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequestError) as raised:
        client.post("/completions", body={"model": "gpt", "prompt": "x", **fields}, cast_to=object)
    assert raised.value.param == param


def test_model_without_chat_and_completions_is_refused(client: OpenAI) -> None:
    with pytest.raises(BadRequestError) as raised:
        client.chat.completions.create(model="davinci", messages=[{"role": "user", "content": "x"}])
    assert raised.value.code == "unsupported_operation"
