"""Reads a message of the Messages API as a chat completion (Anthropic's API reference, "Create a Message").

Thinking is returned as `reasoning_content`, and with its signature in OpenRouter's `reasoning_details`. The thinking
before a tool call must be sent back with the call's result, and OpenAI's clients send back OpenAI's fields only, so the
signed thinking is also attached to the call's id.
"""

import json
from collections.abc import Mapping
from typing import Any

from tollgate.adapters.anthropic.messages import THINKING_TYPES
from tollgate.adapters.chat_plan import ChatPlan
from tollgate.adapters.claude import ThinkingBlock
from tollgate.adapters.finish_reasons import COMMON, FinishReasons, finish_fields
from tollgate.adapters.json_access import child, children, count, parse_object, text
from tollgate.adapters.provider_errors import in_band_error
from tollgate.adapters.tool_call_ids import ToolCallBuilder
from tollgate.adapters.tool_call_state import ReasoningDetails
from tollgate.gateway.chat import Completion
from tollgate.gateway.errors import UpstreamError
from tollgate.gateway.types import Json, Usage

FINISH_REASONS: FinishReasons = {**COMMON, "pause_turn": "stop"}
"""Values of `stop_reason`, of Anthropic ("Handling stop reasons") and of others that implement its protocol."""

_TIERS = {"standard": "default", "priority": "priority", "batch": "batch"}


def read_response(body: bytes, plan: ChatPlan) -> Completion:
    """A `message` object. Raises GatewayError for HTML, an error under status 200, or no content."""
    response = parse_object(body)
    if not isinstance(response.get("content"), list):
        raise (
            in_band_error(response)
            if response.get("error")
            else UpstreamError("The provider's response has no content.")
        )
    message = _message(response, plan)
    finish = finish_fields(text(response, "stop_reason"), FINISH_REASONS, "tool_calls" in message)
    choice = {"index": 0, "message": message, **finish, "logprobs": None}
    usage = child(response, "usage")
    return Completion([choice], message_usage(usage), extra_fields(usage))


def thinking_block(block: Json) -> ThinkingBlock:
    """A `thinking` or `redacted_thinking` block."""
    if block.get("type") == "redacted_thinking":
        return ThinkingBlock(redacted=text(block, "data") or "")
    return ThinkingBlock(text(block, "thinking") or "", text(block, "signature"))


def refusal_of(fields: Json) -> str | None:
    """The provider's explanation, if the model refused to answer."""
    return text(child(fields, "stop_details"), "explanation") if fields.get("stop_reason") == "refusal" else None


def message_usage(usage: Json) -> Usage | None:
    """The usage of a message, which counts cached input separately; None if all counts are zero."""
    cached, written = count(usage, "cache_read_input_tokens"), count(usage, "cache_creation_input_tokens")
    total = Usage(
        input_tokens=count(usage, "input_tokens") + cached + written,
        output_tokens=count(usage, "output_tokens"),
        cached_tokens=cached,
        cache_write_tokens=written,
        cache_write_1h_tokens=min(count(child(usage, "cache_creation"), "ephemeral_1h_input_tokens"), written),
        reasoning_tokens=count(child(usage, "output_tokens_details"), "thinking_tokens"),
    )
    return total if total.input_tokens or total.output_tokens else None


def extra_fields(usage: Json) -> Mapping[str, Any]:
    """The service tier in OpenAI's terms, if the usage names it."""
    tier = _TIERS.get(text(usage, "service_tier") or "")
    return {"service_tier": tier} if tier else {}


def _message(response: Json, plan: ChatPlan) -> Json:
    """The content blocks, any of which may be missing, as one OpenAI message."""
    blocks = children(response, "content")
    tool_uses = [] if plan.json_by_tool else [block for block in blocks if block.get("type") == "tool_use"]
    content = "".join(_content(block, plan.json_by_tool) for block in blocks)
    message: Json = {
        "role": "assistant",
        "content": content or (None if tool_uses else ""),
        "refusal": refusal_of(response),
    }
    if reasoning := "".join(text(block, "thinking") or "" for block in blocks if block.get("type") == "thinking"):
        message["reasoning_content"] = reasoning
    details, calls = _details_and_calls(blocks, plan)
    if details:
        message["reasoning_details"] = details
    if tool_uses:
        message["tool_calls"] = calls
    return message


def _details_and_calls(blocks: list[Json], plan: ChatPlan) -> tuple[list[Json], list[Json]]:
    """The thinking, and the tool calls, each with the thinking before it in its id."""
    details, calls, builder = ReasoningDetails(), list[Json](), ToolCallBuilder(plan)
    for block in blocks:
        if block.get("type") in THINKING_TYPES:
            details.entries.append(thinking_block(block).to_detail(len(details.entries)))
        elif block.get("type") == "tool_use":
            call = builder.build(text(block, "name"), text(block, "id"), json.dumps(child(block, "input")))
            calls.append(details.attach_to(call))
    return details.entries, calls


def _content(block: Json, json_by_tool: bool) -> str:
    if json_by_tool and block.get("type") == "tool_use":
        return json.dumps(child(block, "input"))
    return (text(block, "text") or "") if block.get("type") == "text" else ""
