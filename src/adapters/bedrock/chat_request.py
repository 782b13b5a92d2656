"""Writes an OpenAI chat request as a body for Converse.

Sources: AWS, Amazon Bedrock API Reference, "Converse", and the user guide's "Prompt caching" and "Get validated JSON
results from models". What a model supports is in the catalog, because an inference profile's name does not tell which
model it serves.
"""

import re
from urllib.parse import quote

from tollgate.adapters.bedrock.cache_points import cache_point, place_cache_points
from tollgate.adapters.bedrock.documents import complete_documents
from tollgate.adapters.bedrock.messages import FORMAT, BedrockBlocks, allows_thinking_budget, tool_name
from tollgate.adapters.bedrock.tool_config import ToolConfig, json_tool_config, tool_config
from tollgate.adapters.chat_plan import ChatPlan
from tollgate.adapters.claude import DEFAULT_MAX_TOKENS, Thinking, plan_thinking, sends_thinking_back
from tollgate.adapters.identifiers import hash_identifier
from tollgate.adapters.json_access import count, encode, text
from tollgate.adapters.messages import Conversation
from tollgate.adapters.params import ParamReader, Reasoning
from tollgate.adapters.response_format import ONLY_JSON, FormatPlan
from tollgate.adapters.strict_schema import strict_schema
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json, UpstreamRequest

SUPPORTED = frozenset({"user", "safety_identifier", "service_tier", "cache_control"})
"""Parameters that the API has beside those that every family reads."""

_TIERS = frozenset({"default", "priority", "flex", "reserved"})
_METADATA = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{1,256}", re.ASCII)


def fetches_url(url: str) -> bool:
    """Whether Bedrock fetches an image from this URL: it fetches none."""
    return False


def build_request(params: ParamReader, route: Route, plan: ChatPlan) -> UpstreamRequest:
    """The request to Converse. Raises BadRequestError for what the API or JSON cannot express."""
    body = _body(params, plan)
    # The model is one segment of the path, also if it is an ARN: with a bare slash the path has no operation.
    operation = "converse-stream" if params.request.stream else "converse"
    path = f"model/{quote(route.upstream_model, safe='')}/{operation}"
    return UpstreamRequest(f"{route.provider.base_url.rstrip('/')}/{path}", encode(body), dropped=params.dropped.names)


def _body(params: ParamReader, plan: ChatPlan) -> Json:
    reasoning = params.reasoning()
    system, messages = _conversation(params, reasoning)
    tools = json_tool_config(params) if plan.json_by_tool else tool_config(params, plan.called_tools)
    instructions = [tools.instruction, ONLY_JSON if plan.format == "instruction" else None]
    system += [{"text": instruction} for instruction in instructions if instruction is not None]
    limit, stops = params.output_limit(), params.stop_sequences()
    max_tokens = limit or params.capabilities.max_output_tokens or DEFAULT_MAX_TOKENS
    thinking = plan_thinking(
        params,
        reasoning,
        max_tokens=max_tokens,
        is_tool_forced=tools.is_forced,
        allows_budget=allows_thinking_budget(messages),
    )
    has_budget = "budget_tokens" in (thinking.config or {})
    inference_config = {
        **({"maxTokens": max_tokens} if limit or has_budget else {}),
        **({"stopSequences": stops} if stops else {}),
        **_sampling(params, thinking.is_on),
    }
    native_fields = _native_fields(params, tools, thinking)
    options = _options(params)
    if "cachePoint" not in messages[-1]["content"][-1]:
        messages[-1]["content"] += cache_point(params.fields)  # the whole request is to be cached
    place_cache_points(params, tools.tools, system, messages)
    fragments = {
        "system": system,
        "toolConfig": _tool_config_fields(tools),
        "outputConfig": _output_config(params, plan.format, thinking.effort),
        "inferenceConfig": inference_config,
        "additionalModelRequestFields": native_fields,
        **options,
    }
    return {"messages": messages, **{name: value for name, value in fragments.items() if value}}


def _conversation(params: ParamReader, reasoning: Reasoning) -> tuple[list[Json], list[Json]]:
    """`system` and `messages`."""
    capabilities = params.capabilities
    send_thinking = sends_thinking_back(capabilities, reasoning)
    blocks = BedrockBlocks(params.dropped)
    conversation = Conversation(blocks, FORMAT, capabilities, params.dropped, send_thinking=send_thinking)
    conversation.read(params.request.messages)
    complete_documents(conversation.messages)
    return conversation.system, conversation.messages


def _tool_config_fields(config: ToolConfig) -> Json:
    if not config.tools:
        return {}
    return {"tools": config.tools, **({"toolChoice": config.choice} if config.choice else {})}


def _output_config(params: ParamReader, format_plan: FormatPlan, effort: str | None) -> Json:
    config: Json = {} if effort is None else {"effort": effort}
    if format_plan == "native":
        definition = {"schema": encode(strict_schema(params.json_schema["schema"])).decode()}
        if name := text(params.json_schema, "name"):
            definition["name"] = tool_name(name)
        if description := text(params.json_schema, "description"):
            definition["description"] = description
        config["textFormat"] = {"type": "json_schema", "structure": {"jsonSchema": definition}}
    return config


def _sampling(params: ParamReader, thinks: bool) -> Json:
    """Temperature and top_p, each up to 1; one of them if the model takes only one."""
    is_exclusive = params.capabilities.exclusive_sampling
    sampling: Json = {}
    for name, native in (("temperature", "temperature"), ("top_p", "topP")):
        value = params.fields.get(name)
        if value is None or (is_exclusive and value == 1):
            continue
        if thinks or not params.capabilities.sampling or (is_exclusive and sampling):
            params.dropped.drop(name)
        else:
            if value > 1:
                params.dropped.replace(name, 1)
            sampling[native] = min(value, 1)
    return sampling


def _native_fields(params: ParamReader, tools: ToolConfig, thinking: Thinking) -> Json:
    """Fields that Bedrock passes to the model unchanged: Converse has no fields for these."""
    top_k, field = count(params.fields, "top_k"), params.capabilities.top_k_field
    fields: Json = {}
    if top_k and field is not None and params.capabilities.sampling and not thinking.is_on:
        fields = {"top_k": top_k} if field == "top_k" else {"inferenceConfig": {"topK": top_k}}
    elif params.fields.get("top_k") is not None:
        params.dropped.drop("top_k")
    if tools.native_choice:
        fields["tool_choice"] = tools.native_choice
    if thinking.config:
        fields["thinking"] = thinking.config
    return fields


def _options(params: ParamReader) -> Json:
    options: Json = {}
    if user := params.user:
        options["requestMetadata"] = {"user": user if _METADATA.fullmatch(user) else hash_identifier(user)}
    tier = params.fields.get("service_tier")
    if isinstance(tier, str) and tier in _TIERS:
        options["serviceTier"] = {"type": tier}
    elif tier not in (None, "auto"):
        params.dropped.drop("service_tier")
    return options
