"""The Gemini family end to end: the official OpenAI client, the gateway, and bytes of generateContent."""

import json
from pathlib import Path
from typing import Any

import pytest
from openai import APIError, BadRequestError, InternalServerError, OpenAI, RateLimitError

from support.scripted_gateway import scripted_gateway
from support.upstream import Script, ScriptedUpstream

FIXTURES = Path(__file__).parents[1] / "fixtures" / "gemini"
MESSAGES: list[Any] = [{"role": "user", "content": "How many?"}]
TOOLS: list[Any] = [{"type": "function", "function": {"name": name}} for name in ("get_weather", "get_time")]


def script(file: str, status: int = 200) -> Script:
    kind = "text/event-stream" if file.endswith(".sse") else "application/json; charset=UTF-8"
    return Script([(FIXTURES / file).read_bytes()], status, {"content-type": kind})


SCRIPTS = {
    "text": script("text.json"),
    "text-stream": script("text.sse"),
    "tools": script("tools.json"),
    "tools-stream": script("tools.sse"),
    "blocked-stream": script("blocked_prompt.sse"),
    "truncated": script("truncated.sse"),
    "error-first": script("error_first.sse"),
    "bad-key": script("error_key.json", 400),
    "rate-limit": script("error_rate_limit.json", 429),
}


def overlay(url: str) -> str:
    provider = (
        f'[providers.google]\nfamily = "gemini"\nbase_url = "{url}/v1beta"\nauth = "header"\n'
        'auth_header = "x-goog-api-key"\ncredential = "GOOGLE_API_KEY"\n'
    )
    models = (
        f'[models."{name}"]\ncreated = 2026-01-01\nowned_by = "tests"\ncontext_length = 1000\n'
        f'capabilities = {{ thinking = "always" }}\n'
        f'routes = [{{ provider = "google", model = "{name}" }}]\n'
        for name in SCRIPTS
    )
    return provider + "".join(models)


provider, gateway = scripted_gateway(SCRIPTS, overlay, {"GOOGLE_API_KEY": "AIza-secret"})


def test_request_is_translated_to_generate_content(client: OpenAI, provider: ScriptedUpstream) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="text", messages=MESSAGES, temperature=0.3, frequency_penalty=1
    )
    received = provider.requests[-1]
    assert received.path == "/v1beta/models/text:generateContent"
    assert received.headers["x-goog-api-key"] == "AIza-secret"
    assert "authorization" not in received.headers
    assert received.body == {
        "contents": [{"role": "user", "parts": [{"text": "How many?"}]}],
        "generationConfig": {"temperature": 0.3},
    }
    response = raw.parse()
    assert response.choices[0].message.content == "Four score\u2028 and s\u00e9ven \U0001f600."
    assert response.usage is not None
    assert (response.usage.prompt_tokens, response.usage.completion_tokens) == (7, 9)
    assert raw.headers["x-tollgate-dropped-params"] == "frequency_penalty"


def test_text_is_streamed_with_finish_reason_and_usage(client: OpenAI, provider: ScriptedUpstream) -> None:
    options: Any = {"include_usage": True}
    chunks = [
        *client.chat.completions.create(model="text-stream", messages=MESSAGES, stream=True, stream_options=options)
    ]
    assert provider.requests[-1].path == "/v1beta/models/text-stream:streamGenerateContent?alt=sse"
    contents = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]
    assert "".join(contents) == "Four score\u2028 and s\u00e9ven \U0001f600."
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices][-2:] == [None, "stop"]
    assert [chunk.usage.total_tokens for chunk in chunks if chunk.usage] == [16]


@pytest.mark.parametrize("model", ["tools", "tools-stream"])
def test_thought_signature_round_trips_through_standard_fields(
    client: OpenAI, provider: ScriptedUpstream, model: str
) -> None:
    if model == "tools":
        choice = client.chat.completions.create(model=model, messages=MESSAGES, tools=TOOLS).choices[0]
    else:
        with client.chat.completions.stream(model=model, messages=MESSAGES, tools=TOOLS) as stream:
            choice = stream.get_final_completion().choices[0]
    assert choice.finish_reason == "tool_calls"
    calls = [
        {"id": call.id, "type": "function", "function": {"name": f.name, "arguments": f.arguments}}
        for call in choice.message.tool_calls or []
        if call.type == "function" and (f := call.function)
    ]
    results: list[Any] = [{"role": "tool", "tool_call_id": call["id"], "content": "9"} for call in calls]
    conversation: list[Any] = [*MESSAGES, {"role": "assistant", "content": None, "tool_calls": calls}, *results]
    client.chat.completions.create(model="text", messages=conversation, tools=TOOLS)

    native = json.loads((FIXTURES / "tools.json").read_bytes())["candidates"][0]["content"]
    assert provider.requests[-1].body["contents"][1:] == [
        native,
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "p3xk9w1q", "name": "get_weather", "response": {"result": "9"}}},
                {"functionResponse": {"id": "b7m2c4zd", "name": "get_time", "response": {"result": "9"}}},
            ],
        },
    ]


def test_blocked_prompt_has_the_finish_reason_content_filter(client: OpenAI) -> None:
    chunks = client.chat.completions.create(model="blocked-stream", messages=MESSAGES, stream=True)
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices] == ["content_filter"]


def test_overload_before_the_first_chunk_is_a_503(client: OpenAI) -> None:
    with pytest.raises(InternalServerError) as raised:
        client.chat.completions.create(model="error-first", messages=MESSAGES, stream=True)
    assert (raised.value.status_code, raised.value.code) == (503, "overloaded")


def test_rate_limit_has_a_retry_delay(client: OpenAI) -> None:
    with pytest.raises(RateLimitError) as raised:
        client.chat.completions.create(model="rate-limit", messages=MESSAGES)
    assert raised.value.response.headers["retry-after"] == "17"


def test_credential_refused_by_google_is_a_502(client: OpenAI) -> None:
    with pytest.raises(InternalServerError) as raised:
        client.chat.completions.create(model="bad-key", messages=MESSAGES)
    assert raised.value.status_code == 502


def test_truncated_stream_has_no_finish_reason(client: OpenAI) -> None:
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
        client.chat.completions.create(model="text", messages=MESSAGES, n=9)
    assert (raised.value.code, raised.value.param) == ("unsupported_parameter", "n")
    assert len(provider.requests) == requests_before
