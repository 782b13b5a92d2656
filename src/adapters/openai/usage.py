"""What a compatible server says that an answer used and cost, wherever it says it.

The shape aimed at is `CompletionUsage` of OpenAI's API reference; what else is read is named where it is read.
"""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from tollgate.adapters.json_access import child, children, count
from tollgate.gateway.types import Json, Usage

MAX_COST_USD = 1_000_000
_INPUT = ("prompt_tokens", "input_tokens")
_OUTPUT = ("completion_tokens", "output_tokens")
_CACHED = ("cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens")
"""Moonshot's and OpenAI's, DeepSeek's, Anthropic's names."""
_WRITTEN = ("cache_write_tokens", "cache_creation_tokens", "cache_creation_input_tokens")


def read_usage(answer: Json) -> Usage | None:
    """The usage of an answer or of an event; None where nothing is counted in it: a count of zero is none."""
    usage = _usage_of(answer)
    if not usage:
        return None  # as in most events
    read = _counted(usage)
    cost = _cost(usage)
    if cost is None or (cost == 0 and not (read.input_tokens or read.output_tokens)):
        return read if read.input_tokens or read.output_tokens else None
    return replace(read, cost_usd=cost)


def _usage_of(answer: Json) -> Json:
    """`usage`, Groq's `x_groq.usage`, or Moonshot's in the last choice that has one."""
    usage = child(answer, "usage") or child(child(answer, "x_groq"), "usage")
    if usage:
        return usage
    in_choices = (child(choice, "usage") for choice in reversed(children(answer, "choices")))
    return next((usage for usage in in_choices if usage), usage)


def _counted(usage: Json) -> Usage:
    prompt = child(usage, "prompt_tokens_details") or child(usage, "input_tokens_details")
    completion = child(usage, "completion_tokens_details") or child(usage, "output_tokens_details")
    given, written = _largest(usage, _INPUT), max(_largest(prompt, _WRITTEN), _largest(usage, _WRITTEN))
    cached = max(_largest(prompt, _CACHED), _largest(usage, _CACHED))
    reasoning = max(count(completion, "reasoning_tokens"), count(usage, "reasoning_tokens"))
    given, said = _whole(usage, given, _largest(usage, _OUTPUT), reasoning, cached + written)
    cached = min(cached, given)  # they are part of it, whatever a server says
    return Usage(
        input_tokens=given,
        output_tokens=said,
        cached_tokens=cached,
        cache_write_tokens=min(written, given - cached),
        input_audio_tokens=count(prompt, "audio_tokens"),
        reasoning_tokens=min(reasoning, said),
        output_audio_tokens=count(completion, "audio_tokens"),
        accepted_prediction_tokens=count(completion, "accepted_prediction_tokens"),
        rejected_prediction_tokens=count(completion, "rejected_prediction_tokens"),
    )


def _whole(usage: Json, given: int, said: int, reasoning: int, apart: int) -> tuple[int, int]:
    """Input and output, with what is counted beside them, which the total tells.

    xAI counts reasoning beside `completion_tokens` (its documentation, "Reasoning"), and Google's compatible endpoint
    counts thoughts in the total alone. Where just as much is missing as was cached, and no reasoning, it is that.
    """
    total = count(usage, "total_tokens")
    missing = total - given - said if total else reasoning if reasoning > said else 0
    if not given or missing <= 0:
        return given, said
    return (given + missing, said) if missing == apart and missing != reasoning else (given, said + missing)


def _largest(counts: Json, names: tuple[str, ...]) -> int:
    return max(count(counts, name) for name in names)


def _cost(usage: Json) -> Decimal | None:
    """OpenRouter's `usage.cost`, or the total of Perplexity's, in USD.

    Where the key is the owner's own with the model's provider, OpenRouter's cost is its fee alone, and what that
    provider bills stands beside it (OpenRouter's documentation, "BYOK" and "Usage Accounting"); None where it does not.
    """
    cost = _dollars(usage.get("cost"))
    if cost is None:
        cost = _dollars(child(usage, "cost").get("total_cost"))
    if usage.get("is_byok") is not True:
        return cost
    billed = _dollars(child(usage, "cost_details").get("upstream_inference_cost"))
    return None if billed is None else (cost or Decimal(0)) + billed


def _dollars(cost: Any) -> Decimal | None:
    """USD; what no answer can cost is no cost."""
    known = isinstance(cost, int | float) and not isinstance(cost, bool) and 0 <= cost < MAX_COST_USD
    return Decimal(str(cost)) if known else None
