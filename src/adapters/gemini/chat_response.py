"""What Gemini answers, whole and as a stream (Google's "Gemini API reference", GenerateContentResponse).

Models from Gemini 3 on sign their calls of tools, and refuse to go on with one that comes back unsigned. The signature
rides in the id of the call, so that it survives a client that gives back OpenAI's standard fields alone; Google's own
field for it, `extra_content`, has it too. The signature of a text is in OpenRouter's `reasoning_details`.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tollgate.adapters import tool_call_state
from tollgate.adapters.event_stream import EventStream
from tollgate.adapters.finish_reasons import COMMON, Table, failure_of, finish
from tollgate.adapters.gemini.chat_request import tool_names
from tollgate.adapters.gemini.citations import annotations
from tollgate.adapters.gemini.logprobs import logprobs_of
from tollgate.adapters.gemini.messages import THINKING_FORMAT
from tollgate.adapters.json_access import check_choices, child, children, count, parse_object, text
from tollgate.adapters.provider_errors import error_from_response, in_band
from tollgate.adapters.redaction import redact
from tollgate.adapters.tool_call_ids import CallIds
from tollgate.gateway.chat import ChatRequest, Chunk, Completion
from tollgate.gateway.errors import GatewayError, UpstreamError
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json, Usage

_FILTERS = (
    "safety", "recitation", "language", "blocklist", "prohibited_content", "spii", "model_armor",
    "image_safety", "image_prohibited_content", "image_recitation", "image_other",
)  # fmt: skip
_FAILURES = (
    "malformed_function_call", "unexpected_tool_call", "too_many_tool_calls", "missing_thought_signature",
    "malformed_response",
)  # fmt: skip
_FINISH_REASONS: Table = {
    **COMMON,
    "continuation": "length",
    **dict.fromkeys(_FILTERS, "content_filter"),
    **dict.fromkeys(_FAILURES, "error"),
}
"""Native finishReason, in lower case ("Gemini API reference", FinishReason)."""
_SAYS_NOTHING = frozenset({"OTHER", "NO_IMAGE"})
"""Reasons for which there may be no answer at all. One with nothing in it would be taken for what the model says."""

_TOLD_LAST = ("finishReason", "finishMessage", "citationMetadata", "groundingMetadata")
_SERVED_TIERS = {"standard": "default", "flex": "flex", "priority": "priority"}


def parse_response(body: bytes, request: ChatRequest, route: Route) -> Completion:
    """A GenerateContentResponse. Raises GatewayError for HTML, an error under status 200, or no candidates."""
    answer = parse_object(body)
    _raise_if_error(answer)
    candidates = sorted(_candidates(answer), key=lambda candidate: count(candidate, "index"))
    if not candidates:
        raise UpstreamError("The provider's answer has no candidates.")
    names, ids = tool_names(request), CallIds(request)
    choices = [_Choice(index, names, ids).whole(candidate) for index, candidate in enumerate(candidates)]
    return Completion(choices, _usage(answer), _extra(answer))


def parse_error(status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
    """`{"error": {"code", "message", "status", "details"}}`, also in an array of one, or what is no JSON at all."""
    return error_from_response(status, headers, body)


def open_stream(request: ChatRequest, route: Route) -> "GeminiStream":
    """A parser for one stream of a response's parts."""
    return GeminiStream(request)


