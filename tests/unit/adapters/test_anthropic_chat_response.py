"""Whole responses of the Messages API."""

import json
from typing import Any

import pytest

from support.families import read, request
from support.folding import fold
from tollgate.adapters import anthropic
from tollgate.gateway.chat import Completion
from tollgate.gateway.types import Json, Usage
from unit.adapters.anthropic_responses import ANTHROPIC, PLAIN, ROUTE, START, STOP, events, stream


def whole(name: str) -> Completion:
    return ANTHROPIC.parse(name)


def message(name: str) -> Json:
    (choice,) = whole(name).choices
    return choice["message"]


def finish(name: str) -> str:
    return whole(name).choices[0]["finish_reason"]


def answer(*blocks: Json, stop: str | None = "end_turn", **more: Any) -> Completion:
    body = {"type": "message", "content": [*blocks], "stop_reason": stop, **more}
    return anthropic.ChatCall(PLAIN, ROUTE).parse_response(json.dumps(body).encode())


# --- content ----------------------------------------------------------------------------------------------------------


def test_text_is_content() -> None:
    assert message("text") == {
        "role": "assistant",
        "content": "Four score\u2028 and s\u00e9ven \U0001f600.",
        "refusal": None,
    }


def test_tools_are_called_in_order_beside_the_text() -> None:
    content = message("tools")
    assert content["content"] == "I'll look both up."
    assert [(call["id"], call["function"]["name"]) for call in content["tool_calls"]] == [
        ("toolu_01T1x1fJ34qAmk2tNTrN7Up6", "get_weather"),
        ("toolu_01GvXo2wYuNzQ8f6mA2pRkLd", "get_time"),
    ]
    assert json.loads(content["tool_calls"][0]["function"]["arguments"]) == {"location": "Z\u00fcrich, CH", "days": 3}
    assert finish("tools") == "tool_calls"


def test_call_without_arguments_has_an_empty_object() -> None:
    assert message("tools")["tool_calls"][1]["function"]["arguments"] == "{}"
    fragments = [piece for chunk in stream("tools") for piece in chunk.choices[0]["delta"].get("tool_calls", [])]
    assert [piece["function"]["arguments"] for piece in fragments if piece["index"] == 1] == ["", "{}"]


def test_first_piece_of_a_call_has_its_name_and_no_arguments() -> None:
    first = next(chunk.choices[0]["delta"]["tool_calls"][0] for chunk in stream("tools")[3:])
    assert first == {
        "index": 0,
        "id": "toolu_01T1x1fJ34qAmk2tNTrN7Up6",
        "type": "function",
        "function": {"name": "get_weather", "arguments": ""},
    }


def test_calls_without_text_have_no_content() -> None:
    assert message("thinking_tool")["content"] is None


def test_tool_names_are_the_clients() -> None:
    tool: Json = {"type": "function", "function": {"name": "files.read/all"}}
    mine = request(tools=[tool])
    sent = json.loads(anthropic.ChatCall(mine, ROUTE).request.body)["tools"][0]["name"]
    assert sent != "files.read/all"
    block: Json = {"type": "tool_use", "id": "t", "name": sent, "input": {}}
    body = json.dumps({"content": [block], "stop_reason": "tool_use"}).encode()
    (choice,) = anthropic.ChatCall(mine, ROUTE).parse_response(body).choices
    assert choice["message"]["tool_calls"][0]["function"]["name"] == "files.read/all"
    opened = events(START, {"type": "content_block_start", "index": 0, "content_block": block})
    chunks = [*anthropic.ChatCall(mine, ROUTE).open_stream().feed(opened)]
    assert chunks[1].choices[0]["delta"]["tool_calls"][0]["function"]["name"] == "files.read/all"


