"""What OpenAI and compatible servers answer, whole and as a stream, normalised because they differ: see OpenAI's API
reference, "The chat completion object" and "The chat completion chunk object", for the shape aimed at.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from adapters import carried
from adapters.events import EventStream
from adapters.failures import failure, named_status, retry_after
from adapters.openai.calls import Calls, whole_calls
from adapters.openai.request import by_tool
from adapters.shapes import child, children, count, parse_object, text
from gateway.errors import GatewayError, OverloadedError, UpstreamError
from gateway.routing import Route
from gateway.types import ChatRequest, Chunk, Completion, Json, Usage

_FINISH_REASONS = {
    "stop": "stop",
    "eos": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "function_call": "function_call",
    "content_filter": "content_filter",
}
"""Native finish_reason to OpenAI's; what is not in here is a stop, so that no foreign word reaches a client."""

_ENVELOPE = frozenset({
    "id", "object", "created", "model", "choices", "usage", "error", "x_groq", "obfuscation", "prompt_filter_results",
})  # fmt: skip
"""Top-level fields of an answer that are the gateway's to say, or of no use to a client; the others are relayed."""

_TOLD_IN_TYPE = frozenset({"insufficient_quota", "context_length_exceeded", "content_filter"})
MAX_COST_USD = 1_000_000


def parse_response(body: bytes, request: ChatRequest, route: Route) -> Completion:
    """A `chat.completion` object. Raises GatewayError for HTML, an error under status 200, or no choices."""
    answer = parse_object(body)
    _raise_if_error(answer)
    source, as_content = text(answer, "id") or "", by_tool(request, route.model.capabilities)
    choices = [_whole_choice(choice, n, source, as_content) for n, choice in enumerate(children(answer, "choices"))]
    if route.provider.quirks.thinking_switch:
        for message in (choice["message"] for choice in choices if "tool_calls" in choice["message"]):
            first, *others = message["tool_calls"]
            message["tool_calls"] = [carried.with_reasoning(first, text(message, "reasoning_content") or ""), *others]
    if not choices:
        raise UpstreamError("The provider's answer has no choices.")
    return Completion(choices, _usage(answer), _extra(answer))


