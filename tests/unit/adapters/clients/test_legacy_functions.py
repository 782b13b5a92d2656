"""OpenAI's deprecated functions are converted to tools."""

from typing import Any

import pytest

from tollgate.adapters.clients.legacy_functions import with_tools
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.errors import BadRequestError

WEATHER: dict[str, Any] = {"name": "weather", "description": "d", "parameters": {"type": "object", "properties": {}}}
USER = {"role": "user", "content": "x"}


def chat_request(*messages: Any, **more: Any) -> ChatRequest:
    return ChatRequest.of({"model": "m", "messages": [USER, *messages], **more})


def function_call_message(name: str, arguments: str = "{}") -> dict[str, Any]:
    return {"role": "assistant", "content": None, "function_call": {"name": name, "arguments": arguments}}


def test_request_without_functions_is_unchanged() -> None:
    request = chat_request(tools=[{"type": "function", "function": WEATHER}])
    assert with_tools(request) is request
    assert not request.has_functions


@pytest.mark.parametrize(
    ("choice", "tool_choice"),
    [("auto", "auto"), ("none", "none"), ({"name": "weather"}, {"type": "function", "function": {"name": "weather"}})],
)
def test_functions_become_tools(choice: Any, tool_choice: Any) -> None:
    request = chat_request(functions=[WEATHER], function_call=choice)
    assert request.has_functions
    wire = with_tools(request).wire()
    assert wire["tools"] == [{"type": "function", "function": WEATHER}]
    assert (wire["tool_choice"], wire["parallel_tool_calls"]) == (tool_choice, False)
    assert "functions" not in wire
    assert "function_call" not in wire


def test_calls_and_results_in_a_conversation_share_an_id() -> None:
    conversation = [
        function_call_message("weather", '{"at": 1}'),
        {"role": "function", "name": "weather", "content": "rain"},
        function_call_message("weather", '{"at": 2}'),
        {"role": "function", "name": "weather", "content": "sun"},
    ]
    *_, first, rain, second, sun = with_tools(chat_request(*conversation)).wire()["messages"]
    assert first["tool_calls"][0]["function"] == {"name": "weather", "arguments": '{"at": 1}'}
    assert rain == {"role": "tool", "tool_call_id": first["tool_calls"][0]["id"], "content": "rain"}
    assert sun == {"role": "tool", "tool_call_id": second["tool_calls"][0]["id"], "content": "sun"}
    assert first["tool_calls"][0]["id"] != second["tool_calls"][0]["id"]


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        (chat_request(functions="weather"), "functions"),
        (chat_request(functions=[{}]), "functions[0].name"),
        (chat_request(functions=[WEATHER], tools=[{"type": "function", "function": WEATHER}]), "functions"),
        (chat_request(functions=[WEATHER], function_call="required"), "function_call"),
        (chat_request(functions=[WEATHER], function_call={}), "function_call"),
        (chat_request({"role": "function", "name": "weather", "content": "x"}), "messages[1].name"),
        (chat_request({"role": "assistant", "function_call": "x"}), "messages[1].function_call"),
    ],
)
def test_invalid_function_is_refused_by_name(request_: ChatRequest, param: str) -> None:
    with pytest.raises(BadRequestError) as raised:
        with_tools(request_)
    assert (raised.value.param, raised.value.code) == (param, "invalid_value")
