"""Reads the parameters of a chat request for the families whose API is not OpenAI's.

A family names the parameters that it supports. Of the others, those that change the answer are refused and the rest is
dropped and reported. What a model supports is in its capabilities.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from tollgate.adapters.dropped_params import DroppedParams, unsupported
from tollgate.adapters.json_access import child, count, text
from tollgate.gateway.chat import ChatRequest, NativeBody
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.quirks import Capabilities, Effort
from tollgate.gateway.types import Json

EFFORTS: tuple[str, ...] = get_args(Effort)
THINKING_BUDGETS: Mapping[str, int] = {
    "minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 24576, "max": 32768,
}  # fmt: skip
"""The thinking budget in tokens for each effort, for models that take a budget."""

CHANGES_THE_ANSWER = frozenset({
    "n", "audio", "modalities", "logprobs", "top_logprobs", "functions", "function_call", "web_search_options",
    "moderation", "plugins", "stop", "tools", "tool_choice", "response_format",
})  # fmt: skip
"""Parameters that change the answer: a request with an unsupported one is refused. The others are dropped."""

_NEUTRAL: Mapping[str, Any] = {
    "n": 1, "top_logprobs": 0, "presence_penalty": 0, "frequency_penalty": 0,
    "modalities": ["text"], "verbosity": "medium", "repetition_penalty": 1, "min_p": 0, "top_a": 0,
}  # fmt: skip
"""Values that have no effect: a parameter with one is treated as absent."""

_READ_BY_ALL_FAMILIES = frozenset({
    "model", "messages", "stream", "stream_options", "provider", "usage", "max_tokens", "max_completion_tokens", "stop",
    "temperature", "top_p", "top_k", "tools", "tool_choice", "parallel_tool_calls", "response_format",
    "reasoning_effort", "reasoning", "include_reasoning", "thinking",
})  # fmt: skip
"""Parameters that every family reads and drops or refuses itself."""


@dataclass(frozen=True, slots=True)
class Reasoning:
    """What the client requests of reasoning, and in which `field`; `on` is None if it requests nothing.

    `budget` is in tokens, 0 if none is requested. `hidden` means that the reasoning is not returned.
    """

    field: str = "reasoning_effort"
    on: bool | None = None
    effort: str | None = None
    budget: int = 0
    hidden: bool = False


class ParamReader:
    """Reads one request for one model and records what is dropped.

    `fields` has the request's parameters except `messages`, without nulls.
    """

    def __init__(self, request: ChatRequest, capabilities: Capabilities) -> None:
        self.request = request
        self.capabilities = capabilities
        self.dropped = DroppedParams(request)
        if request.native is not None:
            _check_translation(request.native, self.dropped)
        self.fields = {name: value for name, value in request.wire().items() if name != "messages"}

    def drop_unsupported(self, supported: frozenset[str]) -> None:
        """Drop the fields that are neither in `supported` nor read by all families.

        Raises BadRequestError for a field that changes the answer.
        """
        for name, value in [*self.fields.items()]:
            is_supported = name in _READ_BY_ALL_FAMILIES or name in supported
            if (is_supported and name not in self.capabilities.unsupported) or is_neutral(name, value):
                continue
            if name in CHANGES_THE_ANSWER:
                raise unsupported(name)
            self.dropped.drop(name)
            del self.fields[name]

    @property
    def json_schema(self) -> Json:
        """The object `response_format.json_schema`; empty if there is none."""
        return child(self.request.response_format or {}, "json_schema")

    @property
    def user(self) -> str | None:
        """The client's id of its end user."""
        return text(self.fields, "safety_identifier") or text(self.fields, "user")

    def output_limit(self) -> int | None:
        """The requested maximum of output tokens, lowered to the model's maximum; None means no limit requested."""
        maximum, requested = self.capabilities.max_output_tokens, self.request.output_limit
        if requested is not None and maximum is not None and requested > maximum:
            name = "max_completion_tokens" if self.request.max_completion_tokens else "max_tokens"
            self.dropped.replace(name, maximum)
            return maximum
        return requested

    def stop_sequences(self) -> list[str]:
        """`stop` as a list, without sequences of white space only, which OpenAI's family alone supports."""
        stop = self.request.stop
        sequences = [stop] if isinstance(stop, str) else stop or []
        supported = [sequence for sequence in sequences if sequence.strip()]
        if len(supported) < len(sequences):
            self.dropped.drop("stop", "The model does not support stop sequences of white space only.")
        return supported

    def reasoning(self) -> Reasoning:
        """OpenAI's `reasoning_effort`, OpenRouter's `reasoning`, or Anthropic's `thinking`. Raises BadRequestError."""
        router, anthropic = child(self.fields, "reasoning"), child(self.fields, "thinking")
        field = next((name for name in ("reasoning_effort", "reasoning", "thinking") if name in self.fields), "")
        effort = self.fields.get("reasoning_effort") or router.get("effort")
        budget = count(router, "max_tokens") or count(anthropic, "budget_tokens")
        hidden = router.get("exclude") is True or self.fields.get("include_reasoning") is False
        if effort is not None and effort != "none" and effort not in EFFORTS:
            message = f"{str(effort)[:50]!r} is not a supported reasoning effort."
            raise BadRequestError(message, param=field, code="invalid_value")
        is_disabled = router.get("enabled") is False or anthropic.get("type") == "disabled"
        if effort == "none" or (effort is None and is_disabled):
            return Reasoning(field, on=False)
        is_enabled = router.get("enabled") is True or anthropic.get("type") in ("enabled", "adaptive")
        return Reasoning(field, True if effort or budget or is_enabled else None, effort, budget, hidden)

    def supported_effort(self, reasoning: Reasoning) -> str:
        """The model's highest effort that does not exceed the requested one, else its lowest."""
        requested = reasoning.effort or "medium"
        lower = [effort for effort in self.capabilities.efforts if EFFORTS.index(effort) <= EFFORTS.index(requested)]
        effort = lower[-1] if lower else self.capabilities.efforts[0]
        if effort != requested:
            self.dropped.replace(reasoning.field, effort)
        return effort


def _check_translation(native: NativeBody, dropped: DroppedParams) -> None:
    """Report what a translated request has lost. Raises BadRequestError if that changes the answer."""
    if native.refusal is not None:
        raise native.refusal
    for name in native.dropped:
        dropped.drop(name)


def is_neutral(name: str, value: Any) -> bool:
    """Whether a parameter with this value has no effect."""
    if name == "include_reasoning":
        return value is not False  # reasoning is returned unless it is excluded
    return value is False or value in (None, "", [], {}) or value == _NEUTRAL.get(name)