def parse_error(status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
    """`{"error": {...}}`, the same flat, FastAPI's `detail`, or no JSON at all."""
    try:
        answer = parse_object(body.strip().removeprefix(b"[").removesuffix(b"]"))  # Google puts it into an array
    except UpstreamError:
        answer = {}
    error = _error_object(answer) or answer
    wait = retry_after(headers)
    return failure(status, _message(error), param=text(error, "param"), code=_code(error), retry_after=wait)


def open_stream(request: ChatRequest, route: Route) -> "OpenAIStream":
    """A parser for one stream of `chat.completion.chunk` objects."""
    return OpenAIStream(by_tool(request, route.model.capabilities), carries=route.provider.quirks.thinking_switch)


@dataclass(slots=True)
class _Open:
    """A choice that has begun and not ended. `beside` is its text while the answer may still come as a call, `thought`
    its reasoning where that must come back.
    """

    calls: Calls = field(default_factory=Calls)
    beside: list[str] = field(default_factory=list[str])
    thought: list[str] = field(default_factory=list[str])


class OpenAIStream(EventStream):
    """One stream: which choices have begun and ended, and which tools each has called.

    The terminal marker is `[DONE]`; a stream whose every choice has its finish_reason may end without it.
    """

    def __init__(self, by_tool: bool = False, *, carries: bool = False) -> None:
        super().__init__()
        self._by_tool = by_tool
        self._carries = carries  # whether reasoning must come back with the call it led to
        self._source = ""
        self._open: dict[int, _Open] = {}
        self._finished: set[int] = set()

    def is_whole(self) -> bool:
        """See EventStream."""
        return bool(self._finished) and not self._open

    def read(self, data: str) -> Iterator[Chunk]:
        """See EventStream."""
        if data.startswith("[DONE]"):
            self.done = True
            yield from self._finish()
            return
        event = parse_object(data)
        _raise_if_error(event)
        self._source = self._source or text(event, "id") or ""
        choices = [step for choice in children(event, "choices") if (step := self._step(choice)) is not None]
        usage = _usage(event)
        if choices or usage is not None:
            yield Chunk(choices, usage, _extra(event))

    def _step(self, choice: Json) -> Json | None:
        """One choice of one event, normalised; None where it says nothing, or its choice has ended already."""
        index = count(choice, "index")
        native = text(choice, "finish_reason")
        if index in self._finished or ("delta" not in choice and native is None):
            return None
        delta = _said(child(choice, "delta"))
        first = index not in self._open
        begun = self._open.setdefault(index, _Open())
        if self._carries:
            begun.thought.append(text(delta, "reasoning_content") or "")
        if pieces := begun.calls.read(delta, f"{self._source}:{index}"):
            delta["tool_calls"] = [_led_to(piece, begun) for piece in pieces]
        else:
            delta.pop("tool_calls", None)
        if self._by_tool:
            delta = _only_called(delta, begun)
        reason, rest = (None, {}) if native is None else self._end(index, native)
        delta |= rest
        if first:
            delta = {"role": "assistant", "content": "", **delta}
        elif not delta and native is None and not choice.get("logprobs"):
            return None
        return {**choice, "index": index, "delta": delta, "finish_reason": reason}

    def _end(self, index: int, native: str) -> tuple[str, Json]:
        """The finish_reason of a choice, and what of it was kept back until now."""
        begun = self._open.pop(index)
        self._finished.add(index)
        reason = _finish_reason(native, len(begun.calls) > 0 and not self._by_tool)
        return reason, {"content": beside} if (beside := "".join(begun.beside)) and not begun.calls else {}

    def _finish(self) -> Iterator[Chunk]:
        """At `[DONE]` the answer is whole: choices whose finish_reason a server forgot get it now."""
        if not self._open and not self._finished:
            raise UpstreamError("The provider's stream held no answer.")
        for index in sorted(self._open):
            reason, rest = self._end(index, "stop")
            yield Chunk([{"index": index, "delta": rest, "finish_reason": reason}])


def _whole_choice(choice: Json, position: int, source: str, by_tool: bool) -> Json:
    message = _said(child(choice, "message"))
    if not isinstance(choice.get("message"), dict):
        raise UpstreamError("The provider's answer has a choice without a message.")
    index = _index(choice, position)
    calls = whole_calls(message, f"{source}:{index}")
    message = {"content": None, "refusal": None, **message, "role": "assistant"}
    message.pop("tool_calls", None)
    if calls and by_tool:
        message["content"], calls = calls[0]["function"]["arguments"], []
    elif calls:
        message |= {"tool_calls": calls, "content": message["content"] or None}
    return {
        **choice,
        "index": index,
        "message": message,
        "finish_reason": _finish_reason(text(choice, "finish_reason") or "stop", bool(calls)),
        "logprobs": choice.get("logprobs"),
    }


def _said(message: Json) -> Json:
    """What a message or a piece of one says, without its role and what is null.

    vLLM and OpenRouter say `reasoning` where others say `reasoning_content`: clients find it under either.
    """
    said = {name: value for name, value in message.items() if value is not None and name != "role"}
    if not isinstance(said.get("content", ""), str):
        said |= _from_parts(said)
    if text(said, "reasoning") and not text(said, "reasoning_content"):
        said["reasoning_content"] = said["reasoning"]
    return said


def _from_parts(message: Json) -> Json:
    """Content in parts as text: Mistral's models send such while they reason (its documentation, "Reasoning")."""
    parts = children(message, "content")
    thoughts = "".join(_text_of(part, "thinking") for part in parts if part.get("type") == "thinking")
    content = "".join(_text_of(part, "text") for part in parts if part.get("type") == "text")
    return {"content": content} | ({"reasoning_content": thoughts} if thoughts else {})


def _text_of(part: Json, name: str) -> str:
    """The text under this name, which may be in parts itself."""
    return text(part, name) or "".join(text(inner, "text") or "" for inner in children(part, name))


def _only_called(delta: Json, begun: _Open) -> Json:
    """A piece of an answer that comes as the call of a tool the client knows nothing of.

    Its content is the arguments of the first call. Text beside it is kept back: it counts only where no call comes.
    """
    begun.beside.append(delta.pop("content", ""))
    pieces = [piece for piece in delta.pop("tool_calls", []) if piece["index"] == 0]
    said = "".join(piece["function"]["arguments"] for piece in pieces)
    return {**delta, "content": said} if said else delta


def _led_to(piece: Json, begun: _Open) -> Json:
    """A piece of a call; the beginning of the first one brings what was thought before it."""
    is_first = piece["index"] == 0 and "id" in piece
    return carried.with_reasoning(piece, "".join(begun.thought)) if is_first else piece


def _index(item: Json, otherwise: int) -> int:
    """Servers that send whole things leave out `index`: their order stands for it."""
    return otherwise if item.get("index") is None else count(item, "index")


def _finish_reason(native: str, called_tools: bool) -> str:
    if native == "error":
        raise UpstreamError("The provider ended its answer with an error.")
    if native == "insufficient_system_resource":  # DeepSeek's API reference, "Create Chat Completion"
        raise OverloadedError("The provider ended its answer for want of resources.")
    reason = _FINISH_REASONS.get(native, "stop")
    if called_tools:
        return reason if reason in ("length", "content_filter") else "tool_calls"
    return "stop" if reason == "tool_calls" else reason


def _extra(answer: Json) -> Json:
    return {name: value for name, value in answer.items() if name not in _ENVELOPE}


def _error_object(answer: Json) -> Json | None:
    """An error that came instead of an answer: OpenAI's `error`, or the flat object of vLLM and Mistral."""
    if message := text(answer, "error"):
        return {"message": message}
    if answer.get("object") == "error":
        return answer
    return child(answer, "error") or None


def _raise_if_error(answer: Json) -> None:
    error = _error_object(answer)
    if error is None:
        return
    status = named_status(error.get("code"), error.get("type"))
    raise failure(status, _message(error), param=text(error, "param"), code=_code(error))


def _code(error: Json) -> str | None:
    """What OpenAI says in `code`, others say in `type` alone; a number in text is a status, and no code."""
    kind = text(error, "type")
    code = text(error, "code")
    if kind in _TOLD_IN_TYPE:
        return kind
    return None if code is None or code.isdecimal() else code


def _message(error: Json) -> str:
    """The provider's words; errors of validation are a list under `detail`, each with its `msg`.

    FastAPI puts that list into the error, and Mistral into the error's `message`.
    """
    message = text(error, "message") or text(error, "detail")
    details = children(error, "detail") or children(child(error, "message"), "detail")
    return message or "; ".join(text(item, "msg") or "" for item in details)


def _usage(answer: Json) -> Usage | None:
    """`usage`, or Groq's `x_groq.usage`; None where there is neither, or nothing is counted in it."""
    usage = child(answer, "usage") or child(child(answer, "x_groq"), "usage")
    cost = _dollars(usage.get("cost"))
    if cost is None and not any(isinstance(usage.get(name), int) for name in ("prompt_tokens", "completion_tokens")):
        return None
    prompt, completion = child(usage, "prompt_tokens_details"), child(usage, "completion_tokens_details")
    cached = count(prompt, "cached_tokens") or count(usage, "prompt_cache_hit_tokens")
    cached = min(cached, count(usage, "prompt_tokens"))  # they are part of it, whatever a server says
    return Usage(
        input_tokens=count(usage, "prompt_tokens"),
        output_tokens=count(usage, "completion_tokens"),
        cached_tokens=cached,
        cache_write_tokens=min(count(prompt, "cache_write_tokens"), count(usage, "prompt_tokens") - cached),
        input_audio_tokens=count(prompt, "audio_tokens"),
        reasoning_tokens=count(completion, "reasoning_tokens"),
        output_audio_tokens=count(completion, "audio_tokens"),
        accepted_prediction_tokens=count(completion, "accepted_prediction_tokens"),
        rejected_prediction_tokens=count(completion, "rejected_prediction_tokens"),
        cost_usd=cost,
    )


def _dollars(cost: Any) -> Decimal | None:
    """OpenRouter's `usage.cost`, in USD; what no answer can cost is no cost."""
    known = isinstance(cost, int | float) and not isinstance(cost, bool) and 0 <= cost < MAX_COST_USD
    return Decimal(str(cost)) if known else None
