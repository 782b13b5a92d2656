"""Tools in neutral terms: the functions that a request declares, the tool choice, and the calls in a conversation."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from tollgate.adapters.dropped_params import unsupported
from tollgate.adapters.json_access import child, children, text
from tollgate.adapters.params import ParamReader
from tollgate.adapters.strict_schema import is_open, strict_schema, without_branches
from tollgate.gateway.chat import ChatRequest, Message
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.types import Json
from tollgate.gateway.validation import missing


@dataclass(frozen=True, slots=True)
class Function:
    """One declared function. `parameters` is its JSON schema, always of an object; `tool` is the client's entry."""

    name: str
    description: str | None
    parameters: Json
    strict: bool
    tool: Json


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """Which functions may be called: any or none (`auto`), none, at least one (`any`), or the function `name`.

    `mode` is None if the client sets no choice. `allowed` has the client's names of the functions that may be called;
    None means all.
    """

    mode: Literal["auto", "none", "any", "named"] | None = None
    name: str | None = None
    allowed: frozenset[str] | None = None

    @property
    def is_forced(self) -> bool:
        """Whether a tool must be called."""
        return self.mode in ("any", "named")


def read_functions(params: ParamReader, choice: ToolChoice) -> list[Function]:
    """The declared functions that may be called, in the request's order.

    Raises BadRequestError for tools that are not functions, a function without a name, and a choice that names none of
    them.
    """
    declared = [_function(tool, f"tools[{index}]") for index, tool in enumerate(params.request.tools or [])]
    if not declared:
        if choice.is_forced:
            raise BadRequestError("tool_choice is only allowed with tools.", param="tool_choice", code="invalid_value")
        return []
    allowed = [function for function in declared if choice.allowed is None or function.name in choice.allowed]
    names = {function.name for function in allowed}
    if not names or (choice.name is not None and choice.name not in names):
        message = "tool_choice names a tool that the request does not declare."
        raise BadRequestError(message, param="tool_choice", code="invalid_value")
    return allowed


def read_tool_choice(params: ParamReader) -> ToolChoice:
    """`tool_choice`, also as `allowed_tools`. Raises BadRequestError if it is malformed or not supported."""
    value: Any = params.request.tool_choice
    allowed: frozenset[str] | None = None
    fields = child(params.fields, "tool_choice")
    if fields.get("type") == "allowed_tools":
        fields = child(fields, "allowed_tools")
        allowed = frozenset(text(child(tool, "function"), "name") or "" for tool in children(fields, "tools"))
        value = fields.get("mode")
    if value is None:
        return ToolChoice(allowed=allowed)
    if value == "auto" or value == "none":
        return ToolChoice(value, allowed=allowed)
    name = text(child(fields, "function"), "name") if value is fields else None
    if name is None and value != "required":
        raise unsupported("tool_choice")
    if not params.capabilities.forced_tool:
        raise unsupported("tool_choice", "The model cannot be forced to call a tool; it supports 'auto' and 'none'.")
    return ToolChoice("any", allowed=allowed) if name is None else ToolChoice("named", name, allowed)


def input_schema(params: ParamReader, function: Function) -> tuple[Json, bool]:
    """A function's schema for a model, and whether the provider enforces it; a dropped `strict` is recorded."""
    schema = without_branches(function.parameters)
    if not function.strict:
        return schema, False
    if params.capabilities.json_schema and not is_open(schema):
        return strict_schema(schema), True
    params.dropped.drop("tools.function.strict")
    return schema, False


def called_names(messages: Sequence[Message]) -> list[str]:
    """The names of the tools that a conversation calls, each once, in the order of their first call."""
    calls = [call for message in messages for call in children(cast(Json, message), "tool_calls")]
    return list(dict.fromkeys(text(child(call, "function"), "name") or "" for call in calls))


def all_names(request: ChatRequest, called: Sequence[str]) -> list[str]:
    """The names of the `called` and of the declared tools, in the client's spelling, each once."""
    declared = [text(child(tool, "function"), "name") or "" for tool in request.tools or []]
    return list(dict.fromkeys([*called, *declared]))


def parse_arguments(arguments: Any) -> Json:
    """A call's arguments as an object; any other value is kept under `arguments`, so that the model sees it."""
    value = arguments
    if isinstance(arguments, str) and arguments.strip():
        try:
            value = json.loads(arguments, parse_constant=_reject_constant)
        except (ValueError, RecursionError):
            value = arguments
    if isinstance(value, dict):
        return cast(Json, value)
    return {} if value is None or value == "" else {"arguments": value}


def missing_result(path: str) -> BadRequestError:
    """The error for a tool call without a tool message."""
    message = "An assistant message with tool_calls must be followed by a tool message for each call."
    return BadRequestError(message, param=path, code="invalid_value")


def missing_call(path: str) -> BadRequestError:
    """The error for a tool message without a tool call."""
    message = "A message with role 'tool' must follow the assistant message that has its tool call."
    return BadRequestError(message, param=f"{path}.tool_call_id", code="invalid_value")


def _function(tool: Json, path: str) -> Function:
    function = child(tool, "function")
    name = text(function, "name")
    if tool.get("type", "function") != "function":
        raise unsupported(f"{path}.type", "The model supports tools of type 'function' only.")
    if name is None:
        raise missing(f"{path}.function.name")
    parameters = child(function, "parameters")
    schema: Json = {"type": "object", **parameters} if parameters else {"type": "object", "properties": {}}
    if schema["type"] != "object":
        param = f"{path}.function.parameters"
        raise BadRequestError(f"'{param}' must be the JSON schema of an object.", param=param, code="invalid_value")
    return Function(name, text(function, "description"), schema, function.get("strict") is True, tool)


def _reject_constant(name: str) -> float:
    raise ValueError(name)
