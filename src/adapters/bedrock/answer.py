"""What Converse says, in OpenAI's words: the same for a whole answer and for the pieces of a stream.

Facts are from the AWS, Amazon Bedrock API Reference, "ConverseResponse", "ContentBlock" and "TokenUsage".
"""

import json
from collections.abc import Mapping
from typing import Any

from adapters import carried
from adapters.anthropic.turns import THINKING_FORMAT
from adapters.bedrock.request import tool_names
from adapters.failures import failure, retry_after
from adapters.formats import format_plan
from adapters.shapes import child, children, count, parse_object, text
from gateway.errors import GatewayError, UpstreamError
from gateway.routing import Route
from gateway.types import ChatRequest, Completion, Json, Usage

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


_STATUSES = {
    "validationexception": 400,
    "accessdeniedexception": 403,
    "unrecognizedclientexception": 403,
    "resourcenotfoundexception": 404,
    "modeltimeoutexception": 408,
    "modelnotreadyexception": 429,
    "servicequotaexceededexception": 429,
    "throttlingexception": 429,
    "internalserverexception": 500,
    "unknownoperationexception": 502,
    "serviceunavailableexception": 503,
}
"""The HTTP status that an exception stands for, wherever it comes; ServiceQuotaExceededException comes under 400."""


def parse_response(body: bytes, request: ChatRequest, route: Route) -> Completion:
    """What Converse answers. Raises GatewayError for HTML, and for an error or no message under status 200."""
    answer = parse_object(body)
    message = child(child(answer, "output"), "message")
    if not isinstance(message.get("content"), list):
        raise in_band(text(child(answer, "Output"), "__type") or "", answer)
    blocks, native = children(message, "content"), text(answer, "stopReason")
    said = read_message(blocks, tool_names(request), by_tool(request, route))
    if native in MALFORMED and not said["content"]:
        raise malformed()
    finish = finish_reason(native, "tool_calls" in said)
    choice = {"index": 0, "message": said, "finish_reason": finish, "logprobs": None}
    return Completion([choice], read_usage(child(answer, "usage")), read_extra(answer))


def parse_error(status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
    """`{"message"}` under an exception named by `x-amzn-errortype`, or what stands in the way and speaks no JSON."""
    answer = object_or_empty(body)
    kind = _kind(headers.get("x-amzn-errortype") or text(answer, "__type") or "")
    return failure(_STATUSES.get(kind, status), _words(answer), retry_after=retry_after(headers))


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
    for_an_hour = [
        count(detail, "inputTokens") for detail in children(usage, "cacheDetails") if detail.get("ttl") == "1h"
    ]
    return Usage(
        input_tokens=count(usage, "inputTokens") + cached + written,
        output_tokens=count(usage, "outputTokens"),
        cached_tokens=cached,
        cache_write_tokens=written,
        cache_write_1h_tokens=min(sum(for_an_hour), written),
    )


def read_extra(answer: Json) -> Mapping[str, Any]:
    """Further fields of the answer, or of a stream's last event, that OpenAI has too."""
    tier = text(child(answer, "serviceTier"), "type")
    return {"service_tier": tier} if tier in _TIERS else {}


def malformed() -> UpstreamError:
    """The error of an answer that is malformed and says nothing."""
    return UpstreamError("The model's answer was malformed.")


def by_tool(request: ChatRequest, route: Route) -> bool:
    """Whether the answer comes as the call of a tool that the client knows nothing of."""
    return format_plan(request, route.model.capabilities) == "tool"


def in_band(kind: str, answer: Json) -> GatewayError:
    """The error of an exception that comes under status 200."""
    return failure(_STATUSES.get(_kind(kind), 502), _words(answer) or "The provider failed.")


def object_or_empty(body: bytes) -> Json:
    """The JSON object of an error, or an empty one: an error without words is still one."""
    try:
        return parse_object(body)
    except UpstreamError:
        return {}


def _kind(named: str) -> str:
    """`namespace#ThrottlingException:http://...` and `throttlingException` are the same."""
    return named.partition(":")[0].rpartition("#")[2].strip().lower()


def _words(answer: Json) -> str:
    return text(answer, "message") or text(answer, "Message") or ""
