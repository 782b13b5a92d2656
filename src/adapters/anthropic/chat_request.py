"""An OpenAI request as a body for Anthropic's Messages API: what it can say, what is dropped, and what is refused.

Sources: Anthropic's API reference, "Create a Message", and the pages "Thinking", "Effort", "Structured outputs",
"Prompt caching" and "Service tiers". What a model takes is in the catalog.
"""

import hashlib
import re
from itertools import chain

from tollgate.adapters import params, tools
from tollgate.adapters.anthropic.messages import THINKING_TYPES, Conversation, begins_signed, cache_mark, tool_name
from tollgate.adapters.json_access import child, count, encode, refuses_depth, text
from tollgate.adapters.params import Ask, Reasoning
from tollgate.adapters.response_format import JSON_TOOL, ONLY_JSON, FormatPlan, format_plan
from tollgate.adapters.strict_schema import is_open, strict_schema, without_branches
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json, UpstreamRequest

VERSION = "2023-06-01"
"""The version of the API; later ones refuse `temperature` even where it says nothing."""
BINDING_BETA = "thinking-binding-controls-2026-08-01"

USUAL_MAX_TOKENS = 8192
"""`max_tokens`, which must be given, for a model whose most is not in the catalog."""
MAX_MARKS = 4

_SAID = frozenset({"user", "safety_identifier", "service_tier", "cache_control"})
_LEAST_BUDGET = 1024
_TIERS = {"auto": "auto", "priority": "auto", "default": "standard_only", "standard_only": "standard_only"}
_PERSONAL = re.compile(r"@|^\+?[\d\s().-]{7,}$")
"""Mail addresses and telephone numbers, which the API refuses in `metadata.user_id`."""


def fetches_url(url: str) -> bool:
    """Any that is https."""
    return True


@refuses_depth
def build_request(request: ChatRequest, route: Route) -> UpstreamRequest:
    """A Message to create. Raises BadRequestError for what Anthropic cannot say and what JSON cannot."""
    body, dropped = build_body(request, route)
    headers = {"content-type": "application/json", "anthropic-version": VERSION}
    if "block_binding" in child(body, "thinking"):
        headers["anthropic-beta"] = BINDING_BETA
    return UpstreamRequest(f"{route.provider.base_url.rstrip('/')}/messages", encode(body), headers, dropped=dropped)


def build_body(request: ChatRequest, route: Route) -> tuple[Json, tuple[str, ...]]:
    """The body, and what of the request is not in it. Raises BadRequestError for what changes the answer."""
    ask = params.read(request, route, _SAID)
    wanted = params.reasoning(ask)
    plan = format_plan(request, route.model.capabilities)
    may_think = wanted.on is True or (wanted.on is None and ask.model.thinking != "budget")
    conversation = Conversation(ask.model, ask.dropped, replay=may_think and ask.model.thinking != "none")
    conversation.read(request.messages)
    body: Json = {"model": route.upstream_model, "max_tokens": _max_tokens(ask), "messages": conversation.messages}
    _write_tools(ask, body, plan)
    _write_format(ask, body, plan, conversation.system)
    if conversation.system:
        body["system"] = conversation.system
    _write_thinking(ask, body, wanted)
    _write_binding(ask, body)
    _write_sampling(ask, body)
    _write_rest(ask, body)
    _limit_marks(ask, body)
    return body, ask.dropped.names


def tool_names(request: ChatRequest) -> dict[str, str]:
    """Anthropic's spelling of every tool of this request, and the client's."""
    return {tool_name(name): name for name in tools.all_names(request)}


def _max_tokens(ask: Ask) -> int:
    return params.output_limit(ask) or ask.model.max_output_tokens or USUAL_MAX_TOKENS


# --- tools ------------------------------------------------------------------------------------------------------------


def _write_tools(ask: Ask, body: Json, plan: FormatPlan) -> None:
    if plan == "tool":
        wanted = child(ask.request.response_format or {}, "json_schema")
        described = {"description": wanted["description"]} if text(wanted, "description") else {}
        body["tools"] = [{"name": JSON_TOOL, **described, "input_schema": wanted["schema"]}]
        body["tool_choice"] = {"type": "tool", "name": JSON_TOOL}
        return
    functions = tools.functions(ask)
    if functions:
        body["tools"] = [_tool(ask, function) for function in functions]
        if choice := _choice(ask):
            body["tool_choice"] = choice
    elif names := tools.called_names(ask.request.messages):
        # calls in the conversation need tools in the request; these are not to be called again
        nothing: Json = {"type": "object", "properties": {}}
        body["tools"] = [{"name": tool_name(name), "input_schema": nothing} for name in names]
        body["tool_choice"] = {"type": "none"}


def _tool(ask: Ask, function: tools.Function) -> Json:
    schema = without_branches(function.parameters)
    native: Json = {"name": tool_name(function.name), "input_schema": schema}
    if function.description:
        native["description"] = function.description
    if function.strict:
        if ask.model.json_schema and not is_open(schema):
            native |= {"strict": True, "input_schema": strict_schema(schema)}
        else:
            ask.dropped.drop("tools.function.strict")
    return {**native, **(cache_mark(function.tool) or cache_mark(child(function.tool, "function")))}


