"""What Gemini answers, whole and as a stream (Google's "Gemini API reference", GenerateContentResponse).

Models from Gemini 3 on sign their calls of tools, and refuse to go on with one that comes back unsigned. The signature
rides in the id of the call, so that it survives a client that gives back OpenAI's standard fields alone; Google's own
field for it, `extra_content`, has it too. The signature of a text is in OpenRouter's `reasoning_details`.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from adapters import carried
from adapters.events import EventStream
from adapters.failures import failure, redact, retry_after
from adapters.gemini.request import tool_names
from adapters.gemini.turns import THINKING_FORMAT
from adapters.shapes import child, children, count, parse_object, text
from gateway.errors import GatewayError, UpstreamError
from gateway.routing import Route
from gateway.types import ChatRequest, Chunk, Completion, Json, Usage

_FILTERS = (
    "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR",
    "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "IMAGE_OTHER",
)  # fmt: skip
_FINISH_REASONS = {"MAX_TOKENS": "length", "CONTINUATION": "length", **dict.fromkeys(_FILTERS, "content_filter")}
"""Native finishReason to OpenAI's; what is not in here is a stop."""

_FAILURES = frozenset({
    "OTHER", "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE",
    "MALFORMED_RESPONSE",
})  # fmt: skip
"""Reasons for which there may be no answer at all. One with nothing in it would be taken for what the model says."""

_TOLD_LAST = ("finishReason", "finishMessage", "citationMetadata", "groundingMetadata")
_RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"
_SERVED_TIERS = {"standard": "default", "flex": "flex", "priority": "priority"}
_NO_CHANCE = -9999.0
"""What OpenAI gives as the log probability of a token too unlikely for a number."""


def parse_response(body: bytes, request: ChatRequest, route: Route) -> Completion:
    """A GenerateContentResponse. Raises GatewayError for HTML, an error under status 200, or no candidates."""
    answer = parse_object(body)
    _raise_if_error(answer)
    candidates = sorted(_candidates(answer), key=lambda candidate: count(candidate, "index"))
    if not candidates:
        raise UpstreamError("The provider's answer has no candidates.")
    names = tool_names(request)
    choices = [_Choice(index, names).whole(candidate, answer) for index, candidate in enumerate(candidates)]
    return Completion(choices, _usage(answer), _extra(answer))


