"""An OpenAI request as a body for Converse: what it can say, what is dropped, and what is refused.

Sources: AWS, Amazon Bedrock API Reference, "Converse", and the user guide's "Prompt caching" and "Get validated JSON
results from models". What a model takes is in the catalog; what its maker's models take alone goes by `owned_by`, for
an inference profile of one's own has a name that tells nothing.
"""

import hashlib
import re
from urllib.parse import quote

from tollgate.adapters import params, tools
from tollgate.adapters.bedrock.cache_points import cache_point, settle_points
from tollgate.adapters.bedrock.messages import Conversation, begins_signed, tool_name
from tollgate.adapters.json_access import child, count, encode, refuses_depth, text
from tollgate.adapters.params import Ask, Reasoning
from tollgate.adapters.response_format import JSON_TOOL, ONLY_JSON, FormatPlan, format_plan
from tollgate.adapters.strict_schema import is_open, strict_schema, without_branches
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json, UpstreamRequest

USUAL_MAX_TOKENS = 8192
"""`maxTokens`, which thinking within a budget needs, for a model whose most is not in the catalog."""
NO_CALLS = "Answer without calling a tool."
"""What the model is told where tools must be listed, because it has called some, and none may be called."""

_SAID = frozenset({"user", "safety_identifier", "service_tier", "cache_control"})
_LEAST_BUDGET = 1024
_TIERS = frozenset({"default", "priority", "flex", "reserved"})
_METADATA = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{1,256}", re.ASCII)
_CLAUDES_MAKER, _NOVAS_MAKER = "anthropic", "amazon"
_NOT_FOR_NOVA = frozenset({"$schema", "title", "description", "additionalProperties"})
"""With these around a tool's schema Nova passes the tool over (AWS, Amazon Nova User Guide, "Troubleshooting tool
calls").
"""


def fetches_url(url: str) -> bool:
    """None."""
    return False


@refuses_depth
def build_request(request: ChatRequest, route: Route) -> UpstreamRequest:
    """A call of Converse. Raises BadRequestError for what it cannot say and what JSON cannot."""
    body, dropped = build_body(request, route)
    # The model's name is one segment of the path, also where it is an ARN: with a bare slash it names no operation.
    operation = "converse-stream" if request.stream else "converse"
    path = f"model/{quote(route.upstream_model, safe='')}/{operation}"
    return UpstreamRequest(f"{route.provider.base_url.rstrip('/')}/{path}", encode(body), dropped=dropped)


def build_body(request: ChatRequest, route: Route) -> tuple[Json, tuple[str, ...]]:
    """The body, and what of the request is not in it. Raises BadRequestError for what changes the answer."""
    ask = params.read(request, route, _SAID)
    maker = route.model.owned_by
    wanted = params.reasoning(ask)
    plan = format_plan(request, route.model.capabilities)
    may_think = wanted.on is True or (wanted.on is None and ask.model.thinking != "budget")
    conversation = Conversation(ask.model, ask.dropped, replay=may_think and ask.model.thinking != "none")
    conversation.read(request.messages)
    body: Json = {"messages": conversation.messages, "system": conversation.system}
    _write_tools(ask, body, plan, maker)
    _write_format(ask, body, plan)
    _write_limits(ask, body)
    _write_thinking(ask, body, wanted, plan)
    _write_sampling(ask, body, maker)
    _write_rest(ask, body)
    settle_points(ask, body)
    if not body["system"]:
        del body["system"]
    return body, ask.dropped.names


def tool_names(request: ChatRequest) -> dict[str, str]:
    """Bedrock's spelling of every tool of this request, and the client's."""
    return {tool_name(name): name for name in tools.all_names(request)}


def _native(body: Json) -> Json:
    """What goes past Converse to the model, in its own words."""
    return body.setdefault("additionalModelRequestFields", {})


# --- tools ------------------------------------------------------------------------------------------------------------


