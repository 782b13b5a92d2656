"""Writes the reasoning parameters of a request in the dialect of one compatible server."""

from collections.abc import Sequence

from tollgate.adapters import tool_call_state
from tollgate.adapters.dropped_params import unsupported
from tollgate.adapters.json_access import child, children, text
from tollgate.adapters.params import ParamReader, Reasoning
from tollgate.gateway.quirks import Quirks
from tollgate.gateway.types import Json

ROUTER_FIELDS = (
    "provider", "models", "route", "transforms", "plugins", "usage", "include_reasoning", "reasoning",
)  # fmt: skip
"""Fields for a router (OpenRouter's API reference, "Chat completion"), which other servers refuse."""
_REPORTED_ROUTER_FIELDS = frozenset({"transforms"})


def reasoning_fields(params: ParamReader, fields: Json, quirks: Quirks) -> tuple[Json, bool]:
    """The fields with the server's reasoning parameters, and whether the model thinks; a router gets them unchanged.

    A model that thinks adaptively accepts no sampling parameters while it thinks: OpenAI refuses them (guide "Using
    GPT-5.2"), and DeepSeek ignores them (guide "Thinking Mode").
    """
    if quirks.router:
        return fields, False
    fields = _without_router_fields(params, fields)
    if quirks.thinking_switch:
        return _with_thinking_switch(params, fields)
    reasoning = params.reasoning()
    if params.request.native is not None and params.capabilities.thinking == "none":
        return _without_reasoning(params, fields, reasoning), False
    if reasoning.on is not None and reasoning.field != "thinking":
        fields = {**fields, "reasoning_effort": _effort(params, reasoning)}
    return fields, fields.get("reasoning_effort", params.capabilities.default_effort) != "none"


def _without_reasoning(params: ParamReader, fields: Json, reasoning: Reasoning) -> Json:
    """Agents request reasoning of every model, and servers of those without it refuse the request."""
    if reasoning.on:
        params.dropped.drop(reasoning.field)
    return {name: value for name, value in fields.items() if name != "reasoning_effort"}


def _with_thinking_switch(params: ParamReader, fields: Json) -> tuple[Json, bool]:
    """The fields for a server that thinks unless `thinking` disables it.

    A client that requests no reasoning gets no report that thinking is disabled.
    """
    messages = _with_restored_reasoning(children(fields, "messages"))
    fields = {**fields, "messages": messages}
    reasoning = params.reasoning()
    if reasoning.on is False or _forbids_thinking(fields.get("tool_choice"), messages):
        if reasoning.on:
            params.dropped.drop(reasoning.field)
        rest = {name: value for name, value in fields.items() if name != "reasoning_effort"}
        return {**rest, "thinking": {"type": "disabled"}}, False
    if reasoning.on is not None and reasoning.field != "thinking":
        fields["reasoning_effort"] = _effort(params, reasoning)
    return fields, True


def _without_router_fields(params: ParamReader, fields: Json) -> Json:
    """The fields without those that only a router reads; reported if they request another answer."""
    for name in ROUTER_FIELDS:
        value = fields.get(name)
        if name == "plugins" and value:
            raise unsupported(name)
        if (name in _REPORTED_ROUTER_FIELDS and value) or (name == "include_reasoning" and value is False):
            params.dropped.drop(name)
    if child(params.fields, "reasoning").get("exclude") is True:
        params.dropped.drop("reasoning.exclude")
    return {name: value for name, value in fields.items() if name not in ROUTER_FIELDS}


def _with_restored_reasoning(messages: Sequence[Json]) -> list[Json]:
    """The messages with the reasoning before each tool call, also if the client kept the call's id alone."""
    return [
        {**message, "reasoning_content": reasoning}
        if not text(message, "reasoning_content") and (reasoning := tool_call_state.reasoning_of_message(message))
        else message
        for message in messages
    ]


def _effort(params: ParamReader, reasoning: Reasoning) -> str:
    if reasoning.on is False and params.capabilities.thinking == "always":
        lowest = params.capabilities.efforts[0]
        params.dropped.replace(reasoning.field, lowest)
        return lowest
    if reasoning.on and params.capabilities.thinking != "none":
        return params.supported_effort(reasoning)
    return reasoning.effort or ("medium" if reasoning.on else "none")


def _forbids_thinking(tool_choice: str | Json | None, messages: Sequence[Json]) -> bool:
    """Whether a tool is forced, or a tool call in the conversation has lost the reasoning before it.

    DeepSeek refuses both while it thinks ("Thinking mode does not support this tool_choice"; guide "Thinking Mode").
    """
    is_forced = tool_choice not in (None, "auto", "none")
    return is_forced or any(
        children(message, "tool_calls") and not text(message, "reasoning_content") for message in messages
    )
