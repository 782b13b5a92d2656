"""What OpenAI and compatible servers answer, as a stream, normalised because they differ: see OpenAI's API reference,
"The chat completion chunk object", for the shape aimed at.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tollgate.adapters import tool_call_state
from tollgate.adapters.event_stream import EventStream
from tollgate.adapters.finish_reasons import failure_of, finish
from tollgate.adapters.json_access import check_choices, child, children, count, parse_object, text
from tollgate.adapters.openai.chat_request import by_tool
from tollgate.adapters.openai.chat_response import FINISH_REASONS, extra_of, raise_if_error, said
from tollgate.adapters.openai.tool_calls import Calls
from tollgate.adapters.openai.usage import read_usage
from tollgate.adapters.tool_call_ids import CallIds
from tollgate.adapters.tools import all_names
from tollgate.gateway.chat import ChatRequest, Chunk
from tollgate.gateway.errors import UpstreamError
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json

_OF_THE_STEP = frozenset({"index", "delta", "message", "logprobs", "finish_reason", "usage"})
"""Fields of a choice that are told as they come; others that come with its finish_reason are told with it."""
_MAX_EXTRA = 64


def open_stream(request: ChatRequest, route: Route) -> "OpenAIStream":
    """A parser for one stream of `chat.completion.chunk` objects."""
    return OpenAIStream(request, route)


@dataclass(slots=True)
class _Choice:
    """A choice that has begun.

    `beside` is its text while the answer may still come as a call, `thought` its reasoning where that must come back,
    `native` the reason to end that was last given, and `end` what came with it.
    """

    calls: Calls
    beside: list[str] = field(default_factory=list[str])
    thought: list[str] = field(default_factory=list[str])
    native: str | None = None
    end: Json = field(default_factory=dict[str, Any])
    has_spoken: bool = False
    has_resumed: bool = False  # after a reason to end


class OpenAIStream(EventStream):
    """One stream, and the choices that have begun in it.

    Some servers give a finish_reason in every event, or on the first one: so it is told when the stream ends, which it
    does with `[DONE]`, or when it ends, or falls silent, after every choice has been given one.
    """

    def __init__(self, request: ChatRequest, route: Route) -> None:
        super().__init__()
        self._by_tool = by_tool(request, route.model.capabilities)
        self._carries = route.provider.quirks.thinking_switch  # whether reasoning comes back with the call it led to
        self._asked = request.n or 1
        self._tools = frozenset(all_names(request))
        self._ids = CallIds(request)
        self._choices: dict[int, _Choice] = {}
        self._extra: Json = {}

    def is_whole(self) -> bool:
        """See EventStream."""
        return bool(self._choices) and all(choice.native for choice in self._choices.values())

    def is_doubtful(self) -> bool:
        """See EventStream."""
        choices = self._choices.values()
        return len(choices) < self._asked or any(one.has_resumed or not one.has_spoken for one in choices)

    def read(self, data: str) -> Iterator[Chunk]:
        """See EventStream."""
        if data.startswith("[DONE]"):
            self.done = True
            yield from self.finish()
            return
        event = parse_object(data)
        raise_if_error(event)
        steps = [step for choice in children(event, "choices") if (step := self._step(choice)) is not None]
        usage, extra = read_usage(event), extra_of(event)
        if not steps and len(self._extra) + len(extra) <= _MAX_EXTRA:
            self._extra |= extra
        if steps or usage is not None:
            yield Chunk(steps, usage, extra)
        for choice in children(event, "choices"):
            if provider_error := failure_of(text(choice, "finish_reason"), FINISH_REASONS):
                raise provider_error

    def finish(self) -> Iterator[Chunk]:
        """See EventStream. At `[DONE]` the answer is whole, also where a server forgot the finish_reason."""
        if not self._choices:
            raise UpstreamError("The provider's stream held no answer.")
        last = max(self._choices)
        for index, choice in sorted(self._choices.items()):
            delta = self._held_back(choice)
            why = finish(choice.native, FINISH_REASONS, bool(choice.calls) and not self._by_tool)
            yield Chunk(
                [{**choice.end, "index": index, "delta": delta, **why}], extra=self._extra if index == last else {}
            )

    def _step(self, given: Json) -> Json | None:
        """One choice of one event, normalised; None where it says nothing."""
        index, native = count(given, "index"), text(given, "finish_reason")
        if "delta" not in given and "message" not in given and native is None:
            return None
        is_first = index not in self._choices
        choice = self._choice(index)
        delta = self._delta(choice, given)
        if delta:
            choice.has_spoken, choice.has_resumed = True, choice.native is not None
        if is_first:
            delta = {"role": "assistant", "content": "", **delta}
        more = {name: value for name, value in given.items() if name not in _OF_THE_STEP}
        if native is not None:
            choice.native, choice.end, more = native, more, {}
        if not delta and not given.get("logprobs"):
            return None
        logprobs = {"logprobs": given["logprobs"]} if "logprobs" in given else {}
        return {**more, "index": index, "delta": delta, **logprobs, "finish_reason": None}

    def _choice(self, index: int) -> _Choice:
        choice = self._choices.get(index)
        if choice is None:
            check_choices(len(self._choices) + 1)
            choice = self._choices[index] = _Choice(Calls(self._ids, index, self._tools))
        return choice

    def _delta(self, choice: _Choice, given: Json) -> Json:
        """What is new. A server that sends the whole answer as one event puts it into `message`."""
        is_whole = "delta" not in given and not choice.has_spoken
        delta = said(child(given, "message" if is_whole else "delta"))
        if self._carries:
            choice.thought.append(text(delta, "reasoning_content") or "")
        pieces = choice.calls.read(delta)
        for name in ("tool_calls", "function_call"):
            delta.pop(name, None)
        if delta.get("content") == "":
            del delta["content"]
        return self._with_calls(choice, delta, pieces)

    def _held_back(self, choice: _Choice) -> Json:
        """What is told of a choice only at its end."""
        delta = self._with_calls(choice, {}, choice.calls.flush())
        if choice.beside and not choice.calls:
            delta["content"] = "".join(choice.beside)
        return delta

    def _with_calls(self, choice: _Choice, delta: Json, pieces: list[Json]) -> Json:
        """The delta with these pieces of calls. The beginning of the first one brings what was thought before it.

        Where the answer comes as the call of a tool that the client knows nothing of, its content is the arguments of
        the first call; text beside it is kept back, for it counts only where no call comes.
        """
        if not self._by_tool:
            if pieces and pieces[0]["index"] == 0 and "id" in pieces[0]:
                pieces[0] = tool_call_state.with_reasoning(pieces[0], "".join(choice.thought))
            return {**delta, "tool_calls": pieces} if pieces else delta
        choice.beside.append(delta.pop("content", ""))
        content = "".join(piece["function"]["arguments"] for piece in pieces if piece["index"] == 0)
        return {**delta, "content": content} if content else delta
