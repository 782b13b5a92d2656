"""Writes an OpenAI chat request as a body for Anthropic's Messages API.

Sources: Anthropic's API reference, "Create a Message", and the pages "Thinking", "Effort", "Structured outputs",
"Prompt caching" and "Service tiers". What a model supports is in the catalog.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from tollgate.adapters.anthropic.messages import (
    FORMAT,
    THINKING_TYPES,
    AnthropicBlocks,
    allows_thinking_budget,
    cache_field,
    tool_name,
)
from tollgate.adapters.chat_plan import ChatPlan
from tollgate.adapters.claude import (
    DEFAULT_MAX_TOKENS,
    Thinking,
    native_tool_choice,
    plan_thinking,
    sends_thinking_back,
)
from tollgate.adapters.identifiers import hash_identifier
from tollgate.adapters.json_access import child, count, encode, text
from tollgate.adapters.messages import Conversation
from tollgate.adapters.params import ParamReader
from tollgate.adapters.response_format import JSON_TOOL, ONLY_JSON, FormatPlan
from tollgate.adapters.strict_schema import strict_schema
from tollgate.adapters.tools import Function, input_schema, read_functions, read_tool_choice
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json, UpstreamRequest

VERSION = "2023-06-01"
"""The version of the API; later ones refuse `temperature` even with its default value."""
BINDING_BETA = "thinking-binding-controls-2026-08-01"
MAX_CACHE_BREAKPOINTS = 4
SUPPORTED = frozenset({"user", "safety_identifier", "service_tier", "cache_control"})
"""Parameters that the API has beside those that every family reads."""

_TIERS = {"auto": "auto", "priority": "auto", "default": "standard_only", "standard_only": "standard_only"}
_PERSONAL = re.compile(r"@|^\+?[\d\s().-]{7,}$")
"""Mail addresses and telephone numbers, which the API refuses in `metadata.user_id`."""
_MAX_USER_LENGTH = 256


def fetches_url(url: str) -> bool:
    """Whether Anthropic fetches an image from this URL: any https URL."""
    return True


def build_request(params: ParamReader, route: Route, plan: ChatPlan) -> UpstreamRequest:
    """The request to create a message. Raises BadRequestError for what the API or JSON cannot express."""
    body = _body(params, route.upstream_model, plan)
    headers = {"content-type": "application/json", "anthropic-version": VERSION}
    if "block_binding" in child(body, "thinking"):
        headers["anthropic-beta"] = BINDING_BETA
    url = f"{route.provider.base_url.rstrip('/')}/messages"
    return UpstreamRequest(url, encode(body), headers, dropped=params.dropped.names)


def _body(params: ParamReader, model: str, plan: ChatPlan) -> Json:
    reasoning, capabilities = params.reasoning(), params.capabilities
    send_thinking = sends_thinking_back(capabilities, reasoning)
    blocks = AnthropicBlocks(params.dropped)
    conversation = Conversation(blocks, FORMAT, capabilities, params.dropped, send_thinking=send_thinking)
    conversation.read(params.request.messages)
    messages = conversation.messages
    max_tokens = params.output_limit() or capabilities.max_output_tokens or DEFAULT_MAX_TOKENS
    tools = _json_tool(params) if plan.json_by_tool else _tools(params, plan.called_tools)
    thinking = plan_thinking(
        params,
        reasoning,
        max_tokens=max_tokens,
        is_tool_forced=child(tools, "tool_choice").get("type") in ("any", "tool"),
        allows_budget=allows_thinking_budget(messages),
    )
    if capabilities.bound_thinking:
        thinking = _with_binding(thinking, messages)
    instruction: list[Json] = [{"type": "text", "text": ONLY_JSON}] if plan.format == "instruction" else []
    body = {
        "model": model,
        "max_tokens": max_tokens,
        "messages": messages,
        **tools,
        **_optional("system", [*conversation.system, *instruction]),
        **_optional("output_config", _output_config(params, plan.format, thinking.effort)),
        **_optional("thinking", thinking.config),
        **_sampling(params, thinking.is_on),
        **_options(params),
        **cache_field(params.fields),
    }
    _limit_cache_breakpoints(params, body)
    return body


def _optional(name: str, value: Json | list[Json] | None) -> Json:
    return {name: value} if value else {}


def _json_tool(params: ParamReader) -> Json:
    schema = params.json_schema
    description = {"description": schema["description"]} if text(schema, "description") else {}
    return {
        "tools": [{"name": JSON_TOOL, **description, "input_schema": schema["schema"]}],
        "tool_choice": {"type": "tool", "name": JSON_TOOL},
    }


def _tools(params: ParamReader, called_tools: Sequence[str]) -> Json:
    """`tools` and `tool_choice`. If the conversation has tool calls, the API requires tools in the request."""
    choice = read_tool_choice(params)
    if functions := read_functions(params, choice):
        parallel = params.fields.get("parallel_tool_calls") is not False
        native_choice = native_tool_choice(choice, tool_name, parallel=parallel)
        tools = [_tool(params, function) for function in functions]
        return {"tools": tools, **_optional("tool_choice", native_choice)}
    if not called_tools:
        return {}
    no_parameters: Json = {"type": "object", "properties": {}}
    tools = [{"name": tool_name(name), "input_schema": no_parameters} for name in called_tools]
    return {"tools": tools, "tool_choice": {"type": "none"}}


def _tool(params: ParamReader, function: Function) -> Json:
    schema, is_strict = input_schema(params, function)
    return {
        "name": tool_name(function.name),
        "input_schema": schema,
        **({"description": function.description} if function.description else {}),
        **({"strict": True} if is_strict else {}),
        **(cache_field(function.tool) or cache_field(child(function.tool, "function"))),
    }


def _output_config(params: ParamReader, format_plan: FormatPlan, effort: str | None) -> Json:
    config: Json = {}
    if format_plan == "native":
        schema = strict_schema(params.json_schema["schema"])
        if description := text(params.json_schema, "description"):
            schema.setdefault("description", description)
        config["format"] = {"type": "json_schema", "schema": schema}
    if effort is not None:
        config["effort"] = effort
    return config


def _with_binding(thinking: Thinking, messages: Sequence[Json]) -> Thinking:
    """Thinking from a client in a changed conversation is to be dropped; without this the API refuses the request."""
    blocks = chain.from_iterable(message["content"] for message in messages)
    if not any(block["type"] in THINKING_TYPES for block in blocks):
        return thinking
    binding = {"prefix_mismatch_behavior": "drop_block"}
    return replace(thinking, config={"type": "adaptive", **(thinking.config or {}), "block_binding": binding})


def _sampling(params: ParamReader, thinks: bool) -> Json:
    """Temperature up to 1, and without top_p. A model that refuses sampling, or thinks, takes the defaults only."""
    sampling: Json = {}
    for name in ("temperature", "top_p", "top_k"):
        value = params.fields.get(name)
        if value is None or (value == 1 and name != "top_k"):  # 1 is the default of the other two
            continue
        if thinks or not params.capabilities.sampling or (name == "top_p" and "temperature" in sampling):
            params.dropped.drop(name)
        elif name == "temperature" and value > 1:
            params.dropped.replace(name, 1)
            sampling[name] = 1
        elif name == "top_k" and not count(params.fields, name):
            params.dropped.drop(name)
        else:
            sampling[name] = value
    return sampling


def _options(params: ParamReader) -> Json:
    options: Json = {"stream": True} if params.request.stream else {}
    if stops := params.stop_sequences():
        options["stop_sequences"] = stops
    if user := params.user:
        is_accepted = not _PERSONAL.search(user) and len(user) <= _MAX_USER_LENGTH
        options["metadata"] = {"user_id": user if is_accepted else hash_identifier(user)}
    tier = params.fields.get("service_tier")
    if isinstance(tier, str) and tier in _TIERS:
        options["service_tier"] = _TIERS[tier]
    elif tier is not None:
        params.dropped.drop("service_tier")
    return options


def _limit_cache_breakpoints(params: ParamReader, body: Json) -> None:
    """The API takes four cache breakpoints; of more, the last four are kept, because they cover the most."""
    contents = (message["content"] for message in body["messages"])
    blocks = chain(body.get("tools", ()), body.get("system", ()), *contents)
    with_breakpoint = [block for block in blocks if "cache_control" in block]
    surplus = len(with_breakpoint) + ("cache_control" in body) - MAX_CACHE_BREAKPOINTS
    for block in with_breakpoint[: max(0, surplus)]:
        del block["cache_control"]
    if surplus > 0:
        params.dropped.drop("cache_control")
