"""Models as OpenAI ("List models") and OpenRouter ("Models API Standard") describe them."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from msgspec.structs import asdict

from tollgate.adapters.clients.supported_parameters import supported_parameters
from tollgate.gateway.catalog import Model, Provider
from tollgate.gateway.prices import Prices
from tollgate.gateway.routing import Route
from tollgate.gateway.speed import Speed
from tollgate.gateway.types import Json


def describe(model: Model, name: str, provider: Provider) -> Json:
    """One model under this name; `provider` is that of its first route.

    Beside OpenRouter's fields it has `operations`: what the model can be used for.
    """
    limit = model.capabilities.max_output_tokens
    return {
        "id": name,
        "canonical_slug": model.id,
        "object": "model",
        "created": unix_midnight(model),
        "owned_by": model.owned_by,
        "name": name,
        "context_length": model.context_length,
        "architecture": _architecture(model),
        "pricing": _pricing(model, model.prices),
        "top_provider": {
            "context_length": model.context_length,
            "max_completion_tokens": limit,
            "is_moderated": False,
        },
        "per_request_limits": None,
        "supported_parameters": supported_parameters(model, provider),
        "operations": list(model.operations),
    }


def describe_endpoints(model: Model, name: str, routes: Sequence[tuple[Route, Speed, bool]]) -> Json:
    """The routes of a model, as OpenRouter lists its endpoints ("List all endpoints for a model").

    Each comes with its speed, and whether it is on cooldown: its status is then -1. `latency` is in seconds and
    `throughput` in tokens per second; both are averages, so that there are no percentiles.
    """
    return {
        "id": name,
        "name": name,
        "created": unix_midnight(model),
        "description": "",
        "architecture": _architecture(model),
        "endpoints": [
            {
                "name": f"{route.provider.name} | {route.upstream_model}",
                "model_name": name,
                "provider_name": route.provider.name,
                "tag": route.provider.name,
                "context_length": model.context_length,
                "max_completion_tokens": model.capabilities.max_output_tokens,
                "max_prompt_tokens": None,
                "quantization": route.quantization or "unknown",
                "pricing": _pricing(model, route.prices),
                "supported_parameters": supported_parameters(model, route.provider),
                "status": -1 if is_on_cooldown else 0,
                "uptime_last_30m": None,
                "latency_last_30m": None,
                "throughput_last_30m": None,
                "latency": speed.latency,
                "throughput": speed.throughput,
            }
            for route, speed, is_on_cooldown in routes
        ],
    }


def describe_provider(provider: Provider) -> Json:
    """One provider, as OpenRouter lists them ("List all providers")."""
    links = dict.fromkeys(("privacy_policy_url", "terms_of_service_url", "status_page_url"))
    return {"name": provider.name, "slug": provider.name.lower(), **links, "data_collection": provider.data_collection}


def _architecture(model: Model) -> Json:
    inputs, _, outputs = model.architecture.modality.partition("->")
    modalities = {"input_modalities": inputs.split("+"), "output_modalities": outputs.split("+")}
    return {**asdict(model.architecture), **modalities}


def unix_midnight(model: Model) -> int:
    """Unix time of the day, UTC, on which the model was first offered: 0 if it is unknown."""
    return (model.created.toordinal() - 719_163) * 86_400  # the epoch is day 719163 of the calendar


def _pricing(model: Model, prices: Prices | None) -> Mapping[str, str]:
    """USD per token, per request and per other unit as strings. What has no price has no entry, rather than zero.

    OpenRouter's name for the searches of a chat model is `web_search`.
    """
    if prices is None:
        return {}
    per_token = {
        "prompt": prices.input_usd_per_mtok,
        "completion": prices.output_usd_per_mtok,
        "internal_reasoning": prices.reasoning_usd_per_mtok,
        "audio": prices.input_audio_usd_per_mtok,
        "input_cache_read": prices.cached_usd_per_mtok,
        "input_cache_write": prices.cache_write_usd_per_mtok,
    }
    tokens = {name: _text(price / 1_000_000) for name, price in per_token.items() if price is not None}
    names = {"searches": "web_search"} if "chat" in model.operations else {}
    units = {names.get(unit, unit): _text(price) for unit, price in prices.usd_per_unit.items()}
    return {**tokens, "request": "0", **units}


def _text(usd: Decimal) -> str:
    return f"{usd.normalize():f}"