def _write_tools(ask: Ask, body: Json, plan: FormatPlan, maker: str) -> None:
    """Without tools Converse takes no calls in the conversation either, and it knows no choice of none."""
    if plan == "tool":
        wanted = child(ask.request.response_format or {}, "json_schema")
        spec = _spec(JSON_TOOL, text(wanted, "description"), wanted["schema"], maker)
        body["toolConfig"] = {"tools": [spec], "toolChoice": {"tool": {"name": JSON_TOOL}}}
        return
    functions = tools.functions(ask)
    if not functions or tools.choice(ask).mode == "none":
        called = tools.called_names(ask.request.messages)
        if not called:
            return
        body["system"].append({"text": NO_CALLS})
        if not functions:
            nothing: Json = {"type": "object", "properties": {}}
            body["toolConfig"] = {"tools": [_spec(tool_name(name), None, nothing, maker) for name in called]}
            return
    body["toolConfig"] = {"tools": [block for function in functions for block in _tool(ask, function, maker)]}
    _write_choice(ask, body, maker == _CLAUDES_MAKER)


def _tool(ask: Ask, function: tools.Function, maker: str) -> list[Json]:
    schema = without_branches(function.parameters)
    spec = _spec(tool_name(function.name), function.description, schema, maker)
    if function.strict:
        if ask.model.json_schema and not is_open(schema):
            spec["toolSpec"] |= {"strict": True, "inputSchema": {"json": strict_schema(schema)}}
        else:
            ask.dropped.drop("tools.function.strict")
    point = cache_point(function.tool) or cache_point(child(function.tool, "function"))
    return [spec, *point]


def _spec(name: str, description: str | None, schema: Json, maker: str) -> Json:
    if maker == _NOVAS_MAKER:
        schema = {keyword: value for keyword, value in schema.items() if keyword not in _NOT_FOR_NOVA}
    described = {"description": description} if description and description.strip() else {}
    return {"toolSpec": {"name": name, **described, "inputSchema": {"json": schema}}}


def _write_choice(ask: Ask, body: Json, is_claude: bool) -> None:
    """`toolChoice`; where calls in parallel are forbidden, Claude's own `tool_choice`, as there may not be both."""
    wanted = tools.choice(ask)
    one_by_one = ask.given.get("parallel_tool_calls") is False and wanted.mode != "none"
    name = tool_name(wanted.named) if wanted.named is not None else None
    if one_by_one and is_claude:
        kind = {"type": "tool", "name": name} if name else {"type": "any" if wanted.mode == "any" else "auto"}
        _native(body)["tool_choice"] = {**kind, "disable_parallel_tool_use": True}
        return
    if one_by_one:
        ask.dropped.drop("parallel_tool_calls")
    if name:
        body["toolConfig"]["toolChoice"] = {"tool": {"name": name}}
    elif wanted.mode == "any":
        body["toolConfig"]["toolChoice"] = {"any": {}}


# --- format and thinking ----------------------------------------------------------------------------------------------


def _write_format(ask: Ask, body: Json, plan: FormatPlan) -> None:
    if plan == "words":
        body["system"].append({"text": ONLY_JSON})
    elif plan == "native":
        wanted = child(ask.request.response_format or {}, "json_schema")
        definition = {"schema": encode(strict_schema(wanted["schema"])).decode()}
        if name := text(wanted, "name"):
            definition["name"] = tool_name(name)
        if described := text(wanted, "description"):
            definition["description"] = described
        body["outputConfig"] = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": definition}}}


def _write_limits(ask: Ask, body: Json) -> None:
    limits: Json = {}
    if most := params.output_limit(ask):
        limits["maxTokens"] = most
    if stops := params.stop_sequences(ask):
        limits["stopSequences"] = stops
    body["inferenceConfig"] = limits


