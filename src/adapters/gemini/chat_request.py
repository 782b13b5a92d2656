"""Writes an OpenAI chat request as a body for Gemini's generateContent.

Sources: Google's "Gemini API reference", GenerateContentRequest and GenerationConfig, and the guides "Structured
outputs" and "Thinking". The API refuses unknown fields. What a model supports is in the catalog.
"""

from typing import Any, cast
from urllib.parse import quote

from tollgate.adapters.dropped_params import unsupported
from tollgate.adapters.gemini.messages import FILES_URL, FORMAT, GeminiBlocks, sign_calls, thinks_by_level
from tollgate.adapters.gemini.thinking import thinking_config
from tollgate.adapters.gemini.tool_config import json_schema_of, tool_fields
from tollgate.adapters.json_access import count, encode, text
from tollgate.adapters.messages import Conversation
from tollgate.adapters.params import ParamReader, is_neutral
from tollgate.adapters.response_format import ONLY_JSON
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json, UpstreamRequest

MAX_STOPS = 5
MAX_CHOICES = 8
SUPPORTED = frozenset({"n", "seed", "logprobs", "top_logprobs", "modalities", "service_tier"})
"""Parameters that the API has beside those that every family reads. Penalties are absent: the API has fields for them,
but no model from 2.5 on takes them."""

_SAMPLING = {"temperature": "temperature", "top_p": "topP", "top_k": "topK"}
_MODALITIES = {"text": "TEXT", "image": "IMAGE"}
_TIERS = {"default": "standard", "standard": "standard", "flex": "flex", "priority": "priority"}
_SEEDS = range(-(2**31), 2**31)


def fetches_url(url: str) -> bool:
    """Whether Google fetches an image from this URL: only files that it stores itself."""
    return url.startswith(FILES_URL)


def build_request(params: ParamReader, route: Route) -> UpstreamRequest:
    """The request to generate content. Raises BadRequestError for what the API or JSON cannot express."""
    method = "streamGenerateContent?alt=sse" if params.request.stream else "generateContent"
    model = quote(route.upstream_model, safe="")
    url = f"{route.provider.base_url.rstrip('/')}/models/{model}:{method}"
    return UpstreamRequest(url, encode(_body(params)), dropped=params.dropped.names)


def _body(params: ParamReader) -> Json:
    capabilities = params.capabilities
    blocks = GeminiBlocks(capabilities, params.dropped)
    conversation = Conversation(blocks, FORMAT, capabilities, params.dropped)
    conversation.read(params.request.messages)
    if thinks_by_level(capabilities):
        sign_calls(conversation.messages)
    tools = tool_fields(params)
    format_config, instruction = _response_format(params, has_tools=bool(tools))
    limit = params.output_limit()
    thinking = thinking_config(params, params.reasoning(), limit)
    config = {
        **format_config,
        **({"maxOutputTokens": limit} if limit else {}),
        **({"thinkingConfig": thinking} if thinking else {}),
        **_sampling(params),
        **_choices(params),
        **_modalities(params),
    }
    if resolution := blocks.media_resolution():
        config["mediaResolution"] = resolution
    system = [*conversation.system, *([{"text": instruction}] if instruction else [])]
    return {
        "contents": conversation.messages,
        **tools,
        **({"systemInstruction": {"parts": system}} if system else {}),
        **({"generationConfig": config} if config else {}),
        **_service_tier(params),
    }


def _response_format(params: ParamReader, has_tools: bool) -> tuple[Json, str | None]:
    """Fields of the generation config for JSON, or an instruction.

    Before Gemini 3 the API takes neither a media type nor a schema together with tools, but an instruction.
    """
    response_format = params.request.response_format or {}
    kind, schema = response_format.get("type"), params.json_schema.get("schema")
    if kind in (None, "text"):
        return {}, None
    if kind not in ("json_object", "json_schema") or not isinstance(schema, (dict, type(None))):
        raise unsupported("response_format")
    if not params.capabilities.json_schema or (has_tools and not thinks_by_level(params.capabilities)):
        if schema is not None:
            raise unsupported("response_format", "The model does not support a JSON schema in this request.")
        return {}, ONLY_JSON
    config: Json = {"responseMimeType": "application/json"}
    if schema is not None:
        description = text(params.json_schema, "description")
        described: Json = {"description": description} if description else {}
        config["responseJsonSchema"] = {**described, **json_schema_of(schema)}
    return config, None


def _sampling(params: ParamReader) -> Json:
    config: Json = {}
    for name, native in _SAMPLING.items():
        value = params.fields.get(name)
        if value is None:
            continue
        if not params.capabilities.sampling or (name == "top_k" and not count(params.fields, name)):
            params.dropped.drop(name)
        else:
            config[native] = value
    stops = params.stop_sequences()
    if len(stops) > MAX_STOPS:
        params.dropped.drop("stop", f"The model supports up to {MAX_STOPS} stop sequences.")
    if stops:
        config["stopSequences"] = stops[:MAX_STOPS]
    seed = params.fields.get("seed")
    if isinstance(seed, int) and not isinstance(seed, bool) and seed in _SEEDS:
        config["seed"] = seed
    elif seed is not None:
        params.dropped.drop("seed")
    return config


def _choices(params: ParamReader) -> Json:
    """The number of candidates and their log probabilities."""
    config: Json = {}
    choices = params.request.n or 1
    if choices > MAX_CHOICES:
        raise unsupported("n", f"The model supports up to {MAX_CHOICES} choices.")
    if choices > 1:
        config["candidateCount"] = choices
    top = count(params.fields, "top_logprobs")
    if params.fields.get("logprobs") is True:
        config["responseLogprobs"] = True
        if top:
            config["logprobs"] = top
    elif top:
        raise BadRequestError("top_logprobs requires logprobs.", param="top_logprobs", code="invalid_value")
    return config


def _modalities(params: ParamReader) -> Json:
    modalities = params.fields.get("modalities")
    if not modalities or is_neutral("modalities", modalities):
        return {}
    names = cast("list[Any]", modalities) if isinstance(modalities, list) else [modalities]
    if not all(isinstance(name, str) and name in _MODALITIES for name in names):
        raise unsupported("modalities")
    return {"responseModalities": [_MODALITIES[name] for name in names]}


def _service_tier(params: ParamReader) -> Json:
    tier = params.fields.get("service_tier")
    if isinstance(tier, str) and tier in _TIERS:
        return {"serviceTier": _TIERS[tier]}
    if tier not in (None, "auto"):
        params.dropped.drop("service_tier")
    return {}