class GeminiStream(EventStream):
    """One stream. Every event has the form of a whole response, and brings the next pieces of its candidates.

    There is no terminal marker, and a finishReason is none: some models give one in every event, and text or counts may
    come behind it. So a choice finishes when the provider closes, which it does right after its last event; by then
    every choice must have been given its reason.
    """

    def __init__(self, request: ChatRequest) -> None:
        super().__init__()
        self._names = tool_names(request)
        self._ids = CallIds(request)
        self._asked = request.n or 1
        self._choices: dict[int, _Choice] = {}

    def read(self, data: str) -> Iterator[Chunk]:
        """See EventStream. Counts are of the whole answer so far: the last are the ones that hold."""
        event = parse_object(data)
        _raise_if_error(event)
        steps: list[Json] = []
        for candidate in _candidates(event):
            index = count(candidate, "index")
            choice = self._choices.get(index)
            if choice is None:
                choice = self._choices[index] = _Choice(index, self._names, self._ids)
            if step := choice.step(candidate):
                steps.append(step)
        usage = _usage(event)
        if steps or usage is not None:
            yield Chunk(steps, usage, _extra(event))
        for candidate in _candidates(event):
            provider_error = failure_of(
                text(candidate, "finishReason"), _FINISH_REASONS, text(candidate, "finishMessage")
            )
            if provider_error is not None:
                raise provider_error

    def finish(self) -> Iterator[Chunk]:
        """See EventStream."""
        for index in sorted(self._choices):
            yield Chunk([self._choices[index].last_step()])

    def is_whole(self) -> bool:
        """See EventStream."""
        return bool(self._choices) and all(choice.is_ended for choice in self._choices.values())

    def is_doubtful(self) -> bool:
        """See EventStream."""
        choices = self._choices.values()
        return len(choices) < self._asked or any(one.has_resumed or not one.has_spoken for one in choices)


@dataclass(slots=True)
class _Choice:
    """One choice while its answer is read; whole answers and the events of a stream are read by the same rules."""

    index: int
    names: Mapping[str, str]
    ids: CallIds
    begun: bool = False
    has_resumed: bool = False  # after a reason to end
    said: list[str] = field(default_factory=list[str])
    called: int = 0
    pictured: bool = False
    details: int = 0
    end: Json = field(default_factory=dict[str, Any])

    def whole(self, candidate: Json) -> Json:
        """The choice of a whole answer, in which anything may be missing."""
        message: Json = {"role": "assistant", "content": "", "refusal": None, **self._read(candidate)}
        why, last = self._finish()
        for call in message.get("tool_calls", ()):
            del call["index"]
        if self.called and not message["content"]:
            message["content"] = None
        message |= last
        return {"index": self.index, "message": message, "logprobs": logprobs_of(candidate), **why}

    def step(self, candidate: Json) -> Json | None:
        """The next step of a stream; None where the event says nothing."""
        was_ended = self.is_ended
        delta, logprobs = self._read(candidate), logprobs_of(candidate)
        self.has_resumed |= was_ended and bool(delta)
        return self._step(delta, logprobs, {"finish_reason": None}) if delta or logprobs else None

    def last_step(self) -> Json:
        """The step that ends the choice."""
        why, delta = self._finish()
        return self._step(delta, None, why)

    def _step(self, delta: Json, logprobs: Json | None, why: Json) -> Json:
        if not self.begun:
            delta = {"role": "assistant", "content": "", **delta}
            self.begun = True
        return {"index": self.index, "delta": delta, "logprobs": logprobs, **why}

    @property
    def has_spoken(self) -> bool:
        """Whether there is anything of an answer: text, a call or a picture."""
        return bool(self.said or self.called or self.pictured)

    @property
    def is_ended(self) -> bool:
        """Whether the provider has given a reason to end."""
        return text(self.end, "finishReason") is not None

    def _read(self, candidate: Json) -> Json:
        """The parts of a candidate as OpenAI's fields; what is only told at the end is kept until then."""
        for name in _TOLD_LAST:
            if candidate.get(name):
                self.end[name] = candidate[name]
        delta: Json = {}
        said, thought = list[str](), list[str]()
        for part in children(child(candidate, "content"), "parts"):
            if isinstance(part.get("functionCall"), dict):
                delta.setdefault("tool_calls", []).append(self._call(part))
            elif isinstance(part.get("text"), str):
                (thought if part.get("thought") is True else said).append(part["text"])
                self._sign(text(part, "thoughtSignature"), delta)
            elif part.get("thought") is not True:
                self._picture(child(part, "inlineData"), delta)
        self.said += said
        told = {"content": "".join(said), "reasoning_content": "".join(thought)}
        return {**{name: words for name, words in told.items() if words}, **delta}

    def _sign(self, signature: str | None, delta: Json) -> None:
        """What a text is signed with."""
        if signature:
            entry = {"type": "reasoning.encrypted", "data": signature, "format": THINKING_FORMAT, "index": self.details}
            delta.setdefault("reasoning_details", []).append(entry)
            self.details += 1

    def _picture(self, inline: Json, delta: Json) -> None:
        media_type, data = text(inline, "mimeType") or "", text(inline, "data")
        if media_type.startswith("image/") and data:
            image = {"type": "image_url", "image_url": {"url": f"data:{media_type};base64,{data}"}}
            delta.setdefault("images", []).append(image)
            self.pictured = True

    def _call(self, part: Json) -> Json:
        """A call of a tool, under the client's name for it. Models before Gemini 3 give it no id."""
        call = child(part, "functionCall")
        if call.get("partialArgs") or call.get("willContinue"):
            raise UpstreamError("The provider sent a call of a tool in pieces, which it was not asked to.")
        name, place = text(call, "name") or "", self.called
        self.called += 1
        call_id = self.ids.give(text(call, "id"), self.index, place)
        function = {"name": self.names.get(name, name), "arguments": json.dumps(child(call, "args"))}
        native: Json = {"index": place, "id": call_id, "type": "function", "function": function}
        if signature := text(part, "thoughtSignature"):
            native["id"] = tool_call_state.attach_state(call_id, tool_call_state.GEMINI, signature)
            native["extra_content"] = {"google": {"thought_signature": signature}}
        return native

    def _finish(self) -> tuple[Json, Json]:
        """The finish_reason, and what of the message is only told now."""
        native, message = text(self.end, "finishReason") or "", text(self.end, "finishMessage")
        if native in _SAYS_NOTHING and not self.has_spoken:
            raise UpstreamError(redact(message or "") or f"The provider gave no answer: {native}.")
        why, last = finish(native, _FINISH_REASONS, self.called > 0, message), dict[str, Any]()
        if why["finish_reason"] == "content_filter" and message:
            last["refusal"] = message
        if cited := annotations(self.end, "".join(self.said)):
            last["annotations"] = cited
        return why, last


