"""Reads a candidate of a Gemini response as a choice (Google's "Gemini API reference", Candidate).

Models from Gemini 3 on sign their tool calls, and refuse an unsigned call in the conversation. The signature is
attached to the call's id, so that it survives a client that sends back OpenAI's fields only; it is also in Google's own
field for it, `extra_content`. The signature of a text is in OpenRouter's `reasoning_details`.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from tollgate.adapters import tool_call_state
from tollgate.adapters.finish_reasons import COMMON, FinishReasons, finish_fields
from tollgate.adapters.gemini.citations import annotations
from tollgate.adapters.gemini.logprobs import logprobs_of
from tollgate.adapters.gemini.messages import THINKING_FORMAT
from tollgate.adapters.json_access import child, children, text
from tollgate.adapters.redaction import redact
from tollgate.adapters.tool_call_ids import ToolCallBuilder
from tollgate.gateway.chat import TextField
from tollgate.gateway.errors import UpstreamError
from tollgate.gateway.types import Json

_FILTERS = (
    "safety", "recitation", "language", "blocklist", "prohibited_content", "spii", "model_armor",
    "image_safety", "image_prohibited_content", "image_recitation", "image_other",
)  # fmt: skip
_FAILURES = (
    "malformed_function_call", "unexpected_tool_call", "too_many_tool_calls", "missing_thought_signature",
    "malformed_response",
)  # fmt: skip
FINISH_REASONS: FinishReasons = {
    **COMMON,
    "continuation": "length",
    **dict.fromkeys(_FILTERS, "content_filter"),
    **dict.fromkeys(_FAILURES, "error"),
}
"""Values of `finishReason` in lower case ("Gemini API reference", FinishReason)."""
_FAILURES_IF_EMPTY = frozenset({"OTHER", "NO_IMAGE"})
"""Reasons that are errors if the candidate is empty: an empty answer would look like the model's own."""
_FINAL_FIELDS = ("finishReason", "finishMessage", "citationMetadata", "groundingMetadata")
_OTHER_FIELDS = frozenset({"finishMessage", "citationMetadata", "groundingMetadata", "logprobsResult"})
"""Fields of a candidate that a step with text alone does not have."""
_TEXT_PART = frozenset({"text", "thought"})


