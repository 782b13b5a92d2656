"""What a family needs to see again survives a client that gives back OpenAI's standard fields alone."""

import json
from typing import Any

import pytest

from adapters import carried
from gateway.types import Json
from support.families import ALL, read, request, route
from support.folding import fold

ASK: Json = {"role": "user", "content": "Hi"}


def echoed(message: Json) -> Json:
    """An assistant's message as a client of OpenAI's keeps it."""
    calls = [{name: call[name] for name in ("id", "type", "function")} for call in message["tool_calls"]]
    return {"role": "assistant", "content": message["content"], "tool_calls": calls}


def next_turn(family: str, message: Json) -> Json:
    """The body of the request that gives the results of the calls back, to a model that thinks as it sees fit."""
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "7"} for call in message["tool_calls"]]
    tools = [{"type": "function", "function": {"name": call["function"]["name"]}} for call in message["tool_calls"]]
    given = request(messages=[ASK, echoed(message), *results], tools=tools)
    asked = ALL[family].adapter.build_request(given, route(family, thinking="adaptive"))
    assert asked.dropped == ()
    return json.loads(asked.body)


@pytest.mark.parametrize("family", ["anthropic", "bedrock"])
def test_thinking_comes_back_with_the_call_it_led_to(family: str) -> None:
    whole = ALL[family].parse("thinking_tool").choices[0]["message"]
    (streamed,) = fold(read(ALL[family].open("thinking_tool"), ALL[family].stream("thinking_tool")))
    for message in (whole, streamed["message"]):
        _, said, results = next_turn(family, message)["messages"]
        kept = next_turn(family, {**message, "content": None})["messages"][1]["content"]
        blocks = json.loads(ALL[family].whole("thinking_tool"))
        native = blocks["content"] if family == "anthropic" else blocks["output"]["message"]["content"]
        thought = [block for block in native if "thinking" in block or "data" in block or "reasoningContent" in block]
        assert thought
        assert said["content"][: len(thought)] == thought == kept[: len(thought)]
        assert "sig" not in json.dumps(results)


@pytest.mark.parametrize("text", ["", "x", "AAAA", "eJw=", "é"])
def test_what_carries_nothing_of_ours_is_nothing(text: str) -> None:
    call: Any = {"id": carried.carry("call_1", text) if text.isascii() else text, "type": "function"}
    assert carried.details_of({"tool_calls": [call]}) == []


def test_unsigned_thinking_is_not_carried() -> None:
    trail = carried.Trail()
    trail.details.append({"type": "reasoning.text", "text": "x", "signature": None})
    assert trail.call({"id": "call_1"}) == {"id": "call_1"}


def test_other_providers_get_the_bare_id() -> None:
    call = {
        "id": carried.carry("call_1", "c2ln" * 100),
        "type": "function",
        "function": {"name": "f", "arguments": "{}"},
    }
    messages = [ASK, {"role": "assistant", "tool_calls": [call]}]
    messages.append({"role": "tool", "tool_call_id": call["id"], "content": "7"})
    body = json.loads(ALL["openai"].adapter.build_request(request(messages=messages), route("openai")).body)
    assert body["messages"][1]["tool_calls"][0]["id"] == body["messages"][2]["tool_call_id"] == "call_1"


def test_id_longer_than_servers_take_is_shortened_the_same_both_times() -> None:
    call = {"id": "c" * 100, "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [ASK, {"role": "assistant", "tool_calls": [call]}]
    messages.append({"role": "tool", "tool_call_id": call["id"], "content": "7"})
    body = json.loads(ALL["openai"].adapter.build_request(request(messages=messages), route("openai")).body)
    assert body["messages"][1]["tool_calls"][0]["id"] == body["messages"][2]["tool_call_id"]
    assert len(body["messages"][2]["tool_call_id"]) == 40