def _choice(ask: Ask) -> Json | None:
    """Anthropic's `tool_choice`, which is also where calls in parallel are forbidden."""
    wanted = tools.choice(ask)
    choice: Json | None = None if wanted.mode is None else {"type": wanted.mode}
    if wanted.named is not None:
        choice = {"type": "tool", "name": tool_name(wanted.named)}
    if ask.given.get("parallel_tool_calls") is False and wanted.mode != "none":
        choice = {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
    return choice


# --- format and thinking ----------------------------------------------------------------------------------------------


def _write_format(ask: Ask, body: Json, plan: FormatPlan, system: list[Json]) -> None:
    if plan == "words":
        system.append({"type": "text", "text": ONLY_JSON})
    elif plan == "native":
        wanted = child(ask.request.response_format or {}, "json_schema")
        schema = strict_schema(wanted["schema"])
        if described := text(wanted, "description"):
            schema.setdefault("description", described)
        body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}


def _write_thinking(ask: Ask, body: Json, wanted: Reasoning) -> None:
    kind = ask.model.thinking
    if wanted.on is None:
        return
    if wanted.on is False:
        if kind == "always":
            body.setdefault("output_config", {})["effort"] = ask.model.efforts[0]
            ask.dropped.replace(wanted.field, ask.model.efforts[0])
        elif kind == "adaptive":
            body["thinking"] = {"type": "disabled"}
    elif kind == "none" or (_forces(body) and not ask.model.forced_tool_while_thinking):
        ask.dropped.drop(wanted.field)
    elif kind == "budget":
        _write_budget(ask, body, wanted)
    else:
        if wanted.budget:
            ask.dropped.drop(f"{wanted.field}.max_tokens")
        body["thinking"] = {"type": "adaptive", "display": "omitted" if wanted.hidden else "summarized"}
        if wanted.effort is not None:
            body.setdefault("output_config", {})["effort"] = params.known_effort(ask, wanted)


def _write_binding(ask: Ask, body: Json) -> None:
    """Thinking that a client gives back in a conversation it has changed is to be dropped rather than fail it all."""
    blocks = chain.from_iterable(turn["content"] for turn in body["messages"])
    if ask.model.bound_thinking and any(block["type"] in THINKING_TYPES for block in blocks):
        binding = {"prefix_mismatch_behavior": "drop_block"}
        body["thinking"] = {"type": "adaptive", **child(body, "thinking"), "block_binding": binding}


def _forces(body: Json) -> bool:
    """Whether a tool must be called."""
    return child(body, "tool_choice").get("type") in ("any", "tool")


def _write_budget(ask: Ask, body: Json, wanted: Reasoning) -> None:
    """Thinking within a budget; dropped where the API refuses it, which the client is told."""
    half = max(body["max_tokens"] // 2, _LEAST_BUDGET)  # the rest is for the answer
    budget = min(wanted.budget or params.BUDGETS[wanted.effort or "medium"], half)
    continues = body["messages"][-1]["role"] == "assistant"
    if (
        _forces(body)
        or continues
        or not _LEAST_BUDGET <= budget < body["max_tokens"]
        or not begins_signed(body["messages"])
    ):
        ask.dropped.drop(wanted.field)
        return
    hidden = {"display": "omitted"} if wanted.hidden else {}
    body["thinking"] = {"type": "enabled", "budget_tokens": budget, **hidden}


# --- the rest ---------------------------------------------------------------------------------------------------------


def _write_sampling(ask: Ask, body: Json) -> None:
    """Temperature up to 1 and without top_p; a model that refuses them, or thinks, takes nothing but the default."""
    thinks = child(body, "thinking").get("type") in ("enabled", "adaptive")
    for name in ("temperature", "top_p", "top_k"):
        value = ask.given.get(name)
        if value is None or (value == 1 and name != "top_k"):  # 1 is the default of the other two
            continue
        if thinks or not ask.model.sampling or (name == "top_p" and "temperature" in body):
            ask.dropped.drop(name)
        elif name == "temperature" and value > 1:
            ask.dropped.replace(name, 1)
            body[name] = 1
        elif name == "top_k" and not count(ask.given, name):
            ask.dropped.drop(name)
        else:
            body[name] = value


def _write_rest(ask: Ask, body: Json) -> None:
    if ask.request.stream:
        body["stream"] = True
    if stops := params.stop_sequences(ask):
        body["stop_sequences"] = stops
    user = text(ask.given, "safety_identifier") or text(ask.given, "user")
    if user is not None:
        hashed = hashlib.sha256(user.encode("utf-8", "surrogatepass")).hexdigest()
        body["metadata"] = {"user_id": hashed if _PERSONAL.search(user) or len(user) > 256 else user}
    tier = ask.given.get("service_tier")
    if tier is not None:
        if isinstance(tier, str) and tier in _TIERS:
            body["service_tier"] = _TIERS[tier]
        else:
            ask.dropped.drop("service_tier")
    body.update(cache_mark(ask.given))


def _limit_marks(ask: Ask, body: Json) -> None:
    """The API takes four marks of the cache; of more, the last, which cover the most, stay."""
    blocks = chain(body.get("tools", ()), body.get("system", ()), *(turn["content"] for turn in body["messages"]))
    marked = [block for block in blocks if "cache_control" in block]
    surplus = len(marked) + ("cache_control" in body) - MAX_MARKS
    for block in marked[: max(0, surplus)]:
        del block["cache_control"]
    if surplus > 0:
        ask.dropped.drop("cache_control")