def _write_thinking(ask: Ask, body: Json, wanted: Reasoning, plan: FormatPlan) -> None:
    kind = ask.model.thinking
    if wanted.on is None:
        return
    if wanted.on is False:
        if kind == "always":
            body.setdefault("outputConfig", {})["effort"] = ask.model.efforts[0]
            ask.dropped.replace(wanted.field, ask.model.efforts[0])
        elif kind == "adaptive":
            _native(body)["thinking"] = {"type": "disabled"}
    elif kind == "none" or (_forces(ask, plan) and not ask.model.forced_tool_while_thinking):
        ask.dropped.drop(wanted.field)
    elif kind == "budget":
        _write_budget(ask, body, wanted, plan)
    else:
        if wanted.budget:
            ask.dropped.drop(f"{wanted.field}.max_tokens")
        _native(body)["thinking"] = {"type": "adaptive", "display": "omitted" if wanted.hidden else "summarized"}
        if wanted.effort is not None:
            body.setdefault("outputConfig", {})["effort"] = params.known_effort(ask, wanted)


def _forces(ask: Ask, plan: FormatPlan) -> bool:
    """Whether a tool must be called."""
    return plan == "tool" or tools.choice(ask).mode in ("any", "named")


def _write_budget(ask: Ask, body: Json, wanted: Reasoning, plan: FormatPlan) -> None:
    """Thinking within a budget; dropped where the model refuses it, which the client is told."""
    most = body["inferenceConfig"].get("maxTokens") or ask.model.max_output_tokens or USUAL_MAX_TOKENS
    half = max(most // 2, _LEAST_BUDGET)  # the rest is for the answer
    budget = min(wanted.budget or params.BUDGETS[wanted.effort or "medium"], half)
    forced = _forces(ask, plan)
    continues = body["messages"][-1]["role"] == "assistant"
    if forced or continues or not _LEAST_BUDGET <= budget < most or not begins_signed(body["messages"]):
        ask.dropped.drop(wanted.field)
        return
    body["inferenceConfig"]["maxTokens"] = most
    hidden = {"display": "omitted"} if wanted.hidden else {}
    _native(body)["thinking"] = {"type": "enabled", "budget_tokens": budget, **hidden}


# --- the rest ---------------------------------------------------------------------------------------------------------


def _write_sampling(ask: Ask, body: Json, maker: str) -> None:
    """Temperature up to 1. Claude takes one of temperature and top_p, and nothing but its default, 1, when it thinks;
    others have defaults of their own. For top_k Converse has no word, but Claude and Nova have.
    """
    is_claude = maker == _CLAUDES_MAKER
    config = body["inferenceConfig"]
    thinks = child(child(body, "additionalModelRequestFields"), "thinking").get("type") in ("enabled", "adaptive")
    for name, native in (("temperature", "temperature"), ("top_p", "topP")):
        value = ask.given.get(name)
        if value is None or (is_claude and value == 1):
            continue
        if thinks or not ask.model.sampling or (is_claude and "temperature" in config):
            ask.dropped.drop(name)
        else:
            if value > 1:
                ask.dropped.replace(name, 1)
            config[native] = min(value, 1)
    if not config:
        del body["inferenceConfig"]
    top_k = count(ask.given, "top_k")
    if top_k and is_claude and ask.model.sampling and not thinks:
        _native(body)["top_k"] = top_k
    elif top_k and maker == _NOVAS_MAKER:
        _native(body)["inferenceConfig"] = {"topK": top_k}
    elif ask.given.get("top_k") is not None:
        ask.dropped.drop("top_k")


def _write_rest(ask: Ask, body: Json) -> None:
    user = text(ask.given, "safety_identifier") or text(ask.given, "user")
    if user is not None:
        hashed = hashlib.sha256(user.encode("utf-8", "surrogatepass")).hexdigest()
        body["requestMetadata"] = {"user": user if _METADATA.fullmatch(user) else hashed}
    tier = ask.given.get("service_tier")
    if isinstance(tier, str) and tier in _TIERS:
        body["serviceTier"] = {"type": tier}
    elif tier not in (None, "auto"):
        ask.dropped.drop("service_tier")
    last = body["messages"][-1]["content"]
    if "cachePoint" not in last[-1]:
        last += cache_point(ask.given)  # the whole request is to be cached
