"""Reads the usage and the cost that compatible servers report, from all the fields that they use.

The target is `CompletionUsage` of OpenAI's API reference; other sources are named where they are read.
"""

from decimal import Decimal
from typing import Any

from tollgate.adapters.json_access import child, children, count
from tollgate.gateway.types import Json, Usage

MAX_COST_USD = 1_000_000
_INPUT = ("prompt_tokens", "input_tokens")
_OUTPUT = ("completion_tokens", "output_tokens")
_CACHED = ("cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens")
"""Moonshot's and OpenAI's, DeepSeek's, Anthropic's names."""
_CACHE_WRITE = ("cache_write_tokens", "cache_creation_tokens", "cache_creation_input_tokens")


def read_usage(response: Json) -> Usage | None:
    """The usage of a response or an event; None if all counts are zero."""
    fields = _usage_fields(response)
    if not fields:
        return None  # as in most events
    usage = _counted(fields)
    cost = _cost(fields)
    if cost is None or (cost == 0 and not (usage.input_tokens or usage.output_tokens)):
        return usage if usage.input_tokens or usage.output_tokens else None
    return usage._replace(cost_usd=cost)


def _usage_fields(response: Json) -> Json:
    """`usage`, Groq's `x_groq.usage`, or Moonshot's in the last choice that has one."""
    fields = child(response, "usage") or child(child(response, "x_groq"), "usage")
    if fields:
        return fields
    in_choices = (child(choice, "usage") for choice in reversed(children(response, "choices")))
    return next((fields for fields in in_choices if fields), fields)


def _counted(fields: Json) -> Usage:
    prompt = child(fields, "prompt_tokens_details") or child(fields, "input_tokens_details")
    completion = child(fields, "completion_tokens_details") or child(fields, "output_tokens_details")
    written = max(_largest(prompt, _CACHE_WRITE), _largest(fields, _CACHE_WRITE))
    cached = max(_largest(prompt, _CACHED), _largest(fields, _CACHED))
    reasoning = max(count(completion, "reasoning_tokens"), count(fields, "reasoning_tokens"))
    input_tokens, output_tokens = _with_missing(fields, reasoning, cached + written)
    cached = min(cached, input_tokens)  # cached tokens are part of the input
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cached_tokens=cached,
        cache_write_tokens=min(written, input_tokens - cached),
        input_audio_tokens=count(prompt, "audio_tokens"),
        input_image_tokens=min(count(prompt, "image_tokens"), input_tokens),
        reasoning_tokens=min(reasoning, output_tokens),
        output_audio_tokens=count(completion, "audio_tokens"),
        accepted_prediction_tokens=count(completion, "accepted_prediction_tokens"),
        rejected_prediction_tokens=count(completion, "rejected_prediction_tokens"),
    )


def _with_missing(fields: Json, reasoning: int, cached_and_written: int) -> tuple[int, int]:
    """Input and output tokens, with those that only the total includes.

    xAI counts reasoning beside `completion_tokens` (its documentation, "Reasoning"), and Google's compatible endpoint
    counts thoughts in the total alone. If exactly the cached tokens are missing, and not the reasoning, they are input.
    """
    input_tokens, output_tokens = _largest(fields, _INPUT), _largest(fields, _OUTPUT)
    uncounted_reasoning = reasoning if reasoning > output_tokens else 0
    total = count(fields, "total_tokens")
    missing = total - input_tokens - output_tokens if total else uncounted_reasoning
    if not input_tokens or missing <= 0:
        return input_tokens, output_tokens
    if missing == cached_and_written and missing != reasoning:
        return input_tokens + missing, output_tokens
    return input_tokens, output_tokens + missing


def _largest(fields: Json, names: tuple[str, ...]) -> int:
    if not fields:
        return 0
    return max([count(fields, name) for name in names])


def _cost(fields: Json) -> Decimal | None:
    """OpenRouter's `usage.cost`, or Perplexity's total, in USD.

    If the owner's own key for the model's provider is used, OpenRouter's cost is its fee alone, and the provider's cost
    is a separate field (OpenRouter's documentation, "BYOK" and "Usage Accounting"); None if that is missing.
    """
    cost = _usd(fields.get("cost"))
    if cost is None:
        cost = _usd(child(fields, "cost").get("total_cost"))
    if fields.get("is_byok") is not True:
        return cost
    provider_cost = _usd(child(fields, "cost_details").get("upstream_inference_cost"))
    return None if provider_cost is None else (cost or Decimal(0)) + provider_cost


def _usd(value: Any) -> Decimal | None:
    """USD; None for a value that cannot be a response's cost."""
    is_cost = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < MAX_COST_USD
    return Decimal(str(value)) if is_cost else None
