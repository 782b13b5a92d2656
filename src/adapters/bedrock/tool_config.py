"""Writes `toolConfig` of a Converse request, and what it requires in other fields.

Sources: AWS, Amazon Bedrock API Reference, "ToolConfiguration"; Amazon Nova User Guide, "Troubleshooting tool calls".
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tollgate.adapters.bedrock.cache_points import cache_point
from tollgate.adapters.bedrock.messages import tool_name
from tollgate.adapters.claude import native_tool_choice
from tollgate.adapters.json_access import child, text
from tollgate.adapters.params import ParamReader
from tollgate.adapters.response_format import JSON_TOOL
from tollgate.adapters.tools import Function, ToolChoice, input_schema, read_functions, read_tool_choice
from tollgate.gateway.quirks import Capabilities
from tollgate.gateway.types import Json

NO_CALLS = "Answer without calling a tool."
"""The instruction if tools must be declared because the conversation calls them, but none may be called."""


@dataclass(frozen=True, slots=True)
class ToolConfig:
    """`tools` and `choice` of `toolConfig`, a system `instruction`, and `native_choice`, Claude's own `tool_choice`.

    `is_forced` is whether a tool must be called.
    """

    tools: list[Json]
    choice: Json | None = None
    native_choice: Json | None = None
    instruction: str | None = None
    is_forced: bool = False


def json_tool_config(params: ParamReader) -> ToolConfig:
    """One forced tool whose arguments are the JSON answer."""
    schema = params.json_schema
    spec = _tool_spec(params.capabilities, JSON_TOOL, text(schema, "description"), schema["schema"])
    return ToolConfig([spec], {"tool": {"name": JSON_TOOL}}, is_forced=True)


def tool_config(params: ParamReader, called_tools: Sequence[str]) -> ToolConfig:
    """The declared tools. If the conversation has tool calls, Converse requires tools; it has no choice `none`."""
    choice = read_tool_choice(params)
    functions = read_functions(params, choice)
    is_none = not functions or choice.mode == "none"
    if is_none and not called_tools:
        return ToolConfig([])
    instruction = NO_CALLS if is_none else None
    if not functions:
        no_parameters: Json = {"type": "object", "properties": {}}
        specs = [_tool_spec(params.capabilities, tool_name(name), None, no_parameters) for name in called_tools]
        return ToolConfig(specs, instruction=instruction)
    tools = [block for function in functions for block in _tool(params, function)]
    native_choice = _native_choice(params, choice)
    converse_choice = _converse_choice(choice) if native_choice is None else None
    return ToolConfig(tools, converse_choice, native_choice, instruction, choice.is_forced)


def _tool(params: ParamReader, function: Function) -> list[Json]:
    schema, is_strict = input_schema(params, function)
    spec = _tool_spec(params.capabilities, tool_name(function.name), function.description, schema)
    if is_strict:
        spec["toolSpec"]["strict"] = True
    return [spec, *(cache_point(function.tool) or cache_point(child(function.tool, "function")))]


def _tool_spec(capabilities: Capabilities, name: str, description: str | None, schema: Json) -> Json:
    unsupported = capabilities.unsupported_schema_keywords
    supported = {keyword: value for keyword, value in schema.items() if keyword not in unsupported}
    described = {"description": description} if description and description.strip() else {}
    return {"toolSpec": {"name": name, **described, "inputSchema": {"json": supported}}}


def _native_choice(params: ParamReader, choice: ToolChoice) -> Json | None:
    """Claude's `tool_choice` if it is needed to disable parallel calls; the request may not have `toolChoice` too."""
    if params.fields.get("parallel_tool_calls") is not False or choice.mode == "none":
        return None
    if params.capabilities.native_tool_choice:
        return native_tool_choice(choice, tool_name, parallel=False)
    params.dropped.drop("parallel_tool_calls")
    return None


def _converse_choice(choice: ToolChoice) -> Json | None:
    if choice.name is not None:
        return {"tool": {"name": tool_name(choice.name)}}
    return {"any": {}} if choice.mode == "any" else None
