"""`POST /v1/responses` end to end: the official OpenAI client, the gateway, and bytes of providers of each family."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import APIError, BadRequestError, OpenAI
from openai.types.responses import Response, ResponseReasoningItem

from support.running_gateway import RunningGateway
from support.scripted_gateway import scripted_gateway
from support.upstream import Script, ScriptedUpstream

FIXTURES = Path(__file__).parents[1] / "fixtures"
SSE = {"content-type": "text/event-stream"}
FILES = {
    "native": "openai_responses/response",
    "claude-tools": "anthropic/tools",
    "claude-thinking": "anthropic/thinking",
    "gpt-tools": "openai/openai_tools",
    "gpt-text": "openai/openai_text",
    "deepseek": "openai/deepseek_thinking",
    "gemini-tools": "gemini/tools",
}
FAMILIES = {"native": "openai", "claude": "anthropic", "gpt": "openai", "deepseek": "openai", "gemini": "gemini"}
PARAMETERS: Any = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS: list[Any] = [
    {"type": "function", "name": name, "parameters": PARAMETERS, "strict": False}
    for name in ("get_weather", "get_time")
]


def chat_stream(*calls: tuple[str, str]) -> Script:
    """A stream of Chat Completions with these calls: names and arguments."""
    entries = [
        {"index": index, "id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for index, (name, arguments) in enumerate(calls)
    ]
    deltas: list[Any] = [
        {"delta": {"role": "assistant", "tool_calls": entries}},
        {"delta": {}, "finish_reason": "tool_calls"},
    ]
    chunks: list[Any] = [{"choices": [{"index": 0, **delta}]} for delta in deltas]
    usage: Any = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 3}}
    events = [f"data: {json.dumps(chunk)}\n\n" for chunk in (*chunks, usage)]
    return Script(["".join((*events, "data: [DONE]\n\n")).encode()], 200, SSE)


def scripts() -> dict[str, Script]:
    """A whole response of each file under its name, and a stream under its name with `-stream`."""
    found: dict[str, Script] = {}
    for name, file in FILES.items():
        found[name] = Script([(FIXTURES / f"{file}.json").read_bytes()])
        found[f"{name}-stream"] = Script([(FIXTURES / f"{file}.sse").read_bytes()], 200, SSE)
    cut = {"claude": "anthropic/truncated", "gpt": "openai/truncated", "native": "openai_responses/cut"}
    for name, file in cut.items():
        found[f"{name}-cut-stream"] = Script([(FIXTURES / f"{file}.sse").read_bytes()], 200, SSE)
    found["native-failed-stream"] = Script([(FIXTURES / "openai_responses/failed.sse").read_bytes()], 200, SSE)
    found["gpt-patch-stream"] = chat_stream(("apply_patch", '{"input": "*** Begin"}'), ("agents__close", "{}"))
    return found


def overlay(url: str) -> str:
    providers = (
        f'[providers.{name}]\nfamily = "{family}"\nbase_url = "{url}/v1"\nauth = "none"\n'
        f"quirks = {{ responses = {str(name == 'native').lower()} }}\n"
        for name, family in FAMILIES.items()
    )
    models = (
        f'[models."{name}"]\ncreated = 2026-01-01\nowned_by = "tests"\ncontext_length = 100000\n'
        f'routes = [{{ provider = "{name.partition("-")[0]}", model = "{name}" }}]\n'
        for name in scripts()
    )
    return "".join((*providers, *models))


provider, gateway = scripted_gateway(scripts(), overlay)


def streamed(client: OpenAI, model: str, **fields: Any) -> Response:
    """The final response of a stream, read by the client's own helper, which checks the order of the events."""
    with client.responses.stream(model=model, input="How many?", **fields) as stream:
        numbers = [event.sequence_number for event in stream]
        assert numbers == list(range(len(numbers)))
        return stream.get_final_response()


def calls_of(response: Response) -> list[tuple[str, Any]]:
    return [(item.name, json.loads(item.arguments)) for item in response.output if item.type == "function_call"]


@pytest.mark.parametrize("model", ["native", "claude-tools", "gpt-tools", "gemini-tools"])
def test_response_is_the_same_whole_and_streamed(client: OpenAI, model: str) -> None:
    whole = client.responses.create(model=model, input="How many?", tools=TOOLS)
    other = streamed(client, f"{model}-stream", tools=TOOLS)
    assert calls_of(whole) == calls_of(other) != []
    assert whole.status == other.status == "completed"
    assert (whole.model, other.model) == (model, f"{model}-stream")
    assert whole.usage is not None
    assert other.usage is not None
    assert whole.usage.input_tokens == other.usage.input_tokens > 0
    assert [item.type for item in whole.output] == [item.type for item in other.output]


