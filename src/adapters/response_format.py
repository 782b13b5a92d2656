"""How a client gets the format it wants: natively, by a forced tool, in words, or not at all."""

from typing import Literal, cast

from tollgate.adapters.dropped_params import unsupported
from tollgate.adapters.json_access import child
from tollgate.adapters.strict_schema import is_open
from tollgate.adapters.tools import called_names
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.quirks import Capabilities
from tollgate.gateway.types import Json

FormatPlan = Literal["text", "native", "tool", "words"]
JSON_TOOL = "answer"
"""The tool that an answer in JSON is called as, where a model cannot be held to a schema otherwise."""
ONLY_JSON = "Answer with one JSON object and nothing else: no words around it, no code fence."


def format_plan(request: ChatRequest, model: Capabilities) -> FormatPlan:
    """How the client gets the format it wants. Raises BadRequestError where there is no way."""
    wanted = request.response_format or {}
    if wanted.get("type") in (None, "text"):
        return "text"
    schema = child(wanted, "json_schema").get("schema")
    if wanted.get("type") == "json_object" or (wanted.get("type") == "json_schema" and schema is None):
        return "words"
    if wanted.get("type") != "json_schema" or not isinstance(schema, dict):
        raise unsupported("response_format")
    if model.json_schema and not is_open(schema):
        return "native"
    has_tools = bool(request.tools) or bool(called_names(request.messages))
    if model.forced_tool and not has_tools and cast(Json, schema).get("type") == "object":
        return "tool"
    why = "not beside tools" if has_tools else "close its objects"
    raise unsupported("response_format", f"The model cannot be held to this JSON schema; {why}.")
