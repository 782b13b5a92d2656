"""The Anthropic family end to end: the official OpenAI client, the gateway, and bytes of the Messages API."""

import json
from pathlib import Path
from typing import Any

import pytest
from openai import APIError, BadRequestError, InternalServerError, OpenAI

from support.scripted_gateway import scripted_gateway
from support.upstream import Script, ScriptedUpstream

FIXTURES = Path(__file__).parents[1] / "fixtures" / "anthropic"
MESSAGES: list[Any] = [{"role": "user", "content": "How many?"}]
TOOLS: list[Any] = [{"type": "function", "function": {"name": name}} for name in ("get_weather", "get_time")]
SSE = {"content-type": "text/event-stream; charset=utf-8"}


def script(file: str, status: int = 200) -> Script:
    headers = SSE if file.endswith(".sse") else {"content-type": "application/json", "request-id": "req_011"}
    return Script([(FIXTURES / file).read_bytes()], status, headers)


SCRIPTS = {
    "text": script("text.json"),
    "cached": script("cached.json"),
    "tools": script("tools.json"),
    "tools-stream": script("tools.sse"),
    "truncated": script("truncated.sse"),
    "error-first": script("error_first.sse"),
    "overloaded": script("error_overloaded.json", 529),
}


def overlay(url: str) -> str:
    provider = (
        f'[providers.claude]\nfamily = "anthropic"\nbase_url = "{url}/v1"\nauth = "header"\n'
        'auth_header = "x-api-key"\ncredential = "CLAUDE_API_KEY"\n'
    )
    models = (
        f'[models."{name}"]\ncreated = 2026-01-01\nowned_by = "tests"\ncontext_length = 1000\n'
        f"capabilities = {{ sampling = false, max_output_tokens = 64000 }}\n"
        f'routes = [{{ provider = "claude", model = "{name}" }}]\n'
        for name in SCRIPTS
    )
    return provider + "".join(models)


provider, gateway = scripted_gateway(SCRIPTS, overlay, {"CLAUDE_API_KEY": "sk-ant-secret"})


def test_request_is_translated_to_the_messages_api(client: OpenAI, provider: ScriptedUpstream) -> None:
    raw = client.chat.completions.with_raw_response.create(model="text", messages=MESSAGES, temperature=0.3, seed=7)
    received = provider.requests[-1]
    assert received.path == "/v1/messages"
    assert received.headers["x-api-key"] == "sk-ant-secret"
    assert received.headers["anthropic-version"] == "2023-06-01"
    assert "authorization" not in received.headers
    content = [{"type": "text", "text": "How many?"}]
    assert received.body == {
        "model": "text",
        "max_tokens": 64000,
        "messages": [{"role": "user", "content": content}],
    }
    assert raw.parse().choices[0].message.content == "Four score\u2028 and s\u00e9ven \U0001f600."
    assert raw.headers["x-tollgate-dropped-params"] == "seed, temperature"


def test_tool_calls_are_the_same_whole_and_streamed(client: OpenAI) -> None:
    whole = client.chat.completions.create(model="tools", messages=MESSAGES, tools=TOOLS).choices[0]
    with client.chat.completions.stream(model="tools-stream", messages=MESSAGES, tools=TOOLS) as stream:
        streamed = stream.get_final_completion().choices[0]
    assert whole.finish_reason == streamed.finish_reason == "tool_calls"
    pairs = zip(whole.message.tool_calls or [], streamed.message.tool_calls or [], strict=True)
    for one, other in pairs:
        assert one.type == "function"
        assert (one.id, one.function.name) == (other.id, other.function.name)
        assert json.loads(one.function.arguments) == json.loads(other.function.arguments)


def test_cached_tokens_are_in_the_usage(client: OpenAI) -> None:
    usage = client.chat.completions.create(model="cached", messages=MESSAGES).usage
    assert usage is not None
    assert usage.prompt_tokens_details is not None
    assert (usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens) == (188563, 188086)


@pytest.mark.parametrize(("model", "stream"), [("error-first", True), ("overloaded", True), ("overloaded", False)])
def test_overload_before_the_first_chunk_is_a_503(client: OpenAI, model: str, stream: bool) -> None:
    with pytest.raises(InternalServerError) as raised:
        client.chat.completions.create(model=model, messages=MESSAGES, stream=stream)
    assert raised.value.status_code == 503
    assert raised.value.code == "overloaded"


def test_incomplete_tool_call_has_no_finish_reason(client: OpenAI) -> None:
    chunks = client.chat.completions.create(model="truncated", messages=MESSAGES, stream=True)
    reasons: list[Any] = []
    with pytest.raises(APIError, match="cut"):
        reasons.extend(choice.finish_reason for chunk in chunks for choice in chunk.choices)
    assert set(reasons) == {None}


def test_unsupported_parameter_is_refused_before_the_provider_is_called(
    client: OpenAI, provider: ScriptedUpstream
) -> None:
    requests_before = len(provider.requests)
    with pytest.raises(BadRequestError) as raised:
        client.chat.completions.create(model="text", messages=MESSAGES, n=2)
    assert (raised.value.code, raised.value.param) == ("unsupported_parameter", "n")
    strict = {"provider": {"require_parameters": True}}
    with pytest.raises(BadRequestError) as raised:
        client.chat.completions.create(model="text", messages=MESSAGES, seed=1, extra_body=strict)
    assert raised.value.param == "seed"
    assert len(provider.requests) == requests_before