def test_native_request_keeps_what_only_responses_has(
    client: OpenAI, provider: ScriptedUpstream, gateway: RunningGateway
) -> None:
    search: Any = {"type": "web_search"}
    foreign: Any = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "tollgate.anthropic.e30="}
    own: list[Any] = [
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gAAAAA"},
        {"type": "item_reference", "id": "msg_1"},
        {"type": "mcp_approval_response", "id": "mcpr_1", "approval_request_id": "mcpr_0", "approve": True},
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        {"type": "message", "id": "msg_68d0", "role": "assistant", "content": []},
    ]
    raw = client.responses.with_raw_response.create(
        model="native",
        input=[foreign, *own, {"role": "user", "content": "x"}],
        tools=[search],
        store=True,
        extra_body={"client_metadata": {"a": "b"}},
    )
    received = provider.requests[-1]
    assert received.path == "/v1/responses"
    assert received.body["tools"] == [search]
    assert received.body["input"] == [*own, {"role": "user", "content": "x"}]
    assert received.body["store"] is False
    assert "client_metadata" not in received.body
    assert raw.parse().to_dict()["store"] is False
    record = gateway.settled(raw.headers["x-request-id"])
    assert (record["input_tokens"], record["output_tokens"], record["cached_tokens"]) == (37, 21, 16)


def test_reasoning_of_another_family_comes_back_to_it(client: OpenAI, provider: ScriptedUpstream) -> None:
    answer = streamed(client, "deepseek-stream")
    (reasoning,) = [item for item in answer.output if isinstance(item, ResponseReasoningItem)]
    assert (reasoning.encrypted_content or "").startswith("tollgate.openai.")
    history: Any = [item.model_dump(exclude_none=True) for item in answer.output]
    client.responses.create(model="deepseek", input=[*history, {"role": "user", "content": "and?"}])
    assert provider.requests[-1].body["messages"][0]["reasoning_content"] == reasoning.summary[0].text


def test_provider_of_responses_gets_no_id_that_the_gateway_made(client: OpenAI, provider: ScriptedUpstream) -> None:
    answer = streamed(client, "gpt-tools-stream", tools=TOOLS)
    history: Any = [item.model_dump(exclude_none=True) for item in answer.output]
    outputs: list[Any] = [
        {"type": "function_call_output", "call_id": item["call_id"], "output": "9"} for item in history
    ]
    client.responses.create(model="native", input=[*history, *outputs])
    assert history
    assert all("id" in item for item in history)
    assert not any("id" in item for item in provider.requests[-1].body["input"])


def test_claude_gets_its_signed_thinking_back(client: OpenAI, provider: ScriptedUpstream) -> None:
    thinking: Any = {"effort": "high", "summary": "auto"}
    answer = streamed(client, "claude-thinking-stream", reasoning=thinking)
    history: Any = [item.model_dump(exclude_none=True) for item in answer.output]
    history = [{"role": "user", "content": "one"}, *history, {"role": "user", "content": "two"}]
    client.responses.create(model="claude-thinking", input=history)
    sent = json.dumps(provider.requests[-1].body)
    assert "tollgate." not in sent