def _candidates(answer: Json) -> list[Json]:
    """The candidates; where the prompt was blocked there are none, and one stands for them that says so."""
    candidates, feedback = children(answer, "candidates"), child(answer, "promptFeedback")
    check_choices(max([len(candidates), *(count(candidate, "index") for candidate in candidates)]))
    if candidates or not feedback.get("blockReason"):
        return candidates
    return [{"finishReason": "SAFETY", "finishMessage": feedback.get("blockReasonMessage")}]


def _usage(answer: Json) -> Usage | None:
    """Thoughts are counted apart, unless the total says that the candidates include them; it may count more than both.

    None where nothing is counted: a count of zero is none.
    """
    usage = child(answer, "usageMetadata")
    prompt, total = (
        count(usage, "promptTokenCount") + count(usage, "toolUsePromptTokenCount"),
        count(usage, "totalTokenCount"),
    )
    candidates, thoughts = count(usage, "candidatesTokenCount"), count(usage, "thoughtsTokenCount")
    included = thoughts <= candidates and prompt + candidates == total
    said = candidates if included else candidates + thoughts
    read = Usage(
        input_tokens=prompt,
        output_tokens=max(said, total - prompt) if prompt else said,
        cached_tokens=min(count(usage, "cachedContentTokenCount"), prompt),
        input_audio_tokens=_audio(usage, "promptTokensDetails"),
        reasoning_tokens=thoughts,
        output_audio_tokens=_audio(usage, "candidatesTokensDetails"),
        cached_audio_tokens=_audio(usage, "cacheTokensDetails"),
    )
    return read if read.input_tokens or read.output_tokens else None


def _extra(answer: Json) -> Json:
    """The service tier that answered, in OpenAI's words."""
    tier = (text(child(answer, "usageMetadata"), "serviceTier") or "").lower()
    return {"service_tier": _SERVED_TIERS[tier]} if tier in _SERVED_TIERS else {}


def _audio(usage: Json, name: str) -> int:
    return sum(count(entry, "tokenCount") for entry in children(usage, name) if entry.get("modality") == "AUDIO")


def _raise_if_error(answer: Json) -> None:
    if answer.get("error"):
        raise in_band(answer)
