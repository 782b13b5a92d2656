"""A request of Anthropic's Messages as a chat request (API reference, "Create a Message").

What only Anthropic has is dropped and reported, or makes the request one that only Anthropic can serve.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Required, TypedDict

from msgspec import Meta

from tollgate.adapters.clients.anthropic_content import requests_citations
from tollgate.adapters.clients.anthropic_conversation import chat_messages, system_messages
from tollgate.adapters.clients.required_text import required_text
from tollgate.adapters.clients.untranslated import whole_text
from tollgate.adapters.dropped_params import unsupported
from tollgate.adapters.identifiers import hash_identifier
from tollgate.adapters.json_access import child, children, text
from tollgate.gateway.chat import MAX_MESSAGES, MAX_TOOLS, ChatRequest, NativeBody
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.request_body import RequestBody
from tollgate.gateway.types import Json
from tollgate.gateway.validation import invalid

API_HEADERS = ("anthropic-version", "anthropic-beta")
MAX_USER_LENGTH = 64
"""OpenAI's limit of `safety_identifier`; Claude Code sends a JSON text of 150 characters."""

_PASSED_ON = ("temperature", "top_p", "top_k", "stream", "max_tokens")
_ONLY_ANTHROPIC = ("container", "mcp_servers")
"""Fields that change the answer and have no counterpart."""
_TRANSLATED = frozenset({
    "model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "stop_sequences", "metadata",
    "service_tier", "cache_control", "provider", *_PASSED_ON,
})  # fmt: skip
_TIERS = {"auto": "auto", "standard_only": "default"}


class AnthropicMessage(TypedDict, total=False):
    """One message; the content blocks are read when they are translated."""

    role: Required[Literal["user", "assistant", "system"]]
    content: Required[str | list[Json]]


class MessagesRequest(RequestBody, frozen=True, kw_only=True):
    """The body of `POST /v1/messages`. `max_tokens` is required there, and not to count tokens."""

    messages: Annotated[list[AnthropicMessage], Meta(min_length=1, max_length=MAX_MESSAGES)]
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    system: str | list[Json] | None = None
    stream: bool = False
    temperature: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_k: Annotated[int, Meta(ge=0)] | None = None
    stop_sequences: Annotated[list[str], Meta(max_length=64)] | None = None
    tools: Annotated[list[Json], Meta(max_length=MAX_TOOLS)] | None = None
    tool_choice: Json | None = None
    thinking: Json | None = None
    output_config: Json | None = None
    metadata: Json | None = None


def chat_request(request: MessagesRequest, headers: Mapping[str, str]) -> ChatRequest:
    """The request, with the client's own body for Anthropic. Raises BadRequestError for a field that is wrong."""
    body = request.wire()
    native_headers = {name: headers[name] for name in API_HEADERS if name in headers}
    try:
        translated, refusal = _translate(request), None
    except BadRequestError as error:
        if error.code != "unsupported_parameter":
            raise
        translated, refusal = _untranslated(request), error
    dropped = {name for name in body if name not in _TRANSLATED}
    if any(requests_citations(children(message, "content")) for message in _messages(request)):
        dropped.add("citations")
    native = NativeBody("messages", body, native_headers, tuple(sorted(dropped)), refusal)
    return ChatRequest.of(translated).with_native(native)


def _translate(request: MessagesRequest) -> Json:
    for name in _ONLY_ANTHROPIC:
        if request.extra.get(name):
            raise unsupported(name, f"Only Anthropic supports {name!r}.")
    fields = {name: value for name, value in request.wire().items() if name in _PASSED_ON}
    return {
        "model": request.model,
        "messages": [*system_messages(request.system), *chat_messages(_messages(request))],
        **fields,
        **({"stop": request.stop_sequences} if request.stop_sequences else {}),
        **_tools(request),
        **_reasoning(request),
        **_response_format(request.output_config or {}),
        **_options(request),
    }


