"""An OpenAI request in the dialect of one compatible server, as its row's quirks and the model's capabilities say.

Fields that nobody has said anything of pass as they are.
"""

from collections.abc import Collection

from tollgate.adapters import params, tool_call_state
from tollgate.adapters.dropped_params import DroppedParams, unsupported
from tollgate.adapters.json_access import child, children, encode, refuses_depth, text
from tollgate.adapters.openai.messages import without_empty, write_messages
from tollgate.adapters.response_format import JSON_TOOL, format_plan
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.quirks import Capabilities, Quirks
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json, UpstreamRequest

ROUTER_FIELDS = (
    "provider", "models", "route", "transforms", "plugins", "usage", "include_reasoning", "reasoning",
)  # fmt: skip
"""Fields for a router (OpenRouter's API reference, "Chat completion"), which a model's own server refuses."""

_TOLD_ROUTER_FIELDS = frozenset({"models", "route", "transforms"})
_ENVELOPE = {"model", "messages", "stream", "stream_options"}
_SAMPLING = ("temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty")
_NEUTRAL = {"temperature": 1, "top_p": 1, "tool_choice": "auto"}
"""What every server does unasked."""
_NOT_WHILE_THINKING = (*_SAMPLING, "logprobs", "top_logprobs")
"""OpenAI's guide "Using GPT-5.2", "Parameter compatibility"; DeepSeek's guide "Thinking Mode"."""


def fetches_url(url: str) -> bool:
    """Whatever it is: of the servers that fetch none, the rows say so."""
    return True


@refuses_depth
def build_request(request: ChatRequest, route: Route) -> UpstreamRequest:
    """The client's body in the provider's dialect. Raises BadRequestError for what the provider or JSON cannot say."""
    body, dropped = build_body(request, route)
    url = f"{route.provider.base_url.rstrip('/')}/chat/completions"
    return UpstreamRequest(url, encode(body), dropped=dropped)


def build_body(request: ChatRequest, route: Route) -> tuple[Json, tuple[str, ...]]:
    """The body, and what of the request is not in it. Raises BadRequestError for what changes the answer."""
    quirks, model = route.provider.quirks, route.model.capabilities
    body = request.wire()
    ask = params.Ask(request, {**body}, model, DroppedParams(request))
    body["model"] = route.upstream_model
    _write_format(body, request, route)
    _write_reasoning(body, ask, quirks)
    _write_choice(body, quirks)
    write_messages(body, ask, quirks)
    body = _without_empty(body)
    _write_limit(body, ask, quirks)
    if not quirks.stream_usage:
        body.pop("stream_options", None)
    elif request.stream:
        body["stream_options"] = {**(request.stream_options or {}), "include_usage": True}
    _leave_out(body, ask, _unknown(body, model, quirks))
    for name, here in quirks.renamed.items():
        if name in body:
            body[here] = body.pop(name)
    return body, ask.dropped.names


def _without_empty(body: Json) -> Json:
    """The body without empty lists and objects, and without what is said of tools where there are none.

    Raises BadRequestError where one must be called nevertheless.
    """
    said = without_empty(body)
    if "tools" in said:
        said["tools"] = [_tool(tool) for tool in children(said, "tools")]
        return said
    if said.pop("tool_choice", "auto") not in ("auto", "none"):
        raise BadRequestError("tool_choice is only allowed with tools.", param="tool_choice", code="invalid_value")
    said.pop("parallel_tool_calls", None)
    return said


def _tool(tool: Json) -> Json:
    said = {name: value for name, value in tool.items() if value is not None}
    if function := child(said, "function"):
        said["function"] = {name: value for name, value in function.items() if value is not None}
    return said


def by_tool(request: ChatRequest, model: Capabilities) -> bool:
    """Whether JSON comes as the call of a tool that the client knows nothing of. Raises BadRequestError."""
    wanted = (request.response_format or {}).get("type") == "json_schema"
    return wanted and not model.json_schema and format_plan(request, model) == "tool"


def _write_format(body: Json, request: ChatRequest, route: Route) -> None:
    if not by_tool(request, route.model.capabilities):
        return
    if "tool_choice" in route.provider.quirks.unsupported:
        raise unsupported("response_format")
    wanted = child(body.pop("response_format"), "json_schema")
    described = {"description": wanted["description"]} if text(wanted, "description") else {}
    body["tools"] = [{"type": "function", "function": {"name": JSON_TOOL, **described, "parameters": wanted["schema"]}}]
    body["tool_choice"] = {"type": "function", "function": {"name": JSON_TOOL}}


