"""What OpenAI and compatible servers answer, whole and as a stream, normalised because they differ: see OpenAI's API
reference, "The chat completion object" and "The chat completion chunk object", for the shape aimed at.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from adapters.events import EventStream
from adapters.failures import failure, retry_after
from adapters.openai.request import by_tool
from adapters.shapes import child, children, count, parse_object, text
from gateway.errors import GatewayError, UpstreamError
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

MAX_COST_USD = 1_000_000


def parse_response(body: bytes, request: ChatRequest, route: Route) -> Completion:
    """A `chat.completion` object. Raises GatewayError for HTML, an error under status 200, or no choices."""
    answer = parse_object(body)
    _raise_if_error(answer)
    source, as_content = text(answer, "id") or "", by_tool(request, route.model.capabilities)
    choices = [_whole_choice(choice, n, source, as_content) for n, choice in enumerate(children(answer, "choices"))]
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
    return OpenAIStream(by_tool(request, route.model.capabilities))


class OpenAIStream(EventStream):
    """One stream: which choices have begun and ended, and how many tools each has called.

    The terminal marker is `[DONE]`; a stream whose every choice has its finish_reason may end without it.
    """

    def __init__(self, by_tool: bool = False) -> None:
        super().__init__()
        self._by_tool = by_tool
        self._source = ""
        self._open: dict[int, int] = {}  # index of a choice that has begun and not ended -> tools it has called
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
        called = self._open.get(index, 0)
        if calls := children(delta, "tool_calls"):
            fragments: list[Json] = []
            for call in calls:
                fragments.append(_call_fragment(call, called, f"{self._source}:{index}"))
                called = max(called, fragments[-1]["index"] + 1)
            delta["tool_calls"] = fragments
            if self._by_tool:
                delta, called = _as_content(delta), 0
        if index not in self._open:
            delta = {"role": "assistant", "content": "", **delta}
        elif not delta and native is None and not choice.get("logprobs"):
            return None
        self._open[index] = called
        return {**choice, "index": index, "delta": delta, "finish_reason": self._end(index, native)}

    def _end(self, index: int, native: str | None) -> str | None:
        if native is None:
            return None
        reason = _finish_reason(native, self._open.pop(index) > 0)
        self._finished.add(index)
        return reason

    def _finish(self) -> Iterator[Chunk]:
        """At `[DONE]` the answer is whole: choices whose finish_reason a server forgot get it now."""
        if not self._open and not self._finished:
            raise UpstreamError("The provider's stream held no answer.")
        for index in sorted(self._open):
            yield Chunk([{"index": index, "delta": {}, "finish_reason": self._end(index, "stop")}])


def _whole_choice(choice: Json, position: int, source: str, by_tool: bool) -> Json:
    message = _said(child(choice, "message"))
    if not isinstance(choice.get("message"), dict):
        raise UpstreamError("The provider's answer has a choice without a message.")
    index = _index(choice, position)
    calls = [_whole_call(call, n, f"{source}:{index}") for n, call in enumerate(children(message, "tool_calls"))]
    message = {"content": None, "refusal": None, **message, "role": "assistant"}
    if calls:
        message |= {"tool_calls": calls, "content": message["content"] or None}
    if calls and by_tool:
        message, calls = _as_content(message), []
    return {
        **choice,
        "index": index,
        "message": message,
        "finish_reason": _finish_reason(text(choice, "finish_reason") or "stop", bool(calls)),
        "logprobs": choice.get("logprobs"),
    }


def _whole_call(call: Json, position: int, source: str) -> Json:
    function = child(call, "function")
    call = {"type": "function", **call, "id": text(call, "id") or _call_id(source, position)}
    call.pop("index", None)
    return {**call, "function": {**function, "arguments": _arguments(function.get("arguments"))}}


def _said(message: Json) -> Json:
    """What a message or a piece of one says, without its role and what is null or no call at all.

    vLLM and OpenRouter say `reasoning` where others say `reasoning_content`: clients find it under either.
    """
    said = {name: value for name, value in message.items() if value is not None and name != "role"}
    if not said.get("tool_calls", True):
        del said["tool_calls"]
    if text(said, "reasoning") and not text(said, "reasoning_content"):
        said["reasoning_content"] = said["reasoning"]
    return said


def _as_content(message: Json) -> Json:
    """The answer that came as the call of a tool the client knows nothing of."""
    calls = message.pop("tool_calls")
    said = "".join(child(call, "function").get("arguments") or "" for call in calls)
    return {**message, "content": (text(message, "content") or "") + said}


def _call_id(source: str, place: int) -> str:
    """An id for the call of a server that gives none; the same streamed and whole, as far as `source` is the same."""
    return f"call_{hashlib.sha256(f'{source}:{place}'.encode('utf-8', 'surrogatepass')).hexdigest()[:24]}"


def _index(item: Json, otherwise: int) -> int:
    """Servers that send whole things leave out `index`: their order stands for it."""
    return otherwise if item.get("index") is None else count(item, "index")


def _call_fragment(call: Json, called: int, source: str) -> Json:
    """A piece of a tool call, `called` having begun before it. Without an index, a name begins the next call."""
    function = child(call, "function")
    place = _index(call, called if text(function, "name") else max(0, called - 1))
    fragment = {**call, "index": place}
    if place >= called:
        fragment = {"type": "function", **fragment, "id": text(call, "id") or _call_id(source, place)}
    if "arguments" in function or place >= called:
        fragment["function"] = {**function, "arguments": _arguments(function.get("arguments"))}
    return fragment


def _arguments(arguments: Any) -> str:
    """Some servers send a tool's arguments as an object where OpenAI sends its JSON text."""
    if arguments is None:
        return ""
    return arguments if isinstance(arguments, str) else json.dumps(arguments)


def _finish_reason(native: str, called_tools: bool) -> str:
    if native == "error":
        raise UpstreamError("The provider ended its answer with an error.")
    reason = _FINISH_REASONS.get(native, "stop")
    return "tool_calls" if called_tools and reason == "stop" else reason


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
    status = count(error, "code") or (429 if "rate_limit" in (text(error, "type") or "") else 502)
    raise failure(status, _message(error), param=text(error, "param"), code=_code(error))


def _code(error: Json) -> str | None:
    """OpenAI says that the account is empty in `code`, and others in `type` alone."""
    kind = text(error, "type")
    return kind if kind == "insufficient_quota" else text(error, "code")


def _message(error: Json) -> str:
    """The provider's words; FastAPI's validation errors are a list under `detail`, each with its `msg`."""
    message = text(error, "message") or text(error, "detail")
    return message or "; ".join(text(item, "msg") or "" for item in children(error, "detail"))


def _usage(answer: Json) -> Usage | None:
    """`usage`, or Groq's `x_groq.usage`; None where there is neither, or nothing is counted in it."""
    usage = child(answer, "usage") or child(child(answer, "x_groq"), "usage")
    cost = _dollars(usage.get("cost"))
    if cost is None and not any(isinstance(usage.get(name), int) for name in ("prompt_tokens", "completion_tokens")):
        return None
    prompt, completion = child(usage, "prompt_tokens_details"), child(usage, "completion_tokens_details")
    return Usage(
        input_tokens=count(usage, "prompt_tokens"),
        output_tokens=count(usage, "completion_tokens"),
        cached_tokens=count(prompt, "cached_tokens") or count(usage, "prompt_cache_hit_tokens"),
        cache_write_tokens=count(prompt, "cache_write_tokens"),
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
