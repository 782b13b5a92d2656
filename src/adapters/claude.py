"""What Claude's models need on every API that serves them: thinking, its signatures, and the tool choice.

Facts are from Anthropic's documentation, pages "Thinking", "Effort" and "Thinking in tool and multi-turn workflows".
Signed thinking has the same content on Anthropic and on Bedrock, and signatures of one are valid on the other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tollgate.adapters.json_access import text
from tollgate.adapters.params import THINKING_BUDGETS, ParamReader, Reasoning
from tollgate.adapters.tools import ToolChoice
from tollgate.gateway.quirks import Capabilities
from tollgate.gateway.types import Json

THINKING_FORMAT = "anthropic-claude-v1"
"""OpenRouter's name for Claude's thinking in `reasoning_details`."""
MIN_THINKING_BUDGET = 1024
DEFAULT_MAX_TOKENS = 8192
"""The output limit, where the API requires one, for a model without `max_output_tokens` in the catalog."""


@dataclass(frozen=True, slots=True)
class ThinkingBlock:
    """One block of thinking: a text with its signature, or encrypted as `redacted`."""

    text: str = ""
    signature: str | None = None
    redacted: str | None = None

    def to_detail(self, index: int) -> Json:
        """The block as an entry of OpenRouter's `reasoning_details`, from which it can be restored."""
        if self.redacted is not None:
            entry: Json = {"type": "reasoning.encrypted", "data": self.redacted}
        else:
            entry = {"type": "reasoning.text", "text": self.text, "signature": self.signature}
        return {**entry, "format": THINKING_FORMAT, "index": index}


def restore_thinking(details: Sequence[Json]) -> list[ThinkingBlock]:
    """Claude's thinking among `reasoning_details`. Encrypted entries without a format are left out."""
    blocks: list[ThinkingBlock] = []
    for detail in details:
        signature, data = text(detail, "signature"), text(detail, "data")
        if detail.get("format") not in (None, THINKING_FORMAT):
            continue
        if signature:
            blocks.append(ThinkingBlock(text(detail, "text") or "", signature))
        elif data and detail.get("format") == THINKING_FORMAT:
            blocks.append(ThinkingBlock(redacted=data))
    return blocks


def sends_thinking_back(capabilities: Capabilities, reasoning: Reasoning) -> bool:
    """Whether thinking in the conversation is sent to the model: only if the model may think again."""
    may_think = reasoning.on is True or (reasoning.on is None and capabilities.thinking != "budget")
    return may_think and capabilities.thinking != "none"


def begins_with_thinking(
    messages: Sequence[Json], is_tool_result: Callable[[Json], bool], is_thinking: Callable[[Json], bool]
) -> bool:
    """Whether the current turn begins with thinking; True if no turn has begun.

    A sequence of tool calls and their results is one turn. With a thinking budget the API refuses a turn that does not
    begin with its signed block ("Thinking in tool and multi-turn workflows").
    """
    first: Json | None = None
    for message in reversed(messages):
        if message["role"] == "assistant":
            first = message
        elif not is_tool_result(message["content"][0]):
            break
    return first is None or is_thinking(first["content"][0])


@dataclass(frozen=True, slots=True)
class Thinking:
    """Claude's `thinking` object and its effort; None is not sent."""

    config: Json | None = None
    effort: str | None = None

    @property
    def is_on(self) -> bool:
        """Whether the model may think."""
        return (self.config or {}).get("type") in ("enabled", "adaptive")


def plan_thinking(
    params: ParamReader, reasoning: Reasoning, *, max_tokens: int, is_tool_forced: bool, allows_budget: bool
) -> Thinking:
    """How the model thinks in this request; what it does not support is dropped.

    `allows_budget` is whether the conversation permits thinking within a budget.
    """
    capabilities, dropped = params.capabilities, params.dropped
    if reasoning.on is None:
        return Thinking()
    if reasoning.on is False:
        return _disabled_thinking(params, reasoning)
    if capabilities.thinking == "none" or (is_tool_forced and not capabilities.forced_tool_while_thinking):
        dropped.drop(reasoning.field)
        return Thinking()
    if capabilities.thinking == "budget":
        return _thinking_with_budget(params, reasoning, max_tokens, allows_budget and not is_tool_forced)
    if reasoning.budget:
        dropped.drop(f"{reasoning.field}.max_tokens")
    config: Json = {"type": "adaptive", "display": "omitted" if reasoning.hidden else "summarized"}
    return Thinking(config, None if reasoning.effort is None else params.supported_effort(reasoning))


def _disabled_thinking(params: ParamReader, reasoning: Reasoning) -> Thinking:
    if params.capabilities.thinking == "always":
        lowest = params.capabilities.efforts[0]
        params.dropped.replace(reasoning.field, lowest)
        return Thinking(effort=lowest)
    return Thinking({"type": "disabled"}) if params.capabilities.thinking == "adaptive" else Thinking()


def _thinking_with_budget(params: ParamReader, reasoning: Reasoning, max_tokens: int, allows_budget: bool) -> Thinking:
    """At most half of the output limit is for thinking; without room for the minimum, thinking is dropped."""
    maximum = max(max_tokens // 2, MIN_THINKING_BUDGET)
    budget = min(reasoning.budget or THINKING_BUDGETS[reasoning.effort or "medium"], maximum)
    if not allows_budget or not MIN_THINKING_BUDGET <= budget < max_tokens:
        params.dropped.drop(reasoning.field)
        return Thinking()
    display: Json = {"display": "omitted"} if reasoning.hidden else {}
    return Thinking({"type": "enabled", "budget_tokens": budget, **display})


def native_tool_choice(choice: ToolChoice, tool_name: Callable[[str], str], *, parallel: bool) -> Json | None:
    """Claude's `tool_choice`, which also disables parallel calls; None if the request sets neither.

    `tool_name` converts the client's name of a tool.
    """
    native: Json | None = None if choice.mode is None else {"type": choice.mode}
    if choice.name is not None:
        native = {"type": "tool", "name": tool_name(choice.name)}
    if not parallel and choice.mode != "none":
        native = {**(native or {"type": "auto"}), "disable_parallel_tool_use": True}
    return native
