"""Responses of every family through aimock: text, tools, JSON, images and stop sequences."""

import json
from typing import Any
from urllib.parse import unquote

import pytest
from openai import OpenAI

from support.aimock import CONTENT, FETCHED_FAMILIES, PERSON, TOOLS, USAGE, WEATHER, AimockServer
from support.aimock_requests import BOTH_MODES, EVERY_FAMILY, chat, user
from support.image_host import DATA_URL, ImageHost
from support.running_gateway import RunningGateway


@EVERY_FAMILY
@BOTH_MODES
def test_text_and_usage_are_returned(
    client: OpenAI, aimock: AimockServer, gateway: RunningGateway, family: str, stream: bool
) -> None:
    messages: list[Any] = [
        {"role": "system", "content": "You are a helpful assistant."},
        user("Hello"),
        {"role": "assistant", "content": "Hello!"},
        user("What is the capital of France?"),
    ]
    response = chat(client, family, messages, stream, temperature=0.7, max_tokens=1000)
    (choice,) = response.choices
    assert (choice.message.content, choice.finish_reason, response.model) == (CONTENT, "stop", family)
    usage = response.usage.model_dump()
    assert {name: usage[name] for name in USAGE} == USAGE
    record = gateway.settled(f"req_{response.id.removeprefix('chatcmpl-')}")
    assert (record["input_tokens"], record["output_tokens"], record["estimated"]) == (20, 8, 0)
    assert record["cost_micro_usd"] == 20 * 200 + 8 * 800

    last_request = aimock.last_request()
    assert last_request["messages"] == messages
    assert (last_request["temperature"], last_request["max_tokens"]) == (0.7, 1000)
    assert unquote(last_request["model"]) == f"eu.some-{family}-v1:0"


@EVERY_FAMILY
@BOTH_MODES
def test_truncated_response_has_the_finish_reason_length(client: Any, family: str, stream: bool) -> None:
    response = client.chat.completions.create(model=family, messages=[user("Tell me everything.")], stream=stream)
    choices = [choice for chunk in response for choice in chunk.choices] if stream else response.choices
    assert choices[-1].finish_reason == "length"


@EVERY_FAMILY
@BOTH_MODES
def test_tool_call_and_result_round_trip(client: OpenAI, aimock: AimockServer, family: str, stream: bool) -> None:
    question = user("What is the weather in Paris?")
    response = chat(client, family, [question], stream, tools=TOOLS, tool_choice="auto")
    (choice,) = response.choices
    assert choice.finish_reason == "tool_calls"
    assert not choice.message.content
    (called,) = choice.message.tool_calls
    assert (called.type, called.function.name) == ("function", "get_weather")
    assert json.loads(called.function.arguments) == WEATHER
    tool = aimock.last_request()["tools"][0]["function"]
    assert tool["name"] == "get_weather"
    assert tool["description"] == "Get current weather for a location"
    if family != "gemini":
        assert tool["parameters"]["properties"].keys() == {"location", "unit"}

    assistant = choice.message.model_dump(exclude_none=True, include={"role", "content", "tool_calls"})
    result = {"role": "tool", "tool_call_id": called.id, "content": "18 degrees"}
    final = chat(client, family, [question, assistant, result], stream, tools=TOOLS)
    assert final.choices[0].message.content == "It is 18 degrees."
    prompt, assistant_sent, results_sent = aimock.last_request()["messages"]
    assert prompt == question
    (sent,) = assistant_sent["tool_calls"]
    assert (sent["function"]["name"], json.loads(sent["function"]["arguments"])) == ("get_weather", WEATHER)
    assert results_sent["tool_call_id"] == sent["id"]
    assert "18 degrees" in results_sent["content"]


@EVERY_FAMILY
@BOTH_MODES
def test_text_and_parallel_tool_calls_round_trip(
    client: OpenAI, aimock: AimockServer, family: str, stream: bool
) -> None:
    question = user("How is the weather here and there?")
    response = chat(client, family, [question], stream, tools=TOOLS)
    (choice,) = response.choices
    assert (choice.message.content, choice.finish_reason) == ("Let me see.", "tool_calls")
    calls = choice.message.tool_calls
    assert [json.loads(call.function.arguments)["location"] for call in calls] == ["Paris", "Rome"]
    assert len({call.id for call in calls}) == 2

    assistant = choice.message.model_dump(exclude_none=True, include={"role", "content", "tool_calls"})
    results = [{"role": "tool", "tool_call_id": call.id, "content": f"{n} degrees"} for n, call in enumerate(calls)]
    chat(client, family, [question, assistant, *results], stream, tools=TOOLS)
    _, assistant_sent, *results_sent = aimock.last_request()["messages"]
    assert assistant_sent["content"] == "Let me see."
    assert [json.loads(call["function"]["arguments"])["location"] for call in assistant_sent["tool_calls"]] == [
        "Paris",
        "Rome",
    ]
    assert [(f"{n} degrees" in result["content"]) for n, result in enumerate(results_sent)] == [True, True]


@EVERY_FAMILY
@BOTH_MODES
def test_json_mode(client: OpenAI, aimock: AimockServer, family: str, stream: bool) -> None:
    question = user("Extract person info: John is a 30-year-old engineer. Return as JSON.")
    response = chat(client, family, [question], stream, response_format={"type": "json_object"})
    assert json.loads(response.choices[0].message.content) == PERSON
    last_request = aimock.last_request()
    if family == "openai":
        assert last_request["response_format"] == {"type": "json_object"}
    assert last_request["messages"][-1] == question


@EVERY_FAMILY
@BOTH_MODES
@pytest.mark.parametrize("by_url", [False, True], ids=["data", "url"])
def test_image_in_a_message(
    client: OpenAI, aimock: AimockServer, host: ImageHost, family: str, stream: bool, by_url: bool
) -> None:
    image = {"type": "image_url", "image_url": {"url": host.url("/image.png") if by_url else DATA_URL}}
    question = user([{"type": "text", "text": "What's in this image?"}, image])
    connections = host.connections
    response = chat(client, family, [question], stream)
    assert response.choices[0].message.content == "A cat."
    assert host.connections == connections + (by_url and family in FETCHED_FAMILIES)
    if family == "openai":
        assert aimock.last_request()["messages"] == [question]


@EVERY_FAMILY
@BOTH_MODES
@pytest.mark.parametrize("stop", ["three", ["\n\n", "###", "three"]], ids=["string", "list"])
def test_stop_sequences(client: OpenAI, aimock: AimockServer, family: str, stream: bool, stop: Any) -> None:
    response = chat(client, family, [user("Count to five.")], stream, stop=stop)
    assert (response.choices[0].message.content, response.choices[0].finish_reason) == ("one two ", "stop")
    if family == "openai":
        assert aimock.last_request()["stop"] == stop
