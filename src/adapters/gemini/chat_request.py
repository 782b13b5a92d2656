"""An OpenAI request as a body for Gemini's generateContent: what it can say, what is dropped, and what is refused.

Sources: Google's "Gemini API reference", GenerateContentRequest and GenerationConfig, and the guides "Function
calling", "Structured outputs" and "Thinking". The API refuses every name it does not know. What a model takes is in
the catalog.
"""

from typing import Any, cast
from urllib.parse import quote

from tollgate.adapters import params, tools
from tollgate.adapters.dropped_params import unsupported
from tollgate.adapters.gemini.messages import FILES, Conversation, thinks_by_level, tool_name
from tollgate.adapters.json_access import child, count, encode, refuses_depth, text
from tollgate.adapters.params import Ask, Reasoning
from tollgate.adapters.response_format import ONLY_JSON
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json, UpstreamRequest

MAX_STOPS = 5
MAX_CHOICES = 8

_SAID = frozenset({"n", "seed", "logprobs", "top_logprobs", "modalities", "service_tier"})
"""Penalties are not among them: the API knows the words, but no model from 2.5 on takes them."""
_SAMPLING = {"temperature": "temperature", "top_p": "topP", "top_k": "topK"}
_MODES = {"auto": "AUTO", "none": "NONE", "any": "ANY", "named": "ANY"}
_MODALITIES = {"text": "TEXT", "image": "IMAGE"}
_TIERS = {"default": "standard", "standard": "standard", "flex": "flex", "priority": "priority"}
_LEAST_BUDGET = 512
_MOST_BUDGET = 24576
"""Between these every model that has a budget takes it (guide "Thinking")."""
_AUTOMATIC = -1
_SEEDS = range(-(2**31), 2**31)


def fetches_url(url: str) -> bool:
    """Only files that Google itself keeps."""
    return url.startswith(FILES)


@refuses_depth
def build_request(request: ChatRequest, route: Route) -> UpstreamRequest:
    """Content to generate. Raises BadRequestError for what Gemini cannot say and what JSON cannot."""
    body, dropped = build_body(request, route)
    method = "streamGenerateContent?alt=sse" if request.stream else "generateContent"
    model = quote(route.upstream_model, safe="")
    url = f"{route.provider.base_url.rstrip('/')}/models/{model}:{method}"
    return UpstreamRequest(url, encode(body), dropped=dropped)


def build_body(request: ChatRequest, route: Route) -> tuple[Json, tuple[str, ...]]:
    """The body, and what of the request is not in it. Raises BadRequestError for what changes the answer."""
    ask = params.read(request, route, _SAID)
    conversation = Conversation(ask.model, ask.dropped)
    conversation.read(request.messages)
    conversation.sign_calls()
    body: Json = {"contents": conversation.messages}
    config: Json = {}
    _write_tools(ask, body)
    _write_format(ask, body, config, conversation.system)
    if conversation.system:
        body["systemInstruction"] = {"parts": conversation.system}
    if limit := params.output_limit(ask):
        config["maxOutputTokens"] = limit
    _write_thinking(ask, config, params.reasoning(ask))
    _write_sampling(ask, config)
    _write_choices(ask, config)
    if resolution := conversation.media_resolution():
        config["mediaResolution"] = resolution
    if config:
        body["generationConfig"] = config
    _write_tier(ask, body)
    return body, ask.dropped.names


def tool_names(request: ChatRequest) -> dict[str, str]:
    """Google's spelling of every tool of this request, and the client's."""
    return {tool_name(name): name for name in tools.all_names(request)}


# --- tools and format -------------------------------------------------------------------------------------------------


def _write_tools(ask: Ask, body: Json) -> None:
    functions = tools.functions(ask)
    if not functions:
        return
    body["tools"] = [{"functionDeclarations": [_declaration(function) for function in functions]}]
    if ask.given.get("parallel_tool_calls") is False:
        ask.dropped.drop("parallel_tool_calls")
    wanted = tools.choice(ask)
    mode = _MODES[wanted.mode or "auto"]
    if mode == "AUTO" and any(function.strict for function in functions):
        mode = "VALIDATED"  # AUTO that keeps to the schemas, as ANY does anyway
    config: Json = {"mode": mode}
    if wanted.named is not None:
        config["allowedFunctionNames"] = [tool_name(wanted.named)]
    if wanted.mode is not None or mode != "AUTO":
        body["toolConfig"] = {"functionCallingConfig": config}


def _declaration(function: tools.Function) -> Json:
    native: Json = {"name": tool_name(function.name)}
    if function.description:
        native["description"] = function.description
    schema = function.parameters
    takes_nothing = schema.get("properties") == {} and not schema.get("additionalProperties")
    return native if takes_nothing else {**native, "parametersJsonSchema": _schema(schema)}


