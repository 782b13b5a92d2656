"""Reads the whole responses of OpenAI and of compatible servers, which differ, into one form.

The target is OpenAI's API reference, "The chat completion object".
"""

from collections.abc import Sequence
from typing import cast

from tollgate.adapters.chat_plan import ChatPlan
from tollgate.adapters.error_bodies import read_error
from tollgate.adapters.finish_reasons import COMMON, FinishReasons, finish_fields
from tollgate.adapters.json_access import check_choices, child, children, count, parse_object, text
from tollgate.adapters.openai.tool_calls import whole_calls
from tollgate.adapters.openai.usage import read_usage
from tollgate.adapters.provider_errors import provider_error
from tollgate.adapters.tool_call_ids import ToolCallIds
from tollgate.adapters.tool_call_state import attach_reasoning
from tollgate.gateway.chat import Completion
from tollgate.gateway.errors import UpstreamError
from tollgate.gateway.types import Json

FINISH_REASONS: FinishReasons = {
    **COMMON,
    **dict.fromkeys(("eos", "eos_token", "end", "complete", "completed"), "stop"),
    **dict.fromkeys(("model_length", "max_length", "max_output_tokens", "context_length_exceeded"), "length"),
    **dict.fromkeys(("content_filtered", "content_policy_violation", "guardrail_intervened", "error_toxic"),
                    "content_filter"),
    **dict.fromkeys(("malformed_function_call", "malformed_tool_use", "unexpected_tool_call", "disconnected"), "error"),
}  # fmt: skip
"""Finish reasons of compatible servers, some of which relay a reason of another family's provider: Together and TGI
(`eos`, `eos_token`), Mistral (`model_length`), Cohere (`complete`, `error_toxic`)."""

_ENVELOPE = frozenset({
    "id", "object", "created", "model", "choices", "usage", "error", "x_groq", "obfuscation", "p",
    "prompt_filter_results",
})  # fmt: skip
"""Top-level fields of a response that the gateway writes itself, or that are of no use to a client: `obfuscation` and
Mistral's `p` are random, and hide the length of a text on the wire."""
_ERROR_FIELDS = ("error", "errors", "error_msg", "error_message", "errorMessage", "error_code", "detail")
"""Top-level fields of an error under status 200."""


def read_response(body: bytes, plan: ChatPlan) -> Completion:
    """A `chat.completion` object. Raises GatewayError for HTML, an error under status 200, or no choices."""
    response = parse_object(body)
    raise_if_error(response)
    choices, ids = children(response, "choices"), ToolCallIds(plan.messages)
    if not choices:
        raise UpstreamError("The provider's response has no choices.")
    check_choices(len(choices))
    completed = [_choice(choice, index, ids, plan) for choice, index in zip(choices, _indices(choices), strict=True)]
    return Completion(completed, read_usage(response), extra_fields(response))


def message_fields(message: Json) -> Json:
    """The fields of a message or a delta without its role and nulls.

    vLLM and OpenRouter have `reasoning` where others have `reasoning_content`, which the gateway writes as both.
    """
    fields = {name: value for name, value in message.items() if value is not None and name != "role"}
    if not isinstance(fields.get("content", ""), str):
        fields |= _from_parts(fields)
    if text(fields, "reasoning") and not text(fields, "reasoning_content"):
        fields["reasoning_content"] = fields.pop("reasoning")
    return fields


def extra_fields(response: Json) -> Json:
    """The top-level fields that are relayed."""
    return {name: value for name, value in response.items() if name not in _ENVELOPE}


def raise_if_error(response: Json) -> None:
    """Raises GatewayError for an error instead of a response, or of the rest of one.

    Groq reports in `x_groq.error` why it stopped a stream, OpenRouter in a choice's `error` (their API references).
    """
    if response.get("error") or response.get("object") == "error":
        raise provider_error(read_error(response))
    for holder in (child(response, "x_groq"), *children(response, "choices")):
        if holder.get("error"):
            raise provider_error(read_error(holder))
    minimax_code = child(response, "base_resp").get("status_code")  # 0 in a response without an error
    if not response.get("choices") and (minimax_code or any(response.get(name) for name in _ERROR_FIELDS)):
        error = read_error(response)
        if error.message:
            raise provider_error(error)


def _indices(choices: Sequence[Json]) -> Sequence[int]:
    """The choices' own indices if they differ, else their positions."""
    indices = [
        position if choice.get("index") is None else count(choice, "index") for position, choice in enumerate(choices)
    ]
    return indices if len({*indices}) == len(indices) else range(len(indices))


def _choice(choice: Json, index: int, ids: ToolCallIds, plan: ChatPlan) -> Json:
    if not isinstance(choice.get("message"), dict):
        raise UpstreamError("The provider's response has a choice without a message.")
    fields = message_fields(cast(Json, choice["message"]))
    calls = whole_calls(fields, ids, index)
    message: Json = {"content": None, "refusal": None, **fields, "role": "assistant"}
    for name in ("tool_calls", "function_call"):
        message.pop(name, None)
    if calls and plan.json_by_tool:
        message["content"], calls = calls[0]["function"]["arguments"], []
    elif calls:
        if plan.reasoning_in_ids:
            calls[0] = attach_reasoning(calls[0], text(message, "reasoning_content") or "")
        message |= {"tool_calls": calls, "content": message["content"] or None}
    return {
        **{name: value for name, value in choice.items() if name != "usage"},
        "index": index,
        "message": message,
        **finish_fields(text(choice, "finish_reason"), FINISH_REASONS, bool(calls)),
        "logprobs": choice.get("logprobs"),
    }


def _from_parts(message: Json) -> Json:
    """Content in parts as text: Mistral's models send parts while they reason (its documentation, "Reasoning")."""
    parts = children(message, "content")
    thinking = "".join(_part_text(part, "thinking") for part in parts if part.get("type") == "thinking")
    content = "".join(_part_text(part, "text") for part in parts if part.get("type") == "text")
    return {"content": content} | ({"reasoning_content": thinking} if thinking else {})


def _part_text(part: Json, name: str) -> str:
    """The text under this name, which may consist of parts itself."""
    return text(part, name) or "".join(text(inner, "text") or "" for inner in children(part, name))
