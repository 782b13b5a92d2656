"""Whole responses of Converse."""

import json
from typing import Any

import pytest

from support.aws_event_stream import encode
from support.families import read, request, route
from support.folding import fold
from tollgate.adapters import bedrock
from tollgate.gateway.chat import Chunk, Completion
from tollgate.gateway.errors import UpstreamError
from tollgate.gateway.types import Json, Usage
from unit.adapters.bedrock_responses import CALL, FAMILY, HELLO, PLAIN, ROUTE, START, USAGE, event, stream


def choice(name: str) -> Json:
    (only,) = FAMILY.parse(name).choices
    return only


def message(name: str) -> Json:
    return choice(name)["message"]


def chunks(name: str) -> list[Chunk]:
    return read(FAMILY.open(name), FAMILY.stream(name))


def answer(*blocks: Json, stop: str | None = "end_turn", **more: Any) -> Completion:
    body = {"output": {"message": {"role": "assistant", "content": [*blocks]}}, "stopReason": stop, **more}
    return bedrock.ChatCall(PLAIN, ROUTE).parse_response(json.dumps(body).encode())


# --- content ----------------------------------------------------------------------------------------------------------


def test_text_is_content() -> None:
    assert choice("text") == {
        "index": 0,
        "message": {"role": "assistant", "content": "Four score\u2028 and s\u00e9ven \U0001f600.", "refusal": None},
        "finish_reason": "stop",
        "native_finish_reason": "end_turn",
        "logprobs": None,
    }
    assert FAMILY.parse("text").extra == {"service_tier": "default"}


def test_tools_are_called_in_order_beside_the_text() -> None:
    content = message("tools")
    assert content["content"] == "I'll look both up."
    assert [(call["id"], call["function"]["name"]) for call in content["tool_calls"]] == [
        ("tooluse_kZJMlvQmRJ6eAyJE5GIl7Q", "get_weather"),
        ("tooluse_9sQ2nTfVRw2xm0ZkV0b3Xg", "get_time"),
    ]
    assert json.loads(content["tool_calls"][0]["function"]["arguments"]) == {"location": "Z\u00fcrich, CH", "days": 3}
    assert choice("tools")["finish_reason"] == "tool_calls"


def test_call_begins_with_its_name_and_empty_arguments_are_an_empty_object() -> None:
    pieces = [piece for chunk in chunks("tools") for piece in chunk.choices[0]["delta"].get("tool_calls", [])]
    assert pieces[0] == {
        "index": 0,
        "id": "tooluse_kZJMlvQmRJ6eAyJE5GIl7Q",
        "type": "function",
        "function": {"name": "get_weather", "arguments": ""},
    }
    assert [piece["function"]["arguments"] for piece in pieces if piece["index"] == 1] == ["", "{}"]


def test_tool_names_are_the_clients() -> None:
    mine = request(tools=[{"type": "function", "function": {"name": "files.read/all"}}])
    sent = json.loads(bedrock.ChatCall(mine, ROUTE).request.body)["toolConfig"]["tools"][0]["toolSpec"]["name"]
    use: Json = {"toolUseId": "t", "name": sent}
    block: Json = {"toolUse": {**use, "input": {}}}
    body = {"output": {"message": {"content": [block]}}, "stopReason": "tool_use"}
    (whole,) = bedrock.ChatCall(mine, ROUTE).parse_response(json.dumps(body).encode()).choices
    opened = event("contentBlockStart", contentBlockIndex=0, start={"toolUse": use})
    (chunk,) = bedrock.ChatCall(mine, ROUTE).open_stream().feed(encode([opened]))
    for content in (whole["message"], chunk.choices[0]["delta"]):
        assert content["tool_calls"][0]["function"]["name"] == "files.read/all"


def test_thinking_is_reasoning_with_its_signature() -> None:
    content = message("thinking")
    assert content["content"] == "No: 43 \u00d7 47."
    assert content["reasoning_content"] == "2021 is 43 times 47,\nso no."
    first, second = content["reasoning_details"]
    assert (first["type"], first["text"], first["index"]) == ("reasoning.text", content["reasoning_content"], 0)
    assert first["signature"].startswith("EqoBCkgIARAB")
    assert (second["type"], second["index"]) == ("reasoning.encrypted", 1)
    assert {first["format"], second["format"]} == {"anthropic-claude-v1"}


def test_thinking_is_sent_back_unchanged() -> None:
    content = message("thinking")
    turns = [{"role": "user", "content": "Hi"}, content, {"role": "user", "content": "Sure?"}]
    built = bedrock.ChatCall(request(messages=turns), route("bedrock", thinking="adaptive")).request
    came = json.loads(FAMILY.whole("thinking"))["output"]["message"]
    assert json.loads(built.body)["messages"][1] == {"role": "assistant", "content": came["content"]}


def test_hidden_thinking_keeps_its_signature_and_unsigned_has_no_details() -> None:
    assert "reasoning_content" not in message("thinking_tool")
    assert message("thinking_tool")["reasoning_details"][0]["signature"]
    assert message("reasoning")["reasoning_content"] == "It is a greeting.\n"
    assert "reasoning_details" not in message("reasoning")


def test_json_by_tool_is_content() -> None:
    content = message("json_tool")
    assert json.loads(content["content"]) == {"name": "Ada", "age": 36}
    assert "tool_calls" not in content
    assert choice("json_tool")["finish_reason"] == "stop"


def test_unknown_types_and_tools_of_the_provider_are_skipped() -> None:
    assert message("unknown_kinds") == {"role": "assistant", "content": "It is blue.", "refusal": None}


def test_response_may_be_empty() -> None:
    assert message("empty")["content"] == ""


FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "brand_new": "brand_new",
    None: "stop",
}


@pytest.mark.parametrize(("native", "openai_value"), FINISH.items())
def test_stop_reason_is_openais_whole_and_streamed(native: str | None, openai_value: str) -> None:
    assert answer({"text": "Hello"}, stop=native).choices[0]["finish_reason"] == openai_value
    (folded,) = fold(stream(START, HELLO, event("messageStop", stopReason=native), USAGE))
    assert folded["finish_reason"] == openai_value


@pytest.mark.parametrize("native", ["malformed_model_output", "malformed_tool_use"])
def test_malformed_response_is_an_error_with_any_finish_reason(native: str) -> None:
    for block in ({"text": "Hello"}, {}):
        with pytest.raises(UpstreamError, match="malformed"):
            answer(block, stop=native)
    with pytest.raises(UpstreamError, match="malformed"):
        stream(START, CALL, event("messageStop", stopReason=native), USAGE)


# --- usage ------------------------------------------------------------------------------------------------------------


def test_input_includes_cache_reads_and_writes() -> None:
    assert FAMILY.parse("cached").usage == Usage(
        input_tokens=21 + 188086 + 456, output_tokens=5, cached_tokens=188086, cache_write_tokens=456
    )


def test_zero_counts_are_no_usage() -> None:
    assert answer().usage is None