def test_thinking_is_reasoning_with_its_signature() -> None:
    content = message("thinking")
    assert content["content"] == "No: 43 \u00d7 47."
    assert content["reasoning_content"] == "2021 is 43 times 47,\nso no."
    first, second = content["reasoning_details"]
    assert first["type"] == "reasoning.text"
    assert first["text"] == content["reasoning_content"]
    assert first["signature"].startswith("EqoBCkgIARAB")
    assert second["type"] == "reasoning.encrypted"
    assert second["data"].startswith("EmwKAhgB")
    assert {first["format"], second["format"]} == {"anthropic-claude-v1"}
    assert (first["index"], second["index"]) == (0, 1)


def test_hidden_thinking_keeps_its_signature() -> None:
    content = message("thinking_tool")
    assert "reasoning_content" not in content
    assert content["reasoning_details"][0]["signature"]


def test_refusal_is_a_content_filter_with_its_reason() -> None:
    assert finish("refusal") == "content_filter"
    assert message("refusal")["refusal"] == "This request was declined because it may enable cyber harm."


def test_json_by_tool_is_content() -> None:
    content = message("json_tool")
    assert json.loads(content["content"]) == {"name": "Ada", "age": 36}
    assert "tool_calls" not in content
    assert finish("json_tool") == "stop"


def test_unknown_types_are_skipped() -> None:
    assert message("unknown_kinds") == {"role": "assistant", "content": "Found.", "refusal": None}


def test_response_may_be_empty() -> None:
    assert message("empty")["content"] == ""
    assert finish("empty") == "stop"


FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "stop",
    "refusal": "content_filter",
    "sensitive": "content_filter",
    "brand_new": "brand_new",
    None: "stop",
}


@pytest.mark.parametrize(("native", "openai_value"), FINISH.items())
def test_stop_reason_is_openais_whole_and_streamed(native: str | None, openai_value: str) -> None:
    assert answer(stop=native).choices[0]["finish_reason"] == openai_value
    ended = {"type": "message_delta", "delta": {"stop_reason": native}}
    (choice,) = fold(read(anthropic.ChatCall(PLAIN, ROUTE).open_stream(), events(START, ended, STOP)))
    assert choice["finish_reason"] == openai_value


def test_call_truncated_by_the_length_is_not_complete() -> None:
    call: Json = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    assert answer(call, stop="max_tokens").choices[0]["finish_reason"] == "length"
    opened: Json = {"type": "content_block_start", "index": 0, "content_block": call}
    ended = {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}}
    chunks = read(anthropic.ChatCall(PLAIN, ROUTE).open_stream(), events(START, opened, ended, STOP))
    assert chunks[-1].choices[0]["finish_reason"] == "length"


# --- usage ------------------------------------------------------------------------------------------------------------


def test_input_includes_cache_reads_and_writes() -> None:
    assert whole("cached").usage == Usage(
        input_tokens=21 + 188086 + 456, output_tokens=5, cached_tokens=188086, cache_write_tokens=456
    )


def test_thinking_is_part_of_the_output() -> None:
    assert whole("thinking").usage == Usage(input_tokens=43, output_tokens=282, reasoning_tokens=240)


def test_counts_are_cumulative() -> None:
    usage: list[Json] = [{"output_tokens": 5}, {"output_tokens": 9, "input_tokens": 4, "cache_read_input_tokens": None}]
    steps = [{"type": "message_delta", "delta": {}, "usage": counts} for counts in usage]
    chunks = read(anthropic.ChatCall(PLAIN, ROUTE).open_stream(), events(START, *steps, STOP))
    assert [chunk.usage for chunk in chunks] == [Usage(input_tokens=3), Usage(input_tokens=4, output_tokens=9)]


def test_zero_counts_are_no_usage() -> None:
    assert answer().usage is None


@pytest.mark.parametrize(("native", "openai_value"), [("standard", "default"), ("priority", "priority")])
def test_service_tier_is_openais(native: str, openai_value: str) -> None:
    assert answer(usage={"service_tier": native}).extra == {"service_tier": openai_value}
