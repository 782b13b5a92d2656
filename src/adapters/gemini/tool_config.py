"""Writes `tools` and `toolConfig` of a Gemini request (Google's guide "Function calling")."""

from typing import Any, cast

from tollgate.adapters.gemini.messages import tool_name
from tollgate.adapters.params import ParamReader
from tollgate.adapters.tools import Function, read_functions, read_tool_choice
from tollgate.gateway.types import Json

_MODES = {"auto": "AUTO", "none": "NONE", "any": "ANY", "named": "ANY"}


def tool_fields(params: ParamReader) -> Json:
    """`tools` and `toolConfig`; empty if the request declares no tools."""
    choice = read_tool_choice(params)
    functions = read_functions(params, choice)
    if not functions:
        return {}
    if params.fields.get("parallel_tool_calls") is False:
        params.dropped.drop("parallel_tool_calls")
    mode = _MODES[choice.mode or "auto"]
    if mode == "AUTO" and any(function.strict for function in functions):
        mode = "VALIDATED"  # AUTO that enforces the schemas, as ANY always does
    config: Json = {"mode": mode}
    if choice.name is not None:
        config["allowedFunctionNames"] = [tool_name(choice.name)]
    fields: Json = {"tools": [{"functionDeclarations": [_declaration(function) for function in functions]}]}
    if choice.mode is not None or mode != "AUTO":
        fields["toolConfig"] = {"functionCallingConfig": config}
    return fields


def json_schema_of(schema: Any) -> Any:
    """The same JSON schema with each reference on its own, because the API takes no keyword beside a reference."""
    if isinstance(schema, list):
        return [json_schema_of(item) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    node = {name: json_schema_of(value) for name, value in cast(Json, schema).items()}
    if isinstance(node.get("$ref"), str) and any(not name.startswith("$") for name in node):
        return {"anyOf": [{"$ref": node.pop("$ref")}], **node}
    return node


def _declaration(function: Function) -> Json:
    native: Json = {"name": tool_name(function.name)}
    if function.description:
        native["description"] = function.description
    schema = function.parameters
    takes_nothing = schema.get("properties") == {} and not schema.get("additionalProperties")
    return native if takes_nothing else {**native, "parametersJsonSchema": json_schema_of(schema)}
