"""OpenAI's deprecated functions, said as tools."""

from typing import Any

import pytest

from tollgate.adapters.clients.legacy_functions import with_tools
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.errors import BadRequestError

WEATHER: dict[str, Any] = {"name": "weather", "description": "d", "parameters": {"type": "object", "properties": {}}}
USER = {"role": "user", "content": "x"}


def ask(*messages: Any, **more: Any) -> ChatRequest:
    return ChatRequest.model_validate({"model": "m", "messages": [USER, *messages], **more})


def called(name: str, arguments: str = "{}") -> dict[str, Any]:
    return {"role": "assistant", "content": None, "function_call": {"name": name, "arguments": arguments}}


def test_a_request_without_functions_is_the_same_request() -> None:
    request = ask(tools=[{"type": "function", "function": WEATHER}])
    assert with_tools(request) is request
    assert not request.has_functions


@pytest.mark.parametrize(
    ("choice", "tool_choice"),
    [("auto", "auto"), ("none", "none"), ({"name": "weather"}, {"type": "function", "function": {"name": "weather"}})],
)
def test_functions_become_tools(choice: Any, tool_choice: Any) -> None:
    request = ask(functions=[WEATHER], function_call=choice)
    assert request.has_functions
    wire = with_tools(request).wire()
    assert wire["tools"] == [{"type": "function", "function": WEATHER}]
    assert (wire["tool_choice"], wire["parallel_tool_calls"]) == (tool_choice, False)
    assert "functions" not in wire
    assert "function_call" not in wire


def test_calls_and_results_in_a_conversation_find_each_other() -> None:
    conversation = [
        called("weather", '{"at": 1}'),
        {"role": "function", "name": "weather", "content": "rain"},
        called("weather", '{"at": 2}'),
        {"role": "function", "name": "weather", "content": "sun"},
    ]
    *_, first, rain, second, sun = with_tools(ask(*conversation)).wire()["messages"]
    assert first["tool_calls"][0]["function"] == {"name": "weather", "arguments": '{"at": 1}'}
    assert rain == {"role": "tool", "tool_call_id": first["tool_calls"][0]["id"], "content": "rain"}
    assert sun == {"role": "tool", "tool_call_id": second["tool_calls"][0]["id"], "content": "sun"}
    assert first["tool_calls"][0]["id"] != second["tool_calls"][0]["id"]


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        (ask(functions="weather"), "functions"),
        (ask(functions=[{}]), "functions[0].name"),
        (ask(functions=[WEATHER], tools=[{"type": "function", "function": WEATHER}]), "functions"),
        (ask(functions=[WEATHER], function_call="required"), "function_call"),
        (ask(functions=[WEATHER], function_call={}), "function_call"),
        (ask({"role": "function", "name": "weather", "content": "x"}), "messages[1].name"),
        (ask({"role": "assistant", "function_call": "x"}), "messages[1].function_call"),
    ],
)
def test_what_is_no_function_is_refused_by_name(request_: ChatRequest, param: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        with_tools(request_)
    assert (refused.value.param, refused.value.code) == (param, "invalid_value")