@dataclass(slots=True)
class Choice:
    """One choice while it is read, by the same rules from a whole response and from the events of a stream."""

    index: int
    calls: ToolCallBuilder
    has_begun: bool = False
    has_continued: bool = False  # after a reason to end
    has_image: bool = False
    texts: list[str] = field(default_factory=list[str])
    details_count: int = 0
    final_fields: Json = field(default_factory=dict[str, Any])

    def whole(self, candidate: Json) -> Json:
        """The choice of a whole response, in which any field may be missing."""
        message: Json = {"role": "assistant", "content": "", "refusal": None, **self._read(candidate)}
        finish, last_fields = self._finish()
        for call in message.get("tool_calls", ()):
            del call["index"]
        if self.calls.count and not message["content"]:
            message["content"] = None
        message |= last_fields
        return {"index": self.index, "message": message, "logprobs": logprobs_of(candidate), **finish}

    def step(self, candidate: Json) -> Json | None:
        """The next step of a stream; None if the event adds nothing."""
        was_ended = self.is_ended
        delta, logprobs = self._read(candidate), logprobs_of(candidate)
        self.has_continued |= was_ended and bool(delta)
        return self._step(delta, logprobs, {"finish_reason": None}) if delta or logprobs else None

    def text_step(self, candidate: Json) -> tuple[TextField, str] | None:
        """The usual step: another piece of its text or of its reasoning, and perhaps a reason to end.

        None, with nothing changed, if the candidate has anything else; then it is for `step`.
        """
        reason = candidate.get("finishReason")
        if not self.has_begun or reason not in (None, "STOP") or not _OTHER_FIELDS.isdisjoint(candidate):
            return None
        try:
            (part,) = candidate["content"]["parts"]
            piece, is_thought = part["text"], part.get("thought") is True
            if type(piece) is not str or not piece or not part.keys() <= _TEXT_PART:
                return None
        except (KeyError, TypeError, ValueError, AttributeError):  # a value of another type than in Gemini's events
            return None
        self.has_continued |= self.is_ended
        if reason is not None:
            self.final_fields["finishReason"] = reason
        if is_thought:
            return "reasoning_content", piece
        self.texts.append(piece)
        return "content", piece

    def last_step(self) -> Json:
        """The step that ends the choice."""
        finish, delta = self._finish()
        return self._step(delta, None, finish)

    @property
    def has_content(self) -> bool:
        """Whether it has text, a tool call or an image."""
        return bool(self.texts or self.calls.count or self.has_image)

    @property
    def is_ended(self) -> bool:
        """Whether the provider has sent a reason to end."""
        return text(self.final_fields, "finishReason") is not None

    def _step(self, delta: Json, logprobs: Json | None, finish: Json) -> Json:
        if not self.has_begun:
            delta = {"role": "assistant", "content": "", **delta}
            self.has_begun = True
        return {"index": self.index, "delta": delta, "logprobs": logprobs, **finish}

    def _read(self, candidate: Json) -> Json:
        """The candidate's parts as OpenAI's fields; fields that are only final at the end are kept until then."""
        for name in _FINAL_FIELDS:
            if candidate.get(name):
                self.final_fields[name] = candidate[name]
        delta: Json = {}
        texts, thoughts = list[str](), list[str]()
        for part in children(child(candidate, "content"), "parts"):
            if isinstance(part.get("functionCall"), dict):
                delta.setdefault("tool_calls", []).append(self._tool_call(part))
            elif isinstance(part.get("text"), str):
                (thoughts if part.get("thought") is True else texts).append(part["text"])
                self._add_signature(text(part, "thoughtSignature"), delta)
            elif part.get("thought") is not True:
                self._add_image(child(part, "inlineData"), delta)
        self.texts += texts
        joined = {"content": "".join(texts), "reasoning_content": "".join(thoughts)}
        return {**{name: value for name, value in joined.items() if value}, **delta}

    def _add_signature(self, signature: str | None, delta: Json) -> None:
        if signature:
            entry: Json = {"type": "reasoning.encrypted", "data": signature, "format": THINKING_FORMAT}
            delta.setdefault("reasoning_details", []).append({**entry, "index": self.details_count})
            self.details_count += 1

    def _add_image(self, inline_data: Json, delta: Json) -> None:
        media_type, data = text(inline_data, "mimeType") or "", text(inline_data, "data")
        if media_type.startswith("image/") and data:
            image = {"type": "image_url", "image_url": {"url": f"data:{media_type};base64,{data}"}}
            delta.setdefault("images", []).append(image)
            self.has_image = True

    def _tool_call(self, part: Json) -> Json:
        """A tool call. Models before Gemini 3 send no id."""
        native = child(part, "functionCall")
        if native.get("partialArgs") or native.get("willContinue"):
            raise UpstreamError("The provider streamed a tool call in parts, which the gateway did not request.")
        index = self.calls.count
        call = self.calls.build(text(native, "name"), text(native, "id"), json.dumps(child(native, "args")))
        if signature := text(part, "thoughtSignature"):
            call["id"] = tool_call_state.attach_state(call["id"], tool_call_state.GEMINI, signature)
            call["extra_content"] = {"google": {"thought_signature": signature}}
        return {"index": index, **call}

    def _finish(self) -> tuple[Json, Json]:
        """The finish_reason, and the fields of the message that are known only at the end."""
        native, message = text(self.final_fields, "finishReason") or "", text(self.final_fields, "finishMessage")
        if native in _FAILURES_IF_EMPTY and not self.has_content:
            raise UpstreamError(redact(message or "") or f"The provider returned no response: {native}.")
        finish = finish_fields(native, FINISH_REASONS, self.calls.count > 0, message)
        last_fields: Json = {}
        if finish["finish_reason"] == "content_filter" and message:
            last_fields["refusal"] = message
        if cited := annotations(self.final_fields, "".join(self.texts)):
            last_fields["annotations"] = cited
        return finish, last_fields
