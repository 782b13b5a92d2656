"""What OpenAI and compatible servers answer, whole, normalised because they differ: see OpenAI's API reference, "The
chat completion object", for the shape aimed at.
"""

from collections.abc import Mapping
from typing import cast

from tollgate.adapters import tool_call_state
from tollgate.adapters.error_bodies import read_error
from tollgate.adapters.finish_reasons import COMMON, Table, finish
from tollgate.adapters.json_access import check_choices, child, children, count, parse_object, text
from tollgate.adapters.openai.chat_request import by_tool
from tollgate.adapters.openai.tool_calls import whole_calls
from tollgate.adapters.openai.usage import read_usage
from tollgate.adapters.provider_errors import error_from_response, provider_error
from tollgate.adapters.tool_call_ids import CallIds
from tollgate.gateway.chat import ChatRequest, Completion
from tollgate.gateway.errors import GatewayError, UpstreamError
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json

FINISH_REASONS: Table = {
    **COMMON,
    **dict.fromkeys(("eos", "eos_token", "end", "complete", "completed"), "stop"),
    **dict.fromkeys(("model_length", "max_length", "max_output_tokens", "context_length_exceeded"), "length"),
    **dict.fromkeys(("content_filtered", "content_policy_violation", "guardrail_intervened", "error_toxic"),
                    "content_filter"),
    **dict.fromkeys(("malformed_function_call", "malformed_tool_use", "unexpected_tool_call", "disconnected"), "error"),
}  # fmt: skip
"""Finish reasons of compatible servers, some of which hand on what a provider of another family says: Together and TGI
(`eos`, `eos_token`), Mistral (`model_length`), Cohere (`complete`, `error_toxic`)."""

_ENVELOPE = frozenset({
    "id", "object", "created", "model", "choices", "usage", "error", "x_groq", "obfuscation", "prompt_filter_results",
})  # fmt: skip
"""Top-level fields of an answer that are the gateway's to say, or of no use to a client; the others are relayed."""
_ERRORS = ("error", "errors", "error_msg", "error_message", "errorMessage", "error_code", "detail")
"""Top-level fields of an error that came instead of an answer."""


def parse_response(body: bytes, request: ChatRequest, route: Route) -> Completion:
    """A `chat.completion` object. Raises GatewayError for HTML, an error under status 200, or no choices."""
    answer = parse_object(body)
    raise_if_error(answer)
    found, ids = children(answer, "choices"), CallIds(request)
    if not found:
        raise UpstreamError("The provider's answer has no choices.")
    check_choices(len(found))
    as_content = by_tool(request, route.model.capabilities)
    given = [n if choice.get("index") is None else count(choice, "index") for n, choice in enumerate(found)]
    places = given if len({*given}) == len(given) else range(len(given))
    choices = [_whole_choice(choice, place, ids, as_content) for choice, place in zip(found, places, strict=True)]
    if route.provider.quirks.thinking_switch:
        for message in (choice["message"] for choice in choices if "tool_calls" in choice["message"]):
            first, *others = message["tool_calls"]
            message["tool_calls"] = [
                tool_call_state.with_reasoning(first, text(message, "reasoning_content") or ""),
                *others,
            ]
    return Completion(choices, read_usage(answer), extra_of(answer))


def parse_error(status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
    """`{"error": {...}}`, the same flat or in an array, FastAPI's `detail`, or no JSON at all."""
    return error_from_response(status, headers, body)


def said(message: Json) -> Json:
    """What a message or a piece of one says, without its role and what is null.

    vLLM and OpenRouter say `reasoning` where others say `reasoning_content`.
    """
    said = {name: value for name, value in message.items() if value is not None and name != "role"}
    if not isinstance(said.get("content", ""), str):
        said |= _from_parts(said)
    if text(said, "reasoning") and not text(said, "reasoning_content"):
        said["reasoning_content"] = said["reasoning"]
    return said


def extra_of(answer: Json) -> Json:
    """The top-level fields that are relayed."""
    return {name: value for name, value in answer.items() if name not in _ENVELOPE}


def raise_if_error(answer: Json) -> None:
    """Raises GatewayError for an error that came instead of an answer, or of the rest of one.

    Groq tells in `x_groq.error` why it stopped a stream, OpenRouter in a choice's `error` (their API references).
    """
    if answer.get("error") or answer.get("object") == "error":
        raise provider_error(read_error(answer))
    for holder in (child(answer, "x_groq"), *children(answer, "choices")):
        if holder.get("error"):
            raise provider_error(read_error(holder))
    failed_code = child(answer, "base_resp").get("status_code")  # MiniMax's, 0 in every answer that is none
    if not answer.get("choices") and (failed_code or any(answer.get(name) for name in _ERRORS)):
        error = read_error(answer)
        if error.message:
            raise provider_error(error)


def _whole_choice(choice: Json, index: int, ids: CallIds, by_tool: bool) -> Json:
    if not isinstance(choice.get("message"), dict):
        raise UpstreamError("The provider's answer has a choice without a message.")
    message = said(cast(Json, choice["message"]))
    calls = whole_calls(message, ids, index)
    message = {"content": None, "refusal": None, **message, "role": "assistant"}
    for name in ("tool_calls", "function_call"):
        message.pop(name, None)
    if calls and by_tool:
        message["content"], calls = calls[0]["function"]["arguments"], []
    elif calls:
        message |= {"tool_calls": calls, "content": message["content"] or None}
    return {
        **{name: value for name, value in choice.items() if name != "usage"},
        "index": index,
        "message": message,
        **finish(text(choice, "finish_reason"), FINISH_REASONS, bool(calls)),
        "logprobs": choice.get("logprobs"),
    }


def _from_parts(message: Json) -> Json:
    """Content in parts as text: Mistral's models send such while they reason (its documentation, "Reasoning")."""
    parts = children(message, "content")
    thoughts = "".join(_text_of(part, "thinking") for part in parts if part.get("type") == "thinking")
    content = "".join(_text_of(part, "text") for part in parts if part.get("type") == "text")
    return {"content": content} | ({"reasoning_content": thoughts} if thoughts else {})


def _text_of(part: Json, name: str) -> str:
    """The text under this name, which may be in parts itself."""
    return text(part, name) or "".join(text(inner, "text") or "" for inner in children(part, name))
