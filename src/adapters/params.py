"""What a client asks for, read once, for the families whose words are not OpenAI's.

A family says what it can; what it cannot is refused where it changes the answer, else dropped and told. Whatever a
model takes or refuses is in its capabilities.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from tollgate.adapters.dropped_params import DroppedParams, unsupported
from tollgate.adapters.json_access import child, count
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.quirks import Capabilities, Effort
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json

EFFORTS: tuple[str, ...] = get_args(Effort)
BUDGETS: Mapping[str, int] = {
    "minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 24576, "max": 32768,
}  # fmt: skip
"""Tokens of thinking that an effort stands for, where a model takes a budget."""

CHANGES_THE_ANSWER = frozenset({
    "n", "audio", "modalities", "logprobs", "top_logprobs", "functions", "function_call", "web_search_options",
    "moderation", "plugins", "stop", "tools", "tool_choice", "response_format",
})  # fmt: skip
"""Fields that change what the answer is: whoever cannot say one refuses the request. The others are dropped."""

_NEUTRAL: Mapping[str, Any] = {
    "n": 1, "top_logprobs": 0, "presence_penalty": 0, "frequency_penalty": 0,
    "modalities": ["text"], "verbosity": "medium", "repetition_penalty": 1, "min_p": 0, "top_a": 0,
}  # fmt: skip
"""Values that ask for nothing: with them a field is as good as not given."""

_SAID_BY_ALL = frozenset({
    "model", "messages", "stream", "stream_options", "provider", "usage", "max_tokens", "max_completion_tokens", "stop",
    "temperature", "top_p", "top_k", "tools", "tool_choice", "parallel_tool_calls", "response_format",
    "reasoning_effort", "reasoning", "include_reasoning", "thinking",
})  # fmt: skip
"""Fields that every family reads, and answers for by itself."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request while it is translated: its fields but the messages as given, without nulls, and what is lost."""

    request: ChatRequest
    given: Json
    model: Capabilities
    dropped: DroppedParams


@dataclass(frozen=True, slots=True)
class Reasoning:
    """What the client asks of thinking, and in which field; `on` is None where it asks nothing.

    `budget` is in tokens, 0 where none is given.
    """

    field: str = "reasoning_effort"
    on: bool | None = None
    effort: str | None = None
    budget: int = 0
    hidden: bool = False


def read(request: ChatRequest, route: Route, said: frozenset[str]) -> Ask:
    """The request of a family that knows a word for each field in `said`, beside those that all know.

    Raises BadRequestError for a field that it has no word for and that changes the answer.
    """
    extra = request.model_extra or {}
    declared = {name: getattr(request, name) for name in type(request).model_fields if name != "messages"}
    given = {**extra, **{name: value for name, value in declared.items() if value is not None}}
    ask = Ask(request, given, route.model.capabilities, DroppedParams(request))
    for name, value in [*given.items()]:
        known = (name in _SAID_BY_ALL or name in said) and name not in ask.model.unsupported
        if known or is_neutral(name, value):
            continue
        if name in CHANGES_THE_ANSWER:
            raise unsupported(name)
        ask.dropped.drop(name)
        del given[name]
    return ask


def is_neutral(name: str, value: Any) -> bool:
    """Whether a field with this value is as good as not given."""
    if name == "include_reasoning":
        return value is not False  # reasoning is told unless it is to be hidden
    return value is False or value in (None, "", [], {}) or value == _NEUTRAL.get(name)


def output_limit(ask: Ask) -> int | None:
    """The most tokens the client wants, at most what the model can; None where it says nothing."""
    most, wanted = ask.model.max_output_tokens, ask.request.output_limit
    if wanted is not None and most is not None and wanted > most:
        ask.dropped.replace("max_completion_tokens" if ask.request.max_completion_tokens else "max_tokens", most)
        return most
    return wanted


def stop_sequences(ask: Ask) -> list[str]:
    """`stop`, as a list; without sequences of white space alone, which no family but OpenAI's takes."""
    stop = ask.request.stop
    sequences = [stop] if isinstance(stop, str) else stop or []
    kept = [sequence for sequence in sequences if sequence.strip()]
    if len(kept) < len(sequences):
        ask.dropped.drop("stop", "The model does not support stop sequences of white space alone.")
    return kept


def reasoning(ask: Ask) -> Reasoning:
    """OpenAI's `reasoning_effort`, OpenRouter's `reasoning`, or Anthropic's own `thinking`."""
    asked, native = child(ask.given, "reasoning"), child(ask.given, "thinking")
    field = next((name for name in ("reasoning_effort", "reasoning", "thinking") if name in ask.given), "")
    effort = ask.given.get("reasoning_effort") or asked.get("effort")
    budget = count(asked, "max_tokens") or count(native, "budget_tokens")
    hidden = asked.get("exclude") is True or ask.given.get("include_reasoning") is False
    if effort is not None and effort != "none" and effort not in EFFORTS:
        raise BadRequestError(f"{str(effort)[:50]!r} is no effort of reasoning.", param=field, code="invalid_value")
    if effort == "none" or (effort is None and (asked.get("enabled") is False or native.get("type") == "disabled")):
        return Reasoning(field, on=False)
    wanted = effort or budget or asked.get("enabled") is True or native.get("type") in ("enabled", "adaptive")
    return Reasoning(field, True if wanted else None, effort, budget, hidden)


def known_effort(ask: Ask, wanted: Reasoning) -> str:
    """The highest effort the model knows that is not above the one asked for, else its lowest."""
    asked = wanted.effort or "medium"
    known = [effort for effort in ask.model.efforts if EFFORTS.index(effort) <= EFFORTS.index(asked)]
    effort = known[-1] if known else ask.model.efforts[0]
    if effort != asked:
        ask.dropped.replace(wanted.field, effort)
    return effort
