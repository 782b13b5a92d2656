"""Tools in neutral terms: the functions a request declares, the choice among them, and the calls in a conversation."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from tollgate.adapters.dropped_params import unsupported
from tollgate.adapters.json_access import child, children, text
from tollgate.adapters.params import Ask
from tollgate.gateway.chat import ChatRequest, Message
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.types import Json


@dataclass(frozen=True, slots=True)
class Function:
    """One declared function. `parameters` is its JSON schema, always of an object; `tool` is what the client sent."""

    name: str
    description: str | None
    parameters: Json
    strict: bool
    tool: Json


@dataclass(frozen=True, slots=True)
class Choice:
    """Which functions may be called: as the model likes, none, at least one, or the one that is `named`.

    `mode` is None where the client said nothing. `allowed` are the client's names for the functions there are to choose
    from, None for all.
    """

    mode: Literal["auto", "none", "any", "named"] | None = None
    named: str | None = None
    allowed: frozenset[str] | None = None


def functions(ask: Ask) -> list[Function]:
    """What the request declares and may be called, in its order.

    Raises BadRequestError for tools that are no functions, a function without a name, and a choice of what is not
    there.
    """
    declared = [_function(tool, f"tools[{index}]") for index, tool in enumerate(ask.request.tools or [])]
    wanted = choice(ask)
    if not declared:
        if wanted.mode in ("any", "named"):
            raise BadRequestError("tool_choice is only allowed with tools.", param="tool_choice", code="invalid_value")
        return []
    allowed = [function for function in declared if wanted.allowed is None or function.name in wanted.allowed]
    names = {function.name for function in allowed}
    if not names or (wanted.named is not None and wanted.named not in names):
        raise BadRequestError("tool_choice names no tool of the request.", param="tool_choice", code="invalid_value")
    return allowed


def choice(ask: Ask) -> Choice:
    """`tool_choice`, also as `allowed_tools`. Raises BadRequestError for what no function can be, or be made to."""
    given: Any = ask.request.tool_choice
    allowed: frozenset[str] | None = None
    listed = child(ask.given, "tool_choice")
    if listed.get("type") == "allowed_tools":
        listed = child(listed, "allowed_tools")
        allowed = frozenset(text(child(tool, "function"), "name") or "" for tool in children(listed, "tools"))
        given = listed.get("mode")
    if given is None:
        return Choice(allowed=allowed)
    if given == "auto" or given == "none":
        return Choice(given, allowed=allowed)
    named = text(child(listed, "function"), "name") if given is listed else None
    if named is None and given != "required":
        raise unsupported("tool_choice")
    if not ask.model.forced_tool:
        raise unsupported("tool_choice", "The model cannot be made to call a tool; it supports 'auto' and 'none'.")
    return Choice("any", allowed=allowed) if named is None else Choice("named", named, allowed)


def called_names(messages: Sequence[Message]) -> list[str]:
    """The names of every tool called in this conversation, each once, in the order of their first call."""
    calls = [call for message in messages for call in children(cast(Json, message), "tool_calls")]
    return list(dict.fromkeys(text(child(call, "function"), "name") or "" for call in calls))


def all_names(request: ChatRequest) -> list[str]:
    """The names of every tool of this request, called or declared, the client's own spelling."""
    declared = [text(child(tool, "function"), "name") or "" for tool in request.tools or []]
    return list(dict.fromkeys([*called_names(request.messages), *declared]))


def arguments(given: Any) -> Json:
    """A call's arguments as an object; what is none is kept as text, for the model to see what it had written."""
    try:
        value = (
            json.loads(given, parse_constant=_refuse_constant) if isinstance(given, str) and given.strip() else given
        )
    except (ValueError, RecursionError):
        value = given
    if isinstance(value, dict):
        return cast(Json, value)
    return {} if value is None or value == "" else {"arguments": value}


def unanswered(place: str) -> BadRequestError:
    """The error for a call that no tool message answers."""
    return BadRequestError(
        "An assistant's message with tool_calls must be followed by a tool message for each of them.",
        param=place,
        code="invalid_value",
    )


def uncalled(place: str) -> BadRequestError:
    """The error for a tool message that answers no call."""
    return BadRequestError(
        "A message with role 'tool' must follow the assistant's message with its call.",
        param=f"{place}.tool_call_id",
        code="invalid_value",
    )


def _function(tool: Json, place: str) -> Function:
    function = child(tool, "function")
    name = text(function, "name")
    if tool.get("type", "function") != "function":
        raise unsupported(f"{place}.type", "The model supports tools of type 'function' only.")
    if name is None:
        param = f"{place}.function.name"
        raise BadRequestError(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")
    parameters = child(function, "parameters")
    schema: Json = {"type": "object", **parameters} if parameters else {"type": "object", "properties": {}}
    if schema["type"] != "object":
        param = f"{place}.function.parameters"
        raise BadRequestError(f"'{param}' must be the JSON schema of an object.", param=param, code="invalid_value")
    return Function(name, text(function, "description"), schema, function.get("strict") is True, tool)


def _refuse_constant(name: str) -> float:
    raise ValueError(name)
