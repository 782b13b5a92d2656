"""`POST /v1/messages` end to end: the official Anthropic client, the gateway, and bytes of providers of each family."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from anthropic import (
    Anthropic,
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    PermissionDeniedError,
)
from anthropic.types import Message

from support.running_gateway import RunningGateway
from support.scripted_gateway import scripted_gateway
from support.upstream import Script, ScriptedUpstream

FIXTURES = Path(__file__).parents[1] / "fixtures"
SSE = {"content-type": "text/event-stream"}
FILES = {
    "claude-tools": "anthropic/tools",
    "claude-thinking": "anthropic/thinking",
    "claude-search": "anthropic/text",
    "gpt-tools": "openai/openai_tools",
    "deepseek": "openai/deepseek_thinking",
    "gemini-tools": "gemini/tools",
}
FAMILIES = {"claude": "anthropic", "gpt": "openai", "deepseek": "openai", "gemini": "gemini"}
USER: list[Any] = [{"role": "user", "content": "How many?"}]
SCHEMA: Any = {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "properties": {}}
TOOLS: list[Any] = [{"name": name, "input_schema": SCHEMA} for name in ("get_weather", "get_time")]


def scripts() -> dict[str, Script]:
    """A whole response of each file under its name, and a stream under its name with `-stream`."""
    found = {name: Script([(FIXTURES / f"{file}.json").read_bytes()]) for name, file in FILES.items()}
    streams = {
        f"{name}-stream": Script([(FIXTURES / f"{file}.sse").read_bytes()], 200, SSE) for name, file in FILES.items()
    }
    return {
        **found,
        **streams,
        "claude-count": Script([b'{"input_tokens": 77}']),
        "claude-no-count": Script([b'{"usage": {}}']),
        "claude-limit": Script([(FIXTURES / "anthropic/error_rate_limit.json").read_bytes()], 429),
        "claude-cut-stream": Script([(FIXTURES / "anthropic/truncated.sse").read_bytes()], 200, SSE),
        "gpt-cut-stream": Script([(FIXTURES / "openai/truncated.sse").read_bytes()], 200, SSE),
        "gpt-long": Script(
            [b'{"error":{"message":"maximum context length is 9","code":"context_length_exceeded"}}'], 400
        ),
    }


def overlay(url: str) -> str:
    providers = (
        f'[providers.{name}]\nfamily = "{family}"\nbase_url = "{url}/v1"\nauth = "none"\n'
        for name, family in FAMILIES.items()
    )
    models = (
        f'[models."{name}"]\ncreated = 2026-01-01\nowned_by = "tests"\ncontext_length = 100000\n'
        f'routes = [{{ provider = "{name.partition("-")[0]}", model = "{name}" }}]\n'
        for name in scripts()
    )
    return "".join((*providers, *models))


provider, gateway = scripted_gateway(scripts(), overlay)


@pytest.fixture
def client_of_messages(gateway: RunningGateway) -> Iterator[Anthropic]:
    base_url = gateway.base_url.removesuffix("/v1")
    with Anthropic(api_key=gateway.api_key, base_url=base_url, max_retries=0) as client:
        yield client


def streamed(client: Anthropic, model: str, **fields: Any) -> Message:
    with client.messages.stream(model=model, max_tokens=100, messages=USER, **fields) as stream:
        return stream.get_final_message()


@pytest.mark.parametrize("model", ["claude-tools", "gpt-tools", "gemini-tools"])
def test_tool_calls_are_the_same_whole_and_streamed(client_of_messages: Anthropic, model: str) -> None:
    whole = client_of_messages.messages.create(model=model, max_tokens=100, messages=USER, tools=TOOLS)
    other = streamed(client_of_messages, f"{model}-stream", tools=TOOLS)
    calls = [block for block in whole.content if block.type == "tool_use"]
    others = [block for block in other.content if block.type == "tool_use"]
    assert calls
    assert [(call.name, call.input) for call in calls] == [(call.name, call.input) for call in others]
    assert whole.stop_reason == other.stop_reason == "tool_use"
    assert (whole.model, other.model) == (model, f"{model}-stream")
    assert whole.usage.input_tokens == other.usage.input_tokens > 0
    assert whole.usage.output_tokens == other.usage.output_tokens > 0


def test_native_request_keeps_what_only_anthropic_reads(
    client_of_messages: Anthropic, provider: ScriptedUpstream, gateway: RunningGateway
) -> None:
    search: Any = {"type": "web_search_20250305", "name": "web_search"}
    raw = client_of_messages.beta.messages.with_raw_response.create(
        model="claude-search", max_tokens=100, messages=USER, tools=[search], betas=["context-management-2025-06-27"]
    )
    received = provider.requests[-1]
    assert received.path == "/v1/messages"
    assert received.headers["anthropic-beta"] == "context-management-2025-06-27"
    assert received.body["tools"] == [search]
    assert raw.headers["request-id"] == raw.headers["x-request-id"]
    record = gateway.settled(raw.headers["x-request-id"])
    assert record["input_tokens"] > 0


def test_tool_that_only_anthropic_runs_is_refused_elsewhere_by_name(client_of_messages: Anthropic) -> None:
    search: Any = {"type": "web_search_20250305", "name": "web_search"}
    with pytest.raises(BadRequestError, match="web_search_20250305") as raised:
        client_of_messages.messages.create(model="gpt-tools", max_tokens=100, messages=USER, tools=[search])
    body: Any = raised.value.body
    assert body["error"]["type"] == "invalid_request_error"


def test_thinking_and_its_signature_are_passed_on(client_of_messages: Anthropic) -> None:
    whole = client_of_messages.messages.create(model="claude-thinking", max_tokens=100, messages=USER)
    other = streamed(client_of_messages, "claude-thinking-stream")
    thinking = [block for block in other.content if block.type == "thinking"]
    assert thinking[0].signature
    assert [block.type for block in whole.content] == [block.type for block in other.content]


def test_reasoning_of_another_family_comes_back_to_it(
    client_of_messages: Anthropic, provider: ScriptedUpstream
) -> None:
    answer = streamed(client_of_messages, "deepseek-stream")
    thinking = answer.content[0]
    assert thinking.type == "thinking"
    assert thinking.signature.startswith("tollgate.openai.")
    history: Any = [*USER, {"role": "assistant", "content": [b.model_dump() for b in answer.content]}, *USER]
    client_of_messages.messages.create(model="deepseek", max_tokens=100, messages=history)
    assert provider.requests[-1].body["messages"][1]["reasoning_content"] == thinking.thinking
    client_of_messages.messages.create(model="claude-tools", max_tokens=100, messages=history)
    blocks = provider.requests[-1].body["messages"][1]["content"]
    assert [block["type"] for block in blocks] == ["text"]


def test_request_is_translated_for_another_family(client_of_messages: Anthropic, provider: ScriptedUpstream) -> None:
    messages: Any = [
        {"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}]},
        {"role": "system", "content": "Be brief."},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "toolu_1", "name": "get_time", "input": {"a": 1}}],
        },
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "and"},
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "content": [{"type": "text", "text": "9"}],
                    "is_error": True,
                },
            ],
        },
    ]
    system: Any = [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=1;"},
        {"type": "text", "text": "You are a clerk."},
    ]
    raw = client_of_messages.messages.with_raw_response.create(
        model="gpt-tools",
        max_tokens=100,
        system=system,
        messages=messages,
        tools=TOOLS,
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
        stop_sequences=["END"],
        metadata={"user_id": "u" * 150},
        extra_body={"context_management": {"edits": []}},
    )
    sent = provider.requests[-1].body
    assert [message["role"] for message in sent["messages"]] == [
        "system",
        "user",
        "system",
        "assistant",
        "tool",
        "user",
    ]
    assert sent["messages"][0]["content"] == "You are a clerk."
    assert sent["messages"][3]["tool_calls"][0]["function"] == {"name": "get_time", "arguments": '{"a": 1}'}
    assert "failed" in json.dumps(sent["messages"][4]["content"])
    assert (sent["tool_choice"], sent["parallel_tool_calls"], sent["stop"]) == ("required", False, ["END"])
    assert "$schema" not in sent["tools"][0]["function"]["parameters"]
    assert len(sent["user"]) == 64
    assert "context_management" in raw.headers["x-tollgate-dropped-params"]


@pytest.mark.parametrize("model", ["claude-cut-stream", "gpt-cut-stream"])
def test_stream_that_breaks_off_ends_in_an_error_event(gateway: RunningGateway, model: str) -> None:
    headers = {"x-api-key": gateway.api_key}
    body = {"model": model, "max_tokens": 100, "messages": USER, "stream": True}
    response = httpx.post(f"{gateway.base_url}/messages?beta=true", headers=headers, json=body, timeout=30)
    assert response.status_code == 200
    events = [block for block in response.text.split("\n\n") if block]
    assert events[-1].startswith("event: error\n")
    assert json.loads(events[-1].partition("data: ")[2])["error"]["type"] == "api_error"
    assert "message_stop" not in response.text


def test_wrong_key_is_not_retried(gateway: RunningGateway) -> None:
    base_url = gateway.base_url.removesuffix("/v1")
    wrong = gateway.api_key[:-1] + ("0" if gateway.api_key[-1] != "0" else "1")
    with Anthropic(api_key=wrong, base_url=base_url) as client, pytest.raises(AuthenticationError) as raised:
        client.messages.create(model="gpt-tools", max_tokens=1, messages=USER)
    assert raised.value.response.headers["x-should-retry"] == "false"
    body: Any = raised.value.body
    assert body["error"]["type"] == "authentication_error"


def test_limit_of_the_provider_says_how_long_to_wait(client_of_messages: Anthropic) -> None:
    with pytest.raises(APIStatusError) as raised:
        client_of_messages.messages.create(model="claude-limit", max_tokens=1, messages=USER)
    assert raised.value.status_code == 429
    assert int(raised.value.response.headers["retry-after"]) > 0


def test_prompt_that_is_too_long_is_said_in_anthropics_words(client_of_messages: Anthropic) -> None:
    with pytest.raises(BadRequestError, match="prompt is too long"):
        client_of_messages.messages.create(model="gpt-long", max_tokens=1, messages=USER)


BAD_FIELDS: list[tuple[dict[str, Any], str]] = [
    ({"max_tokens": None}, "max_tokens"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0]"),
    (
        {"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]},
        "messages[0].content[0].source",
    ),
    ({"messages": [{"role": "assistant", "content": [{"type": "tool_use"}]}]}, "messages[0].content[0].id"),
    ({"tools": [{"name": "a"}]}, "tools[0].input_schema"),
    ({"tools": TOOLS, "tool_choice": {"type": "tool"}}, "tool_choice.name"),
    ({"tool_choice": {"type": "some"}, "tools": TOOLS}, "tool_choice.type"),
    ({"thinking": {"type": "on"}}, "thinking.type"),
    ({"temperature": 2}, "temperature"),
    ({"system": 5}, "system"),
]


@pytest.mark.parametrize(("fields", "param"), BAD_FIELDS)
def test_bad_field_is_named_in_anthropics_envelope(gateway: RunningGateway, fields: dict[str, Any], param: str) -> None:
    body = {"model": "gpt-tools", "max_tokens": 100, "messages": USER, **fields}
    headers = {"authorization": f"Bearer {gateway.api_key}"}
    response = httpx.post(f"{gateway.base_url}/messages", headers=headers, json=body, timeout=30)
    assert response.status_code == 400
    error = response.json()
    assert (error["type"], error["error"]["type"]) == ("error", "invalid_request_error")
    assert param in error["error"]["message"]


def test_tokens_are_counted_by_anthropic(
    client_of_messages: Anthropic, provider: ScriptedUpstream, gateway: RunningGateway
) -> None:
    raw = client_of_messages.messages.with_raw_response.count_tokens(
        model="claude-count", messages=USER, system="s", extra_body={"max_tokens": 9}
    )
    assert provider.requests[-1].path == "/v1/messages/count_tokens"
    assert provider.requests[-1].body == {"model": "claude-count", "messages": USER, "system": "s"}
    assert raw.parse().input_tokens == 77
    assert "x-tollgate-estimated" not in raw.headers
    assert gateway.log_of(raw.headers["x-request-id"])["status"] == 200


def test_response_without_a_count_is_a_failure_of_the_provider(client_of_messages: Anthropic) -> None:
    with pytest.raises(APIStatusError, match="no count of tokens") as raised:
        client_of_messages.messages.count_tokens(model="claude-no-count", messages=USER)
    assert raised.value.status_code == 502


def test_tokens_of_other_families_are_estimated_outside_the_limits(
    gateway: RunningGateway, provider: ScriptedUpstream
) -> None:
    received = len(provider.requests)
    key = gateway.key("--rpm", "1")
    with Anthropic(api_key=key, base_url=gateway.base_url.removesuffix("/v1"), max_retries=0) as client:
        for _ in range(5):
            raw = client.messages.with_raw_response.count_tokens(model="gpt-tools", messages=USER, tools=TOOLS)
            assert raw.parse().input_tokens > 10
            assert raw.headers["x-tollgate-estimated"] == "true"
    assert len(provider.requests) == received


def test_tokens_are_counted_for_a_key_that_may_use_the_model(gateway: RunningGateway) -> None:
    key = gateway.key("--models", "claude-*")
    with Anthropic(api_key=key, base_url=gateway.base_url.removesuffix("/v1"), max_retries=0) as client:
        with pytest.raises(PermissionDeniedError):
            client.messages.count_tokens(model="gpt-tools", messages=USER)
        with pytest.raises(NotFoundError):
            client.messages.count_tokens(model="claude-unknown", messages=USER)
