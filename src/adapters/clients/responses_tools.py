"""The tools of OpenAI's Responses as functions of Chat Completions, and their names on the way back."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from tollgate.adapters.dropped_params import unsupported
from tollgate.adapters.identifiers import hash_identifier
from tollgate.adapters.json_access import child, children, text
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.types import Json

CUSTOM_INPUT = "input"
"""The only parameter of the function that stands for a custom tool."""
MAX_NAME_LENGTH = 64
"""OpenAI's limit of a function's name ("Create chat completion", `tools`)."""
OPTIONAL_TOOLS = frozenset({"web_search", "web_search_preview", "tool_search"})
"""Tools that a provider runs, and that agents declare in every request: without them they do their work all the same.
"""
_DIGEST_LENGTH = 8


@dataclass(frozen=True, slots=True)
class ToolName:
    """A tool as the client names it."""

    kind: Literal["function", "custom"]
    name: str
    namespace: str | None = None


@dataclass(slots=True)
class ToolSet:
    """The declared tools: functions of a chat request, the client's names by the functions', and what is left out."""

    functions: list[Json] = field(default_factory=list[Json])
    names: dict[str, ToolName] = field(default_factory=dict[str, ToolName])
    dropped: list[str] = field(default_factory=list[str])

    def add(self, tool: Json, path: str, namespace: str | None = None) -> None:
        """Add one tool. Raises BadRequestError for one that chat models do not have."""
        kind = tool.get("type")
        if kind == "namespace" and namespace is None:
            for index, inner in enumerate(children(tool, "tools")):
                self.add(inner, f"{path}.tools[{index}]", _name(tool, path))
        elif kind in OPTIONAL_TOOLS:
            self.dropped.append(str(kind))
        elif kind == "function":
            self._add_function(tool, path, namespace)
        elif kind == "custom":
            self._add_custom(tool, path, namespace)
        else:
            raise unsupported(f"{path}.type", f"The model does not support tools of type {str(kind)[:50]!r}.")

    def _add_function(self, tool: Json, path: str, namespace: str | None) -> None:
        parameters = child(tool, "parameters") or {"type": "object", "properties": {}}
        function: Json = {"parameters": parameters, "strict": _is_strict(tool, parameters)}
        self._add(ToolName("function", _name(tool, path), namespace), function, text(tool, "description"))

    def _add_custom(self, tool: Json, path: str, namespace: str | None) -> None:
        """A custom tool takes text; the grammar of that text is described to the model and not enforced."""
        grammar = child(tool, "format")
        rules = f"\n\nThe input follows this {grammar.get('syntax')} grammar:\n{grammar.get('definition')}"
        description = (text(tool, "description") or "") + (rules if grammar.get("type") == "grammar" else "")
        parameters: Json = {
            "type": "object",
            "properties": {CUSTOM_INPUT: {"type": "string"}},
            "required": [CUSTOM_INPUT],
            "additionalProperties": False,
        }
        self._add(ToolName("custom", _name(tool, path), namespace), {"parameters": parameters}, description)

    def _add(self, name: ToolName, function: Json, description: str | None) -> None:
        chat_name = function_name(name.name, name.namespace)
        self.names[chat_name] = name
        described = {"description": description} if description else {}
        self.functions.append({"type": "function", "function": {"name": chat_name, **described, **function}})


def read_tools(tools: Sequence[Json]) -> ToolSet:
    """The tools of a request. Raises BadRequestError for one that chat models do not have."""
    found = ToolSet()
    for index, tool in enumerate(tools):
        found.add(tool, f"tools[{index}]")
    return found


def function_name(name: str, namespace: str | None) -> str:
    """The name of a function, with its namespace first; one that is too long is cut, and a digest keeps it unique."""
    whole = f"{namespace}__{name}" if namespace else name
    if not namespace or len(whole) <= MAX_NAME_LENGTH:
        return whole
    return f"{whole[: MAX_NAME_LENGTH - _DIGEST_LENGTH - 1]}_{hash_identifier(whole)[:_DIGEST_LENGTH]}"


def tool_fields(found: ToolSet, choice: str | Json | None, parallel: bool | None) -> Json:
    """`tools`, `tool_choice` and `parallel_tool_calls` of the chat request. Raises BadRequestError for a bad choice."""
    fields: Json = {}
    functions = found.functions
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        allowed = {_chosen(tool, "tool_choice.tools") for tool in children(choice, "tools")}
        functions = [function for function in functions if function["function"]["name"] in allowed]
        choice = text(choice, "mode") or "auto"
    if not functions:
        return {}
    fields["tools"] = functions
    if isinstance(choice, dict):
        fields["tool_choice"] = {"type": "function", "function": {"name": _chosen(choice, "tool_choice")}}
    elif choice:
        fields["tool_choice"] = choice
    return fields if parallel is None else {**fields, "parallel_tool_calls": parallel}


def custom_arguments(value: str) -> str:
    """The arguments of the function that stands for a custom tool."""
    return json.dumps({CUSTOM_INPUT: value}, ensure_ascii=False)


def custom_input(arguments: str) -> str:
    """The text for a custom tool in a model's arguments, also if it wrote the text alone or under another name."""
    try:
        value: Any = json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments
    if isinstance(value, dict):
        fields = cast(Json, value)
        texts = [item for item in (fields.get(CUSTOM_INPUT), *fields.values()) if isinstance(item, str)]
        return texts[0] if texts else arguments
    return value if isinstance(value, str) else arguments


def _chosen(tool: Json, path: str) -> str:
    kind = tool.get("type")
    if kind not in ("function", "custom"):
        raise unsupported(f"{path}.type", f"The model does not support tools of type {str(kind)[:50]!r}.")
    return function_name(_name(tool, path), text(tool, "namespace"))


def _name(tool: Json, path: str) -> str:
    name = text(tool, "name")
    if name is None:
        raise BadRequestError(f"Missing required parameter: '{path}.name'.", param=f"{path}.name", code="invalid_value")
    return name


def _is_strict(tool: Json, parameters: Json) -> bool:
    """Whether arguments are held to the schema: unless the client says it, where the schema permits it (Responses
    defaults to strict, Chat Completions does not; OpenAI's guide "Function calling", "Strict mode")."""
    strict = tool.get("strict")
    if isinstance(strict, bool):
        return strict
    required: Any = parameters.get("required")
    is_closed = parameters.get("additionalProperties") is False
    names = child(parameters, "properties")
    return is_closed and isinstance(required, list) and all(name in required for name in names)