def test_request_is_translated_for_a_chat_model(client: OpenAI, provider: ScriptedUpstream) -> None:
    items: Any = [
        {
            "type": "message",
            "role": "developer",
            "content": [{"type": "input_text", "text": "Be brief."}],
            "id": "msg_1",
        },
        {
            "role": "user",
            "content": [{"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "original"}],
        },
        {"type": "function_call", "call_id": "call_1", "name": "get_time", "arguments": "{}", "id": "fc_1"},
        {"type": "custom_tool_call", "call_id": "call_2", "name": "apply_patch", "input": "*** Begin"},
        {"type": "function_call_output", "call_id": "call_1", "output": "9"},
        {"type": "custom_tool_call_output", "call_id": "call_2", "output": [{"type": "input_text", "text": "ok"}]},
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
    ]
    tools: Any = [
        *TOOLS,
        {
            "type": "custom",
            "name": "apply_patch",
            "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"},
        },
        {"type": "namespace", "name": "agents", "description": "d", "tools": [{"type": "function", "name": "close"}]},
        {"type": "web_search"},
    ]
    schema: Any = {"format": {"type": "json_schema", "name": "out", "schema": {"type": "object"}, "strict": False}}
    raw = client.responses.with_raw_response.create(
        model="gpt-text", instructions="You are a clerk.", input=items, tools=tools, text=schema, max_output_tokens=99,
        reasoning={"effort": None, "summary": "auto"}, truncation="auto",
    )  # fmt: skip
    sent = provider.requests[-1].body
    roles = [message["role"] for message in sent["messages"]]
    assert roles == ["system", "system", "user", "assistant", "tool", "tool"]
    assert sent["messages"][2]["content"][0]["image_url"]["detail"] == "high"
    calls = [call["function"] for call in sent["messages"][3]["tool_calls"]]
    assert calls[1] == {"name": "apply_patch", "arguments": '{"input": "*** Begin"}'}
    names = [tool["function"]["name"] for tool in sent["tools"]]
    assert names == ["get_weather", "get_time", "apply_patch", "agents__close"]
    assert sent["response_format"]["json_schema"]["name"] == "out"
    assert sent["max_tokens"] == 99
    dropped = raw.headers["x-tollgate-dropped-params"].split(", ")
    assert {"truncation", "web_search", "web_search_call"} <= set(dropped)
    assert raw.parse().instructions == "You are a clerk."


def test_custom_tools_and_namespaces_come_back_as_they_were_declared(client: OpenAI) -> None:
    tools: Any = [
        {"type": "custom", "name": "apply_patch"},
        {"type": "namespace", "name": "agents", "tools": [{"type": "function", "name": "close"}]},
    ]
    answer = streamed(client, "gpt-patch-stream", tools=tools)
    custom, function = answer.output
    assert (custom.type, custom.to_dict()["name"], custom.to_dict()["input"]) == (
        "custom_tool_call",
        "apply_patch",
        "*** Begin",
    )
    assert (function.to_dict()["name"], function.to_dict()["namespace"]) == ("close", "agents")


@pytest.mark.parametrize("model", ["claude-cut-stream", "gpt-cut-stream", "native-cut-stream", "native-failed-stream"])
def test_stream_that_fails_ends_in_an_error_and_response_failed(
    gateway: RunningGateway, client: OpenAI, model: str
) -> None:
    headers = {"authorization": f"Bearer {gateway.api_key}"}
    body = {"model": model, "input": "x", "stream": True}
    response = httpx.post(f"{gateway.base_url}/responses", headers=headers, json=body, timeout=30)
    events = [json.loads(block.partition("data: ")[2]) for block in response.text.split("\n\n") if block]
    assert [event["type"] for event in events[-2:]] == ["error", "response.failed"]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[-1]["response"]["error"]["code"] == "server_error"
    with pytest.raises(APIError):
        list(client.responses.create(model=model, input="x", stream=True))


def test_websocket_is_refused_by_426(gateway: RunningGateway) -> None:
    headers = {
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "eA==",
    }
    response = httpx.get(f"{gateway.base_url}/responses", headers=headers)
    assert response.status_code == 426
    assert response.json()["error"]["code"] == "upgrade_required"


BAD_FIELDS: list[tuple[dict[str, Any], str]] = [
    ({"input": None}, "input"),
    ({"input": []}, "input"),
    ({"input": [5]}, "input[0]"),
    ({"input": [{"type": "magic"}]}, "input[0].type"),
    ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role"),
    ({"input": [{"role": "user", "content": [{"type": "video"}]}]}, "input[0].content[0].type"),
    ({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]}, "input[0].content[0].file_id"),
    ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0].type"),
    ({"input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]}, "input[0].call_id"),
    ({"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}]}, "input"),
    ({"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]}, "input[0].call_id"),
    ({"previous_response_id": "resp_1"}, "previous_response_id"),
    ({"conversation": "conv_1"}, "conversation"),
    ({"background": True}, "background"),
    ({"tools": [{"type": "code_interpreter"}]}, "tools[0].type"),
    ({"tools": [{"type": "function"}]}, "tools[0].name"),
    ({"tools": TOOLS, "tool_choice": {"type": "mcp"}}, "tool_choice.type"),
    ({"reasoning": {"effort": "huge"}}, "reasoning.effort"),
    ({"text": {"format": {"type": "xml"}}}, "text.format"),
    ({"max_output_tokens": 0}, "max_output_tokens"),
    ({"temperature": "warm"}, "temperature"),
]


@pytest.mark.parametrize(("fields", "param"), BAD_FIELDS)
def test_bad_field_is_named(client: OpenAI, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequestError) as raised:
        client.post("/responses", body={"model": "gpt-text", "input": "x", **fields}, cast_to=object)
    assert raised.value.param == param