def _write_format(ask: Ask, body: Json, config: Json, system: list[Json]) -> None:
    """JSON, and its schema. Before Gemini 3 the API takes neither beside tools, but words about JSON it does."""
    wanted = ask.request.response_format or {}
    kind, schema = wanted.get("type"), child(wanted, "json_schema").get("schema")
    if kind in (None, "text"):
        return
    if kind not in ("json_object", "json_schema") or not isinstance(schema, (dict, type(None))):
        raise unsupported("response_format")
    if not ask.model.json_schema or ("tools" in body and not thinks_by_level(ask.model)):
        if schema is not None:
            raise unsupported("response_format", "Here the model cannot be held to a JSON schema.")
        system.append({"text": ONLY_JSON})
        return
    config["responseMimeType"] = "application/json"
    if schema is not None:
        described = text(child(wanted, "json_schema"), "description")
        config["responseJsonSchema"] = {**({"description": described} if described else {}), **_schema(schema)}


def _schema(schema: Any) -> Any:
    """The same JSON schema; a reference stands alone, because the API takes no other keyword beside one."""
    if isinstance(schema, list):
        return [_schema(item) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    node = {name: _schema(value) for name, value in cast(Json, schema).items()}
    if isinstance(node.get("$ref"), str) and any(not name.startswith("$") for name in node):
        return {"anyOf": [{"$ref": node.pop("$ref")}], **node}
    return node


# --- thinking ---------------------------------------------------------------------------------------------------------


def _write_thinking(ask: Ask, config: Json, wanted: Reasoning) -> None:
    by_level = thinks_by_level(ask.model)
    if wanted.on is None:
        return
    if ask.model.thinking == "none":
        if wanted.on:
            ask.dropped.drop(wanted.field)
    elif wanted.on is False and by_level:  # these think always
        config["thinkingConfig"] = {"thinkingLevel": ask.model.efforts[0].upper()}
        ask.dropped.replace(wanted.field, ask.model.efforts[0])
    elif wanted.on is False:
        config["thinkingConfig"] = {"thinkingBudget": ask.model.least_thinking}
        if ask.model.least_thinking:
            ask.dropped.replace(wanted.field, ask.model.least_thinking)
    else:
        how = _level(ask, wanted) if by_level else {"thinkingBudget": _budget(ask, config, wanted)}
        config["thinkingConfig"] = {"includeThoughts": not wanted.hidden, **how}


def _level(ask: Ask, wanted: Reasoning) -> Json:
    if wanted.budget:
        ask.dropped.drop(f"{wanted.field}.max_tokens")
    return {} if wanted.effort is None else {"thinkingLevel": params.known_effort(ask, wanted).upper()}


def _budget(ask: Ask, config: Json, wanted: Reasoning) -> int:
    """Tokens of thinking: at most half of what may be answered, which they are part of."""
    if not wanted.budget and wanted.effort is None:
        return _AUTOMATIC
    asked = wanted.budget or params.BUDGETS[wanted.effort or ""]
    most = min(_MOST_BUDGET, config.get("maxOutputTokens", 2 * _MOST_BUDGET) // 2)
    budget = max(_LEAST_BUDGET, min(asked, most))
    if wanted.budget and budget != wanted.budget:
        ask.dropped.replace(f"{wanted.field}.max_tokens", budget)
    return budget


# --- the rest ---------------------------------------------------------------------------------------------------------


def _write_sampling(ask: Ask, config: Json) -> None:
    for name, native in _SAMPLING.items():
        value = ask.given.get(name)
        if value is None:
            continue
        if not ask.model.sampling or (name == "top_k" and not count(ask.given, name)):
            ask.dropped.drop(name)
        else:
            config[native] = value
    stops = params.stop_sequences(ask)
    if len(stops) > MAX_STOPS:
        ask.dropped.drop("stop", f"The model supports up to {MAX_STOPS} stop sequences.")
    if stops:
        config["stopSequences"] = stops[:MAX_STOPS]
    seed = ask.given.get("seed")
    if isinstance(seed, int) and not isinstance(seed, bool) and seed in _SEEDS:
        config["seed"] = seed
    elif seed is not None:
        ask.dropped.drop("seed")


def _write_choices(ask: Ask, config: Json) -> None:
    """How many answers, of what kind, and how sure of their words."""
    choices = ask.request.n or 1
    if choices > MAX_CHOICES:
        raise unsupported("n", f"The model supports up to {MAX_CHOICES} choices.")
    if choices > 1:
        config["candidateCount"] = choices
    top = count(ask.given, "top_logprobs")
    if ask.given.get("logprobs") is True:
        config["responseLogprobs"] = True
        if top:
            config["logprobs"] = top
    elif top:
        raise BadRequestError("top_logprobs needs logprobs.", param="top_logprobs", code="invalid_value")
    modalities = ask.given.get("modalities")
    if modalities and not params.is_neutral("modalities", modalities):
        wanted = cast("list[Any]", modalities) if isinstance(modalities, list) else [modalities]
        if not all(isinstance(modality, str) and modality in _MODALITIES for modality in wanted):
            raise unsupported("modalities")
        config["responseModalities"] = [_MODALITIES[modality] for modality in wanted]


def _write_tier(ask: Ask, body: Json) -> None:
    tier = ask.given.get("service_tier")
    if isinstance(tier, str) and tier in _TIERS:
        body["serviceTier"] = _TIERS[tier]
    elif tier not in (None, "auto"):
        ask.dropped.drop("service_tier")