def _write_choice(body: Json, quirks: Quirks) -> None:
    """A server that cannot be told to call no tool is told of none."""
    if "tool_choice" in quirks.unsupported and body.get("tool_choice") == "none":
        for name in ("tools", "tool_choice", "parallel_tool_calls"):
            body.pop(name, None)


def _write_limit(body: Json, ask: params.Ask, quirks: Quirks) -> None:
    limit, name = params.output_limit(ask), quirks.max_tokens_field
    if limit is None or (name is None and limit == ask.request.output_limit):
        return
    given = "max_completion_tokens" if ask.request.max_completion_tokens else "max_tokens"
    body.pop("max_tokens", None)
    body.pop("max_completion_tokens", None)
    body[name or given] = limit


def _write_reasoning(body: Json, ask: params.Ask, quirks: Quirks) -> None:
    """`reasoning_effort`, of which a model knows some, and the switch that some servers have beside it.

    A model that thinks as it sees fit takes no sampling while it does: OpenAI refuses it (guide "Using GPT-5.2"), and
    DeepSeek passes it over (guide "Thinking Mode"). Who asked for no thinking is not told that there is none.
    """
    if quirks.router:
        return
    _leave_out_router_fields(body, ask)
    if quirks.thinking_switch:
        _restore_reasoning(body)
    wanted = params.reasoning(ask)
    is_off = quirks.thinking_switch and (wanted.on is False or _forbids_thinking(body))
    if is_off:
        if wanted.on:
            ask.dropped.drop(wanted.field)
        body.pop("reasoning_effort", None)
        body["thinking"] = {"type": "disabled"}
    elif wanted.on is not None and wanted.field != "thinking":
        body["reasoning_effort"] = _effort(ask, wanted)
    thinks = not is_off if quirks.thinking_switch else body.get("reasoning_effort", ask.model.default_effort) != "none"
    if thinks and ask.model.thinking == "adaptive":
        _leave_out(body, ask, _NOT_WHILE_THINKING)


def _leave_out_router_fields(body: Json, ask: params.Ask) -> None:
    """What only a router reads; told where it asks for another answer than the client gets."""
    for name in ROUTER_FIELDS:
        value = body.pop(name, None)
        if name == "plugins" and value:
            raise unsupported(name)
        if (name in _TOLD_ROUTER_FIELDS and value) or (name == "include_reasoning" and value is False):
            ask.dropped.drop(name)
    if child(ask.given, "reasoning").get("exclude") is True:
        ask.dropped.drop("reasoning.exclude")


def _restore_reasoning(body: Json) -> None:
    """What led to a call stands in the conversation again, also where the client has kept the call alone."""
    for message in children(body, "messages"):
        if not text(message, "reasoning_content") and (thought := tool_call_state.reasoning_of(message)):
            message["reasoning_content"] = thought


def _effort(ask: params.Ask, wanted: params.Reasoning) -> str:
    if wanted.on is False and ask.model.thinking == "always":
        ask.dropped.replace(wanted.field, ask.model.efforts[0])
        return ask.model.efforts[0]
    if wanted.on and ask.model.thinking != "none":
        return params.known_effort(ask, wanted)
    return wanted.effort or ("medium" if wanted.on else "none")


def _forbids_thinking(body: Json) -> bool:
    """Whether a tool is forced, or one was called whose call has lost the reasoning that led to it.

    DeepSeek refuses both while it thinks ("Thinking mode does not support this tool_choice"; guide "Thinking Mode").
    """
    is_forced = body.get("tool_choice") not in (None, "auto", "none")
    return is_forced or any(
        children(message, "tool_calls") and not text(message, "reasoning_content")
        for message in children(body, "messages")
    )


def _unknown(body: Json, model: Capabilities, quirks: Quirks) -> set[str]:
    """The fields that provider or model do not know."""
    unknown = {*quirks.unsupported, *model.unsupported, *(() if model.sampling else _SAMPLING)}
    if quirks.fields:
        unknown |= body.keys() - _ENVELOPE - {*quirks.fields, *quirks.renamed}
    return unknown


def _leave_out(body: Json, ask: params.Ask, unknown: Collection[str]) -> None:
    """What cannot be said: dropped and told, or refused where it changes the answer."""
    for name in [name for name in body if name in unknown]:
        value = body.pop(name)
        if params.is_neutral(name, value) or value == _NEUTRAL.get(name):
            continue
        if name in params.CHANGES_THE_ANSWER:
            raise unsupported(name)
        ask.dropped.drop(name)
