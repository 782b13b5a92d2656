"""Writes an OpenAI chat request in the dialect of one compatible server, by its row's quirks and the model's
capabilities. Other fields pass unchanged.
"""

from collections.abc import Collection, Sequence

from tollgate.adapters.dropped_params import unsupported
from tollgate.adapters.json_access import child, children, encode, text
from tollgate.adapters.openai.messages import translate_messages, without_cache_marks, without_empty
from tollgate.adapters.openai.reasoning import reasoning_fields
from tollgate.adapters.params import CHANGES_THE_ANSWER, ParamReader, is_neutral
from tollgate.adapters.response_format import JSON_TOOL, plan_format
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.quirks import Capabilities, Quirks
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json, UpstreamRequest

_ENVELOPE = {"model", "messages", "stream", "stream_options"}
_SAMPLING = ("temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty")
_DEFAULTS = {"temperature": 1, "top_p": 1, "tool_choice": "auto"}
"""Values that are every server's default."""
_UNSUPPORTED_WHILE_THINKING = (*_SAMPLING, "logprobs", "top_logprobs")
"""OpenAI's guide "Using GPT-5.2", "Parameter compatibility"; DeepSeek's guide "Thinking Mode"."""
_TOOL_FIELDS = ("tools", "tool_choice", "parallel_tool_calls")


def fetches_url(url: str) -> bool:
    """Whether the family's servers fetch an image from this URL: a server that does not has a quirk."""
    return True


def is_json_by_tool(request: ChatRequest, capabilities: Capabilities, called_tools: Sequence[str]) -> bool:
    """Whether the JSON answer is the arguments of a forced tool call. Raises BadRequestError if it cannot be."""
    is_schema = (request.response_format or {}).get("type") == "json_schema"
    return is_schema and not capabilities.json_schema and plan_format(request, capabilities, called_tools) == "tool"


def build_request(request: ChatRequest, route: Route, json_by_tool: bool) -> UpstreamRequest:
    """The client's body in the provider's dialect.

    Raises BadRequestError for what the provider or JSON cannot express.
    """
    params = ParamReader(request, route.model.capabilities)
    body = _body(params, route.provider.quirks, route.upstream_model, json_by_tool)
    url = f"{route.provider.base_url.rstrip('/')}/chat/completions"
    return UpstreamRequest(url, encode(body), dropped=params.dropped.names)


def _body(params: ParamReader, quirks: Quirks, model: str, json_by_tool: bool) -> Json:
    fields = params.request.wire()
    if json_by_tool:
        fields = _with_json_tool(params, fields, quirks)
    fields, thinks = reasoning_fields(params, fields, quirks)
    if thinks and params.capabilities.thinking == "adaptive":
        fields = _without(params, fields, _UNSUPPORTED_WHILE_THINKING)
    fields = _without_refused_choice(fields, quirks)
    fields = without_cache_marks(params, fields, quirks)
    fields = {**fields, "model": model, "messages": translate_messages(params, fields["messages"], quirks)}
    fields = _with_output_limit(params, _without_empty(fields), quirks)
    fields = _with_stream_options(params.request, fields, quirks)
    fields = _without(params, fields, _unsupported_fields(fields, params.capabilities, quirks))
    return {quirks.renamed.get(name, name): value for name, value in fields.items()}


def _with_json_tool(params: ParamReader, fields: Json, quirks: Quirks) -> Json:
    if "tool_choice" in quirks.unsupported:
        raise unsupported("response_format")
    schema = params.json_schema
    description = {"description": schema["description"]} if text(schema, "description") else {}
    function = {"name": JSON_TOOL, **description, "parameters": schema["schema"]}
    rest = {name: value for name, value in fields.items() if name != "response_format"}
    choice = {"type": "function", "function": {"name": JSON_TOOL}}
    return {**rest, "tools": [{"type": "function", "function": function}], "tool_choice": choice}


def _without_refused_choice(fields: Json, quirks: Quirks) -> Json:
    """A server without `tool_choice` has no way to forbid tool calls, so it gets no tools."""
    if "tool_choice" not in quirks.unsupported or fields.get("tool_choice") != "none":
        return fields
    return {name: value for name, value in fields.items() if name not in _TOOL_FIELDS}


def _without_empty(fields: Json) -> Json:
    """The fields without empty lists and objects, and without the tool fields if there are no tools.

    Raises BadRequestError if the tool choice forces a tool nevertheless.
    """
    fields = without_empty(fields)
    if "tools" in fields:
        return {**fields, "tools": [_tool(tool) for tool in children(fields, "tools")]}
    if fields.get("tool_choice", "auto") not in ("auto", "none"):
        raise BadRequestError("tool_choice is only allowed with tools.", param="tool_choice", code="invalid_value")
    return {name: value for name, value in fields.items() if name not in _TOOL_FIELDS}


def _tool(tool: Json) -> Json:
    fields = {name: value for name, value in tool.items() if value is not None}
    if function := child(fields, "function"):
        fields["function"] = {name: value for name, value in function.items() if value is not None}
    return fields


def _with_output_limit(params: ParamReader, fields: Json, quirks: Quirks) -> Json:
    """The output limit under the field that the server supports."""
    request, limit, name = params.request, params.output_limit(), quirks.max_tokens_field
    if limit is None or (name is None and limit == request.output_limit):
        return fields
    requested_name = "max_completion_tokens" if request.max_completion_tokens else "max_tokens"
    rest = {key: value for key, value in fields.items() if key not in ("max_tokens", "max_completion_tokens")}
    return {**rest, name or requested_name: limit}


def _with_stream_options(request: ChatRequest, fields: Json, quirks: Quirks) -> Json:
    """Request the usage of a stream, from a server that supports it."""
    if not quirks.stream_usage:
        return {name: value for name, value in fields.items() if name != "stream_options"}
    if not request.stream:
        return fields
    return {**fields, "stream_options": {**(request.stream_options or {}), "include_usage": True}}


def _unsupported_fields(fields: Json, capabilities: Capabilities, quirks: Quirks) -> set[str]:
    """The fields that the provider or the model does not support."""
    names = {*quirks.unsupported, *capabilities.unsupported, *(() if capabilities.sampling else _SAMPLING)}
    if quirks.fields:
        names |= fields.keys() - _ENVELOPE - {*quirks.fields, *quirks.renamed}
    return names


def _without(params: ParamReader, fields: Json, names: Collection[str]) -> Json:
    """The fields without these: refused if they change the answer, else dropped unless they have no effect."""
    for name in [name for name in fields if name in names]:
        value = fields[name]
        if is_neutral(name, value) or value == _DEFAULTS.get(name):
            continue
        if name in CHANGES_THE_ANSWER:
            raise unsupported(name)
        params.dropped.drop(name)
    return {name: value for name, value in fields.items() if name not in names}
