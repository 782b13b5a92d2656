"""Writes `thinkingConfig` of a Gemini request (Google's guide "Thinking")."""

from tollgate.adapters.gemini.messages import thinks_by_level
from tollgate.adapters.params import THINKING_BUDGETS, ParamReader, Reasoning
from tollgate.gateway.types import Json

_MIN_BUDGET = 512
_MAX_BUDGET = 24576
"""Between these every model with a budget accepts it (guide "Thinking")."""
_AUTOMATIC = -1


def thinking_config(params: ParamReader, reasoning: Reasoning, output_limit: int | None) -> Json:
    """How the model thinks; what it does not support is dropped. Empty means the model's default."""
    by_level = thinks_by_level(params.capabilities)
    if reasoning.on is None:
        return {}
    if params.capabilities.thinking == "none":
        if reasoning.on:
            params.dropped.drop(reasoning.field)
        return {}
    if reasoning.on is False:
        return _lowest_level(params, reasoning) if by_level else _lowest_budget(params, reasoning)
    config: Json = {"includeThoughts": not reasoning.hidden}
    if by_level:
        return {**config, **_level(params, reasoning)}
    return {**config, "thinkingBudget": _budget(params, reasoning, output_limit)}


def _lowest_level(params: ParamReader, reasoning: Reasoning) -> Json:
    """The lowest level: models that think by level always think."""
    lowest = params.capabilities.efforts[0]
    params.dropped.replace(reasoning.field, lowest)
    return {"thinkingLevel": lowest.upper()}


def _lowest_budget(params: ParamReader, reasoning: Reasoning) -> Json:
    lowest = params.capabilities.min_thinking_budget
    if lowest:
        params.dropped.replace(reasoning.field, lowest)
    return {"thinkingBudget": lowest}


def _level(params: ParamReader, reasoning: Reasoning) -> Json:
    if reasoning.budget:
        params.dropped.drop(f"{reasoning.field}.max_tokens")
    return {} if reasoning.effort is None else {"thinkingLevel": params.supported_effort(reasoning).upper()}


def _budget(params: ParamReader, reasoning: Reasoning, output_limit: int | None) -> int:
    """The budget in tokens: at most half of the output limit, which includes thinking."""
    if not reasoning.budget and reasoning.effort is None:
        return _AUTOMATIC
    requested = reasoning.budget or THINKING_BUDGETS[reasoning.effort or ""]
    maximum = min(_MAX_BUDGET, (output_limit or 2 * _MAX_BUDGET) // 2)
    budget = max(_MIN_BUDGET, min(requested, maximum))
    if reasoning.budget and budget != reasoning.budget:
        params.dropped.replace(f"{reasoning.field}.max_tokens", budget)
    return budget
