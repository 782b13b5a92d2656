"""OpenAI's deprecated functions in terms of tools, so that every family has them. Responses: see `openai_chat`.

OpenAI's API reference, "Create chat completion": `functions`, `function_call`, messages with role `function`, and
`function_call` in messages and as finish_reason are what `tools` and their like have replaced. A function has no ids:
a result belongs to the last call of its name.
"""

from typing import Any, cast

from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.types import Json
from tollgate.gateway.validation import invalid

_FIELDS = ("functions", "function_call")


def with_tools(request: ChatRequest) -> ChatRequest:
    """The same request in terms of tools. Raises BadRequestError, naming the field, for what is no function."""
    extra = request.extra
    is_legacy = any(m["role"] == "function" or "function_call" in m for m in request.messages)
    if not is_legacy and not any(name in extra for name in _FIELDS):
        return request
    body = request.wire()
    if functions := body.pop("functions", None):
        if request.tools:
            raise invalid("functions", "it is not given beside tools")
        body["tools"] = _tools(functions)
        body["parallel_tool_calls"] = False  # an answer has room for one function_call
    choice = body.pop("function_call", None)
    if choice is not None:
        body["tool_choice"] = _choice(choice)
    body["messages"] = _messages(body["messages"])
    return ChatRequest.of(body)


def _tools(functions: Any) -> list[Json]:
    if not isinstance(functions, list):
        raise invalid("functions", "it is a list of objects")
    tools: list[Json] = []
    for index, function in enumerate(cast("list[Any]", functions)):
        if not isinstance(function, dict) or not isinstance(cast(Json, function).get("name"), str):
            raise invalid(f"functions[{index}].name", "a function has a name")
        tools.append({"type": "function", "function": function})
    return tools


def _choice(given: Any) -> Any:
    if given in ("auto", "none"):
        return given
    name = cast(Json, given).get("name") if isinstance(given, dict) else None
    if not isinstance(name, str):
        raise invalid("function_call", "it is 'auto', 'none' or an object with the name of a function")
    return {"type": "function", "function": {"name": name}}


def _messages(messages: list[Json]) -> list[Json]:
    waiting: dict[str, list[str]] = {}  # name -> the ids of its calls that have no result yet
    return [_message(message, place, waiting) for place, message in enumerate(messages)]


def _message(message: Json, place: int, waiting: dict[str, list[str]]) -> Json:
    if call := message.get("function_call"):
        name = cast(Json, call).get("name") if isinstance(call, dict) else None
        if not isinstance(name, str):
            raise invalid(f"messages[{place}].function_call", "it is an object with the name of a function")
        call_id = f"call_{place}"
        waiting.setdefault(name, []).append(call_id)
        function = {"name": name, "arguments": cast(Json, call).get("arguments") or ""}
        message = {**message, "tool_calls": [{"id": call_id, "type": "function", "function": function}]}
    elif message["role"] == "function":
        ids = waiting.get(message.get("name") or "")
        if not ids:
            raise invalid(f"messages[{place}].name", "it names no function that was called before")
        message = {"role": "tool", "tool_call_id": ids.pop(), "content": message.get("content") or ""}
    return {name: value for name, value in message.items() if name != "function_call"}