def _untranslated(request: MessagesRequest) -> Json:
    """What is read of a request that only Anthropic can serve: enough to estimate what it uses."""
    fields = {name: value for name, value in request.wire().items() if name in _PASSED_ON}
    whole = whole_text(request.system, request.messages, request.tools)
    return {"model": request.model, "messages": [whole], **fields}


def _messages(request: MessagesRequest) -> Sequence[Json]:
    return [dict(message) for message in request.messages]


def _tools(request: MessagesRequest) -> Json:
    """`tools` and `tool_choice`. A tool whose loading is deferred is declared once the conversation refers to it."""
    loaded = _referenced_tools(request)
    tools = [
        _function(tool, f"tools[{index}]")
        for index, tool in enumerate(request.tools or ())
        if not tool.get("defer_loading") or tool.get("name") in loaded
    ]
    choice = request.tool_choice or {}
    fields: Json = {"tools": tools} if tools else {}
    if tools and choice:
        fields["tool_choice"] = _tool_choice(choice)
        if choice.get("disable_parallel_tool_use") is True:
            fields["parallel_tool_calls"] = False
    return fields


def _referenced_tools(request: MessagesRequest) -> set[str | None]:
    return {
        text(reference, "tool_name")
        for message in _messages(request)
        for block in children(message, "content")
        for reference in children(block, "content")
        if reference.get("type") == "tool_reference"
    }


def _function(tool: Json, path: str) -> Json:
    kind = tool.get("type", "custom")
    if kind != "custom":
        raise unsupported(f"{path}.type", f"Only Anthropic supports tools of type {str(kind)[:50]!r}.")
    name = required_text(tool, "name", path)
    if not isinstance(tool.get("input_schema"), dict):
        raise invalid(f"{path}.input_schema", "it is a JSON schema")
    schema = {field: value for field, value in child(tool, "input_schema").items() if field != "$schema"}
    function: Json = {"name": name, "parameters": schema}
    if description := text(tool, "description"):
        function["description"] = description
    if tool.get("strict") is True:
        function["strict"] = True
    mark = {"cache_control": tool["cache_control"]} if tool.get("cache_control") else {}
    return {"type": "function", "function": function, **mark}


def _tool_choice(choice: Json) -> str | Json:
    kind = choice.get("type")
    if kind == "tool":
        return {"type": "function", "function": {"name": required_text(choice, "name", "tool_choice")}}
    known = {"auto": "auto", "any": "required", "none": "none"}
    if kind not in known:
        raise invalid("tool_choice.type", "it is auto, any, tool or none")
    return known[kind]


def _reasoning(request: MessagesRequest) -> Json:
    """`thinking` and `output_config.effort` as OpenAI's effort, or as OpenRouter's budget of tokens."""
    thinking, effort = request.thinking or {}, text(request.output_config or {}, "effort")
    kind = thinking.get("type")
    if kind not in (None, "enabled", "adaptive", "disabled"):
        raise invalid("thinking.type", "it is enabled, adaptive or disabled")
    if kind == "disabled":
        return {"reasoning_effort": "none"}
    if effort:
        return {"reasoning_effort": effort}
    if kind == "enabled" and isinstance(thinking.get("budget_tokens"), int):
        return {"reasoning": {"max_tokens": thinking["budget_tokens"]}}
    return {"reasoning": {"enabled": True}} if kind else {}


def _response_format(output_config: Json) -> Json:
    output = child(output_config, "format")
    if not output:
        return {}
    if output.get("type") != "json_schema" or not isinstance(output.get("schema"), dict):
        raise invalid("output_config.format", "it is a json_schema with a schema")
    schema = {"name": "output", "schema": output["schema"], "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def _options(request: MessagesRequest) -> Json:
    fields: Json = {name: request.extra[name] for name in ("cache_control", "provider") if request.extra.get(name)}
    if user := text(request.metadata or {}, "user_id"):
        fields["user"] = user if len(user) <= MAX_USER_LENGTH else hash_identifier(user)
    if tier := _TIERS.get(str(request.extra.get("service_tier"))):
        fields["service_tier"] = tier
    return fields
