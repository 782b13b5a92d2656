"""What Converse says, in OpenAI's words: the same for a whole answer and for the pieces of a stream.

Facts are from the AWS, Amazon Bedrock API Reference, "ConverseResponse", "ContentBlock" and "TokenUsage".
"""

import json
from collections.abc import Mapping
from typing import Any

from adapters import carried
from adapters.anthropic_turns import THINKING_FORMAT
from adapters.shapes import child, children, count, text
from gateway.errors import UpstreamError
from gateway.types import Json, Usage

_FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}
"""Native stopReason to OpenAI's; what is not in here is a stop."""

MALFORMED = frozenset({"malformed_model_output", "malformed_tool_use"})
"""Reasons to stop with which nothing that was to be called can be."""

_TIERS = ("default", "flex", "priority")
"""The tiers of service that OpenAI has a name for, the same one."""


def read_message(blocks: list[Json], names: Mapping[str, str], by_tool: bool) -> Json:
    """The blocks of a whole answer, of which any may be missing, as OpenAI's one message."""
    calls = [call for block in blocks if is_call(call := child(block, "toolUse"))]
    details, native_calls = _details_and_calls(blocks, names)
    said = "".join(_said(block) for block in blocks)
    if by_tool:
        said, calls = said + "".join(json.dumps(child(call, "input")) for call in calls), []
    message: Json = {"role": "assistant", "content": said or (None if calls else ""), "refusal": None}
    thoughts = [child(child(block, "reasoningContent"), "reasoningText") for block in blocks]
    if thought := "".join(text(one, "text") or "" for one in thoughts):
        message["reasoning_content"] = thought
    if details:
        message["reasoning_details"] = details
    if calls:
        message["tool_calls"] = native_calls
    return message


def _details_and_calls(blocks: list[Json], names: Mapping[str, str]) -> tuple[list[Json], list[Json]]:
    """The signed thinking, and the calls, each with the thinking that led to it."""
    trail, calls = carried.Trail(), list[Json]()
    for block in blocks:
        reasoning, call = child(block, "reasoningContent"), child(block, "toolUse")
        inner = child(reasoning, "reasoningText")
        signature, redacted = text(inner, "signature"), text(reasoning, "redactedContent")
        thought = text(inner, "text") or ""
        trail.details += reasoning_details(thought, signature, redacted, len(trail.details))
        if is_call(call):
            calls.append(trail.call(tool_call(call, names, len(calls), json.dumps(child(call, "input")))))
    return trail.details, calls


def _said(block: Json) -> str:
    """The text of a block; a cited text is its parts."""
    cited = children(child(block, "citationsContent"), "content")
    return "".join(text(one, "text") or "" for one in (block, *cited))


def is_call(call: Json) -> bool:
    """Whether it calls a tool of the client's; tools of the provider's own have a type."""
    return bool(call) and "type" not in call


def tool_call(call: Json, names: Mapping[str, str], place: int, arguments: str) -> Json:
    """A call of a tool, under the client's name for it."""
    name = text(call, "name") or ""
    function = {"name": names.get(name, name), "arguments": arguments}
    return {"id": text(call, "toolUseId") or f"call_{place}", "type": "function", "function": function}


def reasoning_details(thought: str, signature: str | None, redacted: str | None, index: int) -> list[Json]:
    """Thinking as an entry of OpenRouter's `reasoning_details`; none where, unsigned, it cannot be given back."""
    if redacted:
        return [{"type": "reasoning.encrypted", "data": redacted, "format": THINKING_FORMAT, "index": index}]
    if not signature:
        return []
    entry: Json = {"type": "reasoning.text", "text": thought, "signature": signature}
    return [{**entry, "format": THINKING_FORMAT, "index": index}]


def finish_reason(native: str | None, called: bool) -> str:
    """OpenAI's word for why the model stopped; `called` is whether it called a tool of the client's."""
    reason = _FINISH_REASONS.get(native or "", "stop")
    if native in MALFORMED or reason not in ("stop", "tool_calls"):
        return reason
    return "tool_calls" if called else "stop"


def read_usage(usage: Json) -> Usage | None:
    """Cached input is counted apart; None where nothing is counted."""
    if not any(isinstance(usage.get(name), int) for name in ("inputTokens", "outputTokens")):
        return None
    cached, written = count(usage, "cacheReadInputTokens"), count(usage, "cacheWriteInputTokens")
    return Usage(
        input_tokens=count(usage, "inputTokens") + cached + written,
        output_tokens=count(usage, "outputTokens"),
        cached_tokens=cached,
        cache_write_tokens=written,
    )


def read_extra(answer: Json) -> Mapping[str, Any]:
    """Further fields of the answer, or of a stream's last event, that OpenAI has too."""
    tier = text(child(answer, "serviceTier"), "type")
    return {"service_tier": tier} if tier in _TIERS else {}


def malformed() -> UpstreamError:
    """The error of an answer that is malformed and says nothing."""
    return UpstreamError("The model's answer was malformed.")
