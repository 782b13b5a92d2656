"""The Bedrock family end to end: the official OpenAI client, the gateway, and bytes of the Converse API."""

import json
from pathlib import Path
from typing import Any

import pytest
from openai import APIError, APIStatusError, BadRequestError, OpenAI, RateLimitError

from support.aws_event_stream import encode
from support.scripted_gateway import scripted_gateway
from support.upstream import Script, ScriptedUpstream

FIXTURES = Path(__file__).parents[1] / "fixtures" / "bedrock"
MESSAGES: list[Any] = [{"role": "user", "content": "How many?"}]
TOOLS: list[Any] = [{"type": "function", "function": {"name": name}} for name in ("get_weather", "get_time")]


def script(file: str, status: int = 200, kind: str = "") -> Script:
    data = (FIXTURES / file).read_bytes()
    if file.endswith(".jsonl"):
        frames = encode([json.loads(line) for line in data.splitlines()])
        return Script([frames], status, {"content-type": "application/vnd.amazon.eventstream"})
    return Script([data], status, {"content-type": "application/json", "x-amzn-errortype": kind})


SCRIPTS = {
    "us.text-v1:0": script("text.json"),
    "us.text-stream-v1:0": script("text.jsonl"),
    "tools": script("tools.json"),
    "tools-stream": script("tools.jsonl"),
    "cached-stream": script("cached.jsonl"),
    "truncated": script("truncated.jsonl"),
    "error-first": script("error_first.jsonl"),
    "error-midstream": script("error_midstream.jsonl"),
    "throttled": script("error_throttling.json", 429, "ThrottlingException:http://internal.amazon.com/x"),
    "denied": script("error_access.json", 403, "AccessDeniedException"),
    "too-long": script("error_too_long.json", 400, "ValidationException"),
}


def overlay(url: str) -> str:
    providers = (
        f'[providers.bedrock]\nfamily = "bedrock"\nbase_url = "{url}/{{region}}"\nauth = "sigv4"\n'
        f'[providers.by-key]\nfamily = "bedrock"\nbase_url = "{url}"\ncredential = "AWS_BEARER_TOKEN_BEDROCK"\n'
    )
    routes = {**{name: ("bedrock", name) for name in SCRIPTS}, "by-key": ("by-key", "us.text-v1:0")}
    models = (
        f'[models."{name}"]\ncreated = 2026-01-01\nowned_by = "tests"\ncontext_length = 1000\n'
        f'routes = [{{ provider = "{provider}", model = "{model}" }}]\n'
        for name, (provider, model) in routes.items()
    )
    return providers + "".join(models)


provider, gateway = scripted_gateway(
    SCRIPTS,
    overlay,
    {
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "s3cret",
        "AWS_SESSION_TOKEN": "t0ken",
        "AWS_REGION": "eu-west-3",
        "AWS_BEARER_TOKEN_BEDROCK": "bedrock-api-key",
    },
)


def test_request_is_translated_to_converse_and_signed(client: OpenAI, provider: ScriptedUpstream) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="us.text-v1:0", messages=MESSAGES, temperature=0.3, seed=7
    )
    received = provider.requests[-1]
    assert received.path == "/eu-west-3/model/us.text-v1%3A0/converse"
    assert received.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert "/eu-west-3/bedrock/aws4_request" in received.headers["authorization"]
    assert received.headers["x-amz-security-token"] == "t0ken"
    assert received.body == {
        "messages": [{"role": "user", "content": [{"text": "How many?"}]}],
        "inferenceConfig": {"temperature": 0.3},
    }
    assert raw.parse().choices[0].message.content == "Four score\u2028 and s\u00e9ven \U0001f600."
    assert raw.headers["x-tollgate-dropped-params"] == "seed"


def test_bedrock_api_key_is_a_bearer_token(client: OpenAI, provider: ScriptedUpstream) -> None:
    client.chat.completions.create(model="by-key", messages=MESSAGES)
    received = provider.requests[-1]
    assert (received.path, received.headers["authorization"]) == (
        "/model/us.text-v1%3A0/converse",
        "Bearer bedrock-api-key",
    )


def test_text_is_streamed_with_its_usage(client: OpenAI, provider: ScriptedUpstream) -> None:
    chunks = [
        *client.chat.completions.create(
            model="us.text-stream-v1:0", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
    ]
    assert provider.requests[-1].path.endswith("/converse-stream")
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == (
        "Four score\u2028 and s\u00e9ven \U0001f600."
    )
    assert chunks[-1].usage is not None
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (11, 9)


def test_tool_calls_and_results_round_trip(client: OpenAI, provider: ScriptedUpstream) -> None:
    whole = client.chat.completions.create(model="tools", messages=MESSAGES, tools=TOOLS).choices[0]
    with client.chat.completions.stream(model="tools-stream", messages=MESSAGES, tools=TOOLS) as stream:
        streamed = stream.get_final_completion().choices[0]
    assert whole.finish_reason == streamed.finish_reason == "tool_calls"
    calls = streamed.message.tool_calls or []
    assert [call.id for call in whole.message.tool_calls or []] == [call.id for call in calls]
    results: list[Any] = [{"role": "tool", "tool_call_id": call.id, "content": "7"} for call in calls]
    assistant: Any = streamed.message.model_dump(exclude_none=True, include={"role", "content", "tool_calls"})
    client.chat.completions.create(model="us.text-v1:0", messages=[*MESSAGES, assistant, *results], tools=TOOLS)
    sent = provider.requests[-1].body["messages"]
    uses = [block["toolUse"] for block in sent[1]["content"][1:]]
    assert [use["toolUseId"] for use in uses] == [call.id for call in calls]
    assert uses[0]["input"] == {"location": "Z\u00fcrich, CH", "days": 3}
    assert [block["toolResult"]["toolUseId"] for block in sent[2]["content"]] == [call.id for call in calls]


@pytest.mark.parametrize(("model", "stream"), [("error-first", True), ("throttled", True), ("throttled", False)])
def test_throttling_before_the_first_chunk_is_a_429(client: OpenAI, model: str, stream: bool) -> None:
    with pytest.raises(RateLimitError, match="please wait before trying again"):
        client.chat.completions.create(model=model, messages=MESSAGES, stream=stream)


def test_denied_credential_is_a_502_without_the_account_id(client: OpenAI) -> None:
    with pytest.raises(APIStatusError) as raised:
        client.chat.completions.create(model="denied", messages=MESSAGES)
    assert (raised.value.status_code, raised.value.code) == (502, "upstream_auth")
    assert "123456789012" not in str(raised.value)


def test_too_long_prompt_has_the_code_of_openai(client: OpenAI) -> None:
    with pytest.raises(BadRequestError) as raised:
        client.chat.completions.create(model="too-long", messages=MESSAGES)
    assert raised.value.code == "context_length_exceeded"


@pytest.mark.parametrize(("model", "message"), [("truncated", "cut"), ("error-midstream", "The model stopped")])
def test_broken_stream_has_no_finish_reason(client: OpenAI, model: str, message: str) -> None:
    chunks = client.chat.completions.create(model=model, messages=MESSAGES, stream=True)
    reasons: list[Any] = []
    with pytest.raises(APIError, match=message):
        reasons.extend(choice.finish_reason for chunk in chunks for choice in chunk.choices)
    assert set(reasons) == {None}
