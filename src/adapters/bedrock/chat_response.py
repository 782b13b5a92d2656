"""Reads a Converse response as a chat completion.

Source: AWS, Amazon Bedrock API Reference, "ConverseResponse", "ContentBlock" and "TokenUsage".
"""

import json
from collections.abc import Mapping
from typing import Any

from tollgate.adapters.bedrock.errors import exception_error
from tollgate.adapters.chat_plan import ChatPlan
from tollgate.adapters.claude import ThinkingBlock
from tollgate.adapters.finish_reasons import COMMON, FinishReasons, finish_fields
from tollgate.adapters.json_access import child, children, count, parse_object, text
from tollgate.adapters.tool_call_ids import ToolCallBuilder
from tollgate.adapters.tool_call_state import ReasoningDetails
from tollgate.gateway.chat import Completion
from tollgate.gateway.types import Json, Usage

FINISH_REASONS: FinishReasons = {
    **COMMON,
    **dict.fromkeys(("guardrail_intervened", "content_filtered"), "content_filter"),
    **dict.fromkeys(("malformed_model_output", "malformed_tool_use"), "error"),
}
"""Values of `stopReason`. After a malformed one, the response's tool calls are not usable."""

_TIERS = ("default", "flex", "priority")
"""The service tiers that have the same name in OpenAI's API."""


def read_response(body: bytes, plan: ChatPlan) -> Completion:
    """A Converse response. Raises GatewayError for HTML, and for an error or no message under status 200."""
    response = parse_object(body)
    native_message = child(child(response, "output"), "message")
    if not isinstance(native_message.get("content"), list):
        raise exception_error(text(child(response, "Output"), "__type") or "", response)
    message = _message(children(native_message, "content"), plan)
    finish = finish_fields(text(response, "stopReason"), FINISH_REASONS, "tool_calls" in message)
    choice = {"index": 0, "message": message, **finish, "logprobs": None}
    return Completion([choice], converse_usage(child(response, "usage")), extra_fields(response))


def is_client_call(call: Json) -> bool:
    """Whether a `toolUse` calls a tool of the client; the provider's own tools have a `type`."""
    return bool(call) and "type" not in call


def reasoning_details(block: ThinkingBlock, index: int) -> list[Json]:
    """The block in `reasoning_details`; empty if it has no signature, because then it cannot be sent back."""
    return [block.to_detail(index)] if block.signature or block.redacted else []


def converse_usage(usage: Json) -> Usage | None:
    """The usage of a TokenUsage object; None if all counts are zero.

    Cached input is counted separately, and the total may include tokens that no other count does.
    """
    cached, written = count(usage, "cacheReadInputTokens"), count(usage, "cacheWriteInputTokens")
    details = children(usage, "cacheDetails")
    written_1h = sum(count(detail, "inputTokens") for detail in details if detail.get("ttl") == "1h")
    input_tokens, output_tokens = count(usage, "inputTokens") + cached + written, count(usage, "outputTokens")
    if not (input_tokens or output_tokens):
        return None
    total = count(usage, "totalTokens")
    return Usage(
        input_tokens=input_tokens,
        output_tokens=max(output_tokens, total - input_tokens) if input_tokens else output_tokens,
        cached_tokens=cached,
        cache_write_tokens=written,
        cache_write_1h_tokens=min(written_1h, written),
    )


def extra_fields(response: Json) -> Mapping[str, Any]:
    """Further fields of a response, or of a stream's last event, that OpenAI has too."""
    tier = text(child(response, "serviceTier"), "type")
    return {"service_tier": tier} if tier in _TIERS else {}


def _message(blocks: list[Json], plan: ChatPlan) -> Json:
    """The content blocks, any of which may be missing, as one OpenAI message."""
    native_calls = [call for block in blocks if is_client_call(call := child(block, "toolUse"))]
    details, calls = _details_and_calls(blocks, plan)
    content = "".join(_content(block) for block in blocks)
    if plan.json_by_tool:
        content += "".join(json.dumps(child(call, "input")) for call in native_calls)
        calls = []
    message: Json = {"role": "assistant", "content": content or (None if calls else ""), "refusal": None}
    thinking = [child(child(block, "reasoningContent"), "reasoningText") for block in blocks]
    if reasoning := "".join(text(part, "text") or "" for part in thinking):
        message["reasoning_content"] = reasoning
    if details:
        message["reasoning_details"] = details
    if calls:
        message["tool_calls"] = calls
    return message


def _details_and_calls(blocks: list[Json], plan: ChatPlan) -> tuple[list[Json], list[Json]]:
    """The signed thinking, and the tool calls, each with the thinking before it in its id."""
    details, calls, builder = ReasoningDetails(), list[Json](), ToolCallBuilder(plan)
    for block in blocks:
        reasoning, call = child(block, "reasoningContent"), child(block, "toolUse")
        inner = child(reasoning, "reasoningText")
        redacted = text(reasoning, "redactedContent")
        thinking = ThinkingBlock(text(inner, "text") or "", text(inner, "signature"), redacted)
        details.entries += reasoning_details(thinking, len(details.entries))
        if is_client_call(call):
            built = builder.build(text(call, "name"), text(call, "toolUseId"), json.dumps(child(call, "input")))
            calls.append(details.attach_to(built))
    return details.entries, calls


def _content(block: Json) -> str:
    """The text of a block; a cited text is split into parts."""
    cited = children(child(block, "citationsContent"), "content")
    return "".join(text(part, "text") or "" for part in (block, *cited))
