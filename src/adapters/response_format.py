"""Decides how a model returns the requested `response_format`: by the provider's own mode, by a forced tool, or by an
instruction."""

from collections.abc import Sequence
from typing import Literal, cast

from tollgate.adapters.dropped_params import unsupported
from tollgate.adapters.json_access import child
from tollgate.adapters.strict_schema import is_open
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.quirks import Capabilities
from tollgate.gateway.types import Json

FormatPlan = Literal["text", "native", "tool", "instruction"]
"""Plain text, a schema that the provider enforces, the arguments of a forced tool call, or an instruction."""
JSON_TOOL = "answer"
"""The tool whose arguments are the JSON answer, for models without native JSON schemas."""
ONLY_JSON = "Answer with one JSON object and nothing else: no words around it, no code fence."
"""The instruction for JSON without a schema."""


def plan_format(request: ChatRequest, capabilities: Capabilities, called_tools: Sequence[str]) -> FormatPlan:
    """How the model returns the requested format. Raises BadRequestError if it cannot."""
    response_format = request.response_format or {}
    if response_format.get("type") in (None, "text"):
        return "text"
    schema = child(response_format, "json_schema").get("schema")
    is_schema = response_format.get("type") == "json_schema"
    if response_format.get("type") == "json_object" or (is_schema and schema is None):
        return "instruction"
    if not is_schema or not isinstance(schema, dict):
        raise unsupported("response_format")
    if capabilities.json_schema and not is_open(schema):
        return "native"
    has_tools = bool(request.tools) or bool(called_tools)
    if capabilities.forced_tool and not has_tools and cast(Json, schema).get("type") == "object":
        return "tool"
    reason = "together with tools" if has_tools else "unless its objects set additionalProperties to false"
    raise unsupported("response_format", f"The model does not support this JSON schema {reason}.")