def parse_error(status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
    """`{"error": {"code", "message", "status", "details"}}`, also in an array of one, or what is no JSON at all."""
    try:
        error = child(parse_object(body.strip(b" \t\r\n[]")), "error")
    except UpstreamError:
        error = {}
    return failure(status, text(error, "message") or "", retry_after=_wait(error) or retry_after(headers))


def open_stream(request: ChatRequest, route: Route) -> "GeminiStream":
    """A parser for one stream of a response's parts."""
    return GeminiStream(tool_names(request))


class GeminiStream(EventStream):
    """One stream. Every event has the form of a whole response, and brings the next pieces of its candidates.

    There is no terminal marker, and a finishReason is none: some models give one in every event, and text or counts may
    come behind it. So a choice finishes when the provider closes, which it does right after its last event; by then
    every choice must have been given its reason.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        super().__init__()
        self._names = names
        self._choices: dict[int, _Choice] = {}

    def read(self, data: str) -> Iterator[Chunk]:
        """See EventStream. Counts are of the whole answer so far: the last are the ones that hold."""
        event = parse_object(data)
        _raise_if_error(event)
        steps: list[Json] = []
        for candidate in _candidates(event):
            index = count(candidate, "index")
            choice = self._choices.get(index) or self._choices.setdefault(index, _Choice(index, self._names))
            if step := choice.step(candidate, event):
                steps.append(step)
        usage = _usage(event)
        if steps or usage is not None:
            yield Chunk(steps, usage, _extra(event))

    def close(self) -> Iterator[Chunk]:
        """See StreamParser."""
        yield from super().close()
        for index in sorted(self._choices):
            yield Chunk([self._choices[index].last_step()])

    def is_whole(self) -> bool:
        """See EventStream."""
        return bool(self._choices) and all(choice.is_ended for choice in self._choices.values())


@dataclass(slots=True)
class _Choice:
    """One choice while its answer is read; whole answers and the events of a stream are read by the same rules."""

    index: int
    names: Mapping[str, str]
    begun: bool = False
    said: list[str] = field(default_factory=list[str])
    called: int = 0
    pictured: bool = False
    details: int = 0
    end: Json = field(default_factory=dict[str, Any])

    def whole(self, candidate: Json, answer: Json) -> Json:
        """The choice of a whole answer, in which anything may be missing."""
        message: Json = {"role": "assistant", "content": "", "refusal": None, **self._read(candidate, answer)}
        finish, last = self._finish()
        for call in message.get("tool_calls", ()):
            del call["index"]
        if self.called and not message["content"]:
            message["content"] = None
        message |= last
        return {"index": self.index, "message": message, "logprobs": _logprobs(candidate), "finish_reason": finish}

    def step(self, candidate: Json, event: Json) -> Json | None:
        """The next step of a stream; None where the event says nothing."""
        delta, logprobs = self._read(candidate, event), _logprobs(candidate)
        return self._step(delta, logprobs, None) if delta or logprobs else None

    def last_step(self) -> Json:
        """The step that ends the choice."""
        finish, delta = self._finish()
        return self._step(delta, None, finish)

    def _step(self, delta: Json, logprobs: Json | None, finish: str | None) -> Json:
        if not self.begun:
            delta = {"role": "assistant", "content": "", **delta}
            self.begun = True
        return {"index": self.index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}

    @property
    def is_ended(self) -> bool:
        """Whether the provider has given a reason to end."""
        return text(self.end, "finishReason") is not None

    def _read(self, candidate: Json, answer: Json) -> Json:
        """The parts of a candidate as OpenAI's fields; what is only told at the end is kept until then."""
        for name in _TOLD_LAST:
            if candidate.get(name):
                self.end[name] = candidate[name]
        delta: Json = {}
        for part in children(child(candidate, "content"), "parts"):
            if isinstance(part.get("functionCall"), dict):
                delta.setdefault("tool_calls", []).append(self._call(part, answer))
            elif isinstance(part.get("text"), str):
                self._say(part, delta)
            elif part.get("thought") is not True:
                self._picture(child(part, "inlineData"), delta)
        return delta

    def _say(self, part: Json, delta: Json) -> None:
        said, signature = part["text"], text(part, "thoughtSignature")
        if said and part.get("thought") is True:
            delta["reasoning_content"] = delta.get("reasoning_content", "") + said
        elif said:
            delta["content"] = delta.get("content", "") + said
            self.said.append(said)
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

    def _call(self, part: Json, answer: Json) -> Json:
        """A call of a tool, under the client's name for it. Models before Gemini 3 give it no id."""
        call = child(part, "functionCall")
        if call.get("partialArgs") or call.get("willContinue"):
            raise UpstreamError("The provider sent a call of a tool in pieces, which it was not asked to.")
        name, place = text(call, "name") or "", self.called
        self.called += 1
        call_id = text(call, "id") or f"call_{text(answer, 'responseId') or 0}_{self.index}_{place}"
        function = {"name": self.names.get(name, name), "arguments": json.dumps(child(call, "args"))}
        native: Json = {"index": place, "id": call_id, "type": "function", "function": function}
        if signature := text(part, "thoughtSignature"):
            native["id"] = carried.carry(call_id, carried.GEMINIS, signature)
            native["extra_content"] = {"google": {"thought_signature": signature}}
        return native

    def _finish(self) -> tuple[str, Json]:
        """The finish_reason, and what of the message is only told now."""
        native, message = text(self.end, "finishReason") or "", text(self.end, "finishMessage")
        if native in _FAILURES and not (self.said or self.called or self.pictured):
            raise UpstreamError(redact(message or "") or f"The provider gave no answer: {native}.")
        finish = _FINISH_REASONS.get(native, "stop")
        last: Json = {}
        if finish == "content_filter" and message:
            last["refusal"] = message
        if annotations := _annotations(self.end, "".join(self.said)):
            last["annotations"] = annotations
        return "tool_calls" if finish == "stop" and self.called else finish, last


def _candidates(answer: Json) -> list[Json]:
    """The candidates; where the prompt was blocked there are none, and one stands for them that says so."""
    candidates, feedback = children(answer, "candidates"), child(answer, "promptFeedback")
    if candidates or not feedback.get("blockReason"):
        return candidates
    return [{"finishReason": "SAFETY", "finishMessage": feedback.get("blockReasonMessage")}]


def _annotations(end: Json, said: str) -> list[Json]:
    """OpenAI's `url_citation` for every source with a URL. Google counts places in bytes of UTF-8."""
    metadata, grounding = child(end, "citationMetadata"), child(end, "groundingMetadata")
    cited = [(source, source) for source in children(metadata, "citationSources") or children(metadata, "citations")]
    chunks = dict(enumerate(children(grounding, "groundingChunks")))
    for support in children(grounding, "groundingSupports"):
        given = support.get("groundingChunkIndices")
        indices = cast("list[Any]", given) if isinstance(given, list) else []
        sources = [child(chunks[index], "web") for index in indices if isinstance(index, int) and index in chunks]
        cited += [(source, child(support, "segment")) for source in sources]
    encoded = said.encode("utf-8", "surrogatepass")

    def character(segment: Json, name: str) -> int:
        return len(encoded[: count(segment, name)].decode("utf-8", "ignore"))

    annotations: list[Json] = []
    for source, segment in cited:
        if url := text(source, "uri"):
            place = {"start_index": character(segment, "startIndex"), "end_index": character(segment, "endIndex")}
            cite = {"url": url, "title": text(source, "title") or url, **place}
            annotations.append({"type": "url_citation", "url_citation": cite})
    return annotations


def _logprobs(candidate: Json) -> Json | None:
    """OpenAI's `logprobs`; each chosen token stands at the same place as its alternatives."""
    result = child(candidate, "logprobsResult")
    chosen, top = children(result, "chosenCandidates"), children(result, "topCandidates")
    if not chosen:
        return None
    others = [children(step, "candidates") for step in top] + [[]] * (len(chosen) - len(top))
    content = [
        {**_token(token), "top_logprobs": [_token(other) for other in alternatives]}
        for token, alternatives in zip(chosen, others, strict=False)
    ]
    return {"content": content, "refusal": None}


def _token(token: Json) -> Json:
    said, probability = text(token, "token") or "", token.get("logProbability", 0.0)
    is_number = isinstance(probability, (int, float)) and not isinstance(probability, bool)
    encoded = said.encode("utf-8", "surrogatepass")
    return {"token": said, "logprob": probability if is_number else _NO_CHANCE, "bytes": list(encoded)}


def _usage(answer: Json) -> Usage | None:
    """Thoughts are counted apart, unless the total says that the candidates include them; None where nothing is."""
    usage = child(answer, "usageMetadata")
    if not usage:
        return None
    prompt = count(usage, "promptTokenCount") + count(usage, "toolUsePromptTokenCount")
    candidates, thoughts = count(usage, "candidatesTokenCount"), count(usage, "thoughtsTokenCount")
    if "candidatesTokenCount" not in usage:
        candidates = max(0, count(usage, "totalTokenCount") - prompt - thoughts)
    included = thoughts <= candidates and prompt + candidates == count(usage, "totalTokenCount")
    return Usage(
        input_tokens=prompt,
        output_tokens=candidates if included else candidates + thoughts,
        cached_tokens=min(count(usage, "cachedContentTokenCount"), prompt),
        input_audio_tokens=_audio(usage, "promptTokensDetails"),
        reasoning_tokens=thoughts,
        output_audio_tokens=_audio(usage, "candidatesTokensDetails"),
        cached_audio_tokens=_audio(usage, "cacheTokensDetails"),
    )


def _extra(answer: Json) -> Json:
    """The service tier that answered, in OpenAI's words."""
    tier = (text(child(answer, "usageMetadata"), "serviceTier") or "").lower()
    return {"service_tier": _SERVED_TIERS[tier]} if tier in _SERVED_TIERS else {}


def _audio(usage: Json, name: str) -> int:
    return sum(count(entry, "tokenCount") for entry in children(usage, name) if entry.get("modality") == "AUDIO")


def _wait(error: Json) -> float | None:
    """Seconds to wait, of Google's RetryInfo: "17s", "3.5s"."""
    delays = [text(entry, "retryDelay") for entry in children(error, "details") if entry.get("@type") == _RETRY_INFO]
    return retry_after({"retry-after": delays[0].removesuffix("s")}) if delays and delays[0] else None


def _raise_if_error(answer: Json) -> None:
    if answer.get("error"):
        error = child(answer, "error")
        message = text(error, "message") or "The provider failed."
        raise failure(count(error, "code") or 502, message, retry_after=_wait(error))
