"""What Converse says, in OpenAI's words: the same for a whole answer and for the pieces of a stream.

Facts are from the AWS, Amazon Bedrock API Reference, "ConverseResponse", "ContentBlock" and "TokenUsage".
"""

import json
from collections.abc import Mapping
from typing import Any

from tollgate.adapters import tool_call_state
from tollgate.adapters.anthropic.messages import THINKING_FORMAT
from tollgate.adapters.bedrock.chat_request import tool_names
from tollgate.adapters.error_bodies import read_error, read_error_body
from tollgate.adapters.finish_reasons import COMMON, Table, finish
from tollgate.adapters.json_access import child, children, count, parse_object, text
from tollgate.adapters.provider_errors import provider_error, retry_after
from tollgate.adapters.response_format import format_plan
from tollgate.adapters.tool_call_ids import CallIds
from tollgate.gateway.chat import ChatRequest, Completion
from tollgate.gateway.errors import GatewayError, UpstreamError
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json, Usage

FINISH_REASONS: Table = {
    **COMMON,
    **dict.fromkeys(("guardrail_intervened", "content_filtered"), "content_filter"),
    **dict.fromkeys(("malformed_model_output", "malformed_tool_use"), "error"),
}
"""Native stopReason; with one that is malformed, nothing that was to be called can be."""

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
    said = read_message(blocks, Caller(request), by_tool(request, route))
    why = finish(native, FINISH_REASONS, "tool_calls" in said)
    choice = {"index": 0, "message": said, **why, "logprobs": None}
    return Completion([choice], read_usage(child(answer, "usage")), read_extra(answer))


def parse_error(status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
    """`{"message"}` under an exception named by `x-amzn-errortype`, or what stands in the way and speaks no JSON."""
    kind = _kind(headers.get("x-amzn-errortype") or text(object_or_empty(body), "__type") or "")
    return provider_error(read_error_body(body), _STATUSES.get(kind, status), retry_after(headers))


class Caller:
    """Makes OpenAI's calls of the blocks of one answer, under the client's names for its tools."""

    def __init__(self, request: ChatRequest) -> None:
        self.called = 0
        self._names = tool_names(request)
        self._ids = CallIds(request)

    def call(self, block: Json, arguments: str) -> Json:
        """The next call, of this `toolUse` block."""
        name = text(block, "name") or ""
        function = {"name": self._names.get(name, name), "arguments": arguments}
        call_id = self._ids.give(text(block, "toolUseId"), 0, self.called)
        self.called += 1
        return {"id": call_id, "type": "function", "function": function}


def read_message(blocks: list[Json], caller: Caller, by_tool: bool) -> Json:
    """The blocks of a whole answer, of which any may be missing, as OpenAI's one message."""
    calls = [call for block in blocks if is_call(call := child(block, "toolUse"))]
    details, native_calls = _details_and_calls(blocks, caller)
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


def _details_and_calls(blocks: list[Json], caller: Caller) -> tuple[list[Json], list[Json]]:
    """The signed thinking, and the calls, each with the thinking that led to it."""
    trail, calls = tool_call_state.ReasoningTrail(), list[Json]()
    for block in blocks:
        reasoning, call = child(block, "reasoningContent"), child(block, "toolUse")
        inner = child(reasoning, "reasoningText")
        signature, redacted = text(inner, "signature"), text(reasoning, "redactedContent")
        thought = text(inner, "text") or ""
        trail.details += reasoning_details(thought, signature, redacted, len(trail.details))
        if is_call(call):
            calls.append(trail.call(caller.call(call, json.dumps(child(call, "input")))))
    return trail.details, calls


def _said(block: Json) -> str:
    """The text of a block; a cited text is its parts."""
    cited = children(child(block, "citationsContent"), "content")
    return "".join(text(one, "text") or "" for one in (block, *cited))


def is_call(call: Json) -> bool:
    """Whether it calls a tool of the client's; tools of the provider's own have a type."""
    return bool(call) and "type" not in call


def reasoning_details(thought: str, signature: str | None, redacted: str | None, index: int) -> list[Json]:
    """Thinking as an entry of OpenRouter's `reasoning_details`; none where, unsigned, it cannot be given back."""
    if redacted:
        return [{"type": "reasoning.encrypted", "data": redacted, "format": THINKING_FORMAT, "index": index}]
    if not signature:
        return []
    entry: Json = {"type": "reasoning.text", "text": thought, "signature": signature}
    return [{**entry, "format": THINKING_FORMAT, "index": index}]


def read_usage(usage: Json) -> Usage | None:
    """Cached input is counted apart, and the total may count more than the rest; None where nothing is counted."""
    cached, written = count(usage, "cacheReadInputTokens"), count(usage, "cacheWriteInputTokens")
    for_an_hour = [
        count(detail, "inputTokens") for detail in children(usage, "cacheDetails") if detail.get("ttl") == "1h"
    ]
    given, said = count(usage, "inputTokens") + cached + written, count(usage, "outputTokens")
    if not (given or said):
        return None
    return Usage(
        input_tokens=given,
        output_tokens=max(said, count(usage, "totalTokens") - given) if given else said,
        cached_tokens=cached,
        cache_write_tokens=written,
        cache_write_1h_tokens=min(sum(for_an_hour), written),
    )


def read_extra(answer: Json) -> Mapping[str, Any]:
    """Further fields of the answer, or of a stream's last event, that OpenAI has too."""
    tier = text(child(answer, "serviceTier"), "type")
    return {"service_tier": tier} if tier in _TIERS else {}


def by_tool(request: ChatRequest, route: Route) -> bool:
    """Whether the answer comes as the call of a tool that the client knows nothing of."""
    return format_plan(request, route.model.capabilities) == "tool"


def in_band(kind: str, answer: Json) -> GatewayError:
    """The error of an exception that comes under status 200."""
    return provider_error(read_error(answer), _STATUSES.get(_kind(kind)))


def object_or_empty(body: bytes) -> Json:
    """The JSON object of an error, or an empty one: an error without words is still one."""
    try:
        return parse_object(body)
    except UpstreamError:
        return {}


def _kind(named: str) -> str:
    """`namespace#ThrottlingException:http://...` and `throttlingException` are the same."""
    return named.partition(":")[0].rpartition("#")[2].strip().lower()
