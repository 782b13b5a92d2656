"""Reads the streams of OpenAI and of compatible servers, which differ, into one form.

The target is OpenAI's API reference, "The chat completion chunk object".
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tollgate.adapters.chat_plan import ChatPlan
from tollgate.adapters.finish_reasons import finish_error, finish_fields
from tollgate.adapters.json_access import check_choices, child, children, count, parse_object, text
from tollgate.adapters.openai.chat_response import FINISH_REASONS, extra_fields, message_fields, raise_if_error
from tollgate.adapters.openai.text_event import TextPlaces, read_text_event
from tollgate.adapters.openai.tool_calls import StreamedCalls
from tollgate.adapters.openai.usage import read_usage
from tollgate.adapters.tool_call_ids import ToolCallIds
from tollgate.adapters.tool_call_state import attach_reasoning
from tollgate.gateway.chat import Chunk, TextChunk
from tollgate.gateway.errors import UpstreamError
from tollgate.gateway.types import Json

_STEP_FIELDS = frozenset({"index", "delta", "message", "logprobs", "finish_reason", "usage"})
"""Fields of a choice that are relayed at once; others that come with its finish_reason are relayed with it."""
_MAX_EXTRA_FIELDS = 64


@dataclass(slots=True)
class _Choice:
    """A choice that has begun.

    `held_content` is text that is dropped if the JSON answer comes as a tool call, `reasoning` is kept if it is
    attached to a call's id, `native_reason` is the last reason to end, and `end_fields` came with it.
    """

    calls: StreamedCalls
    held_content: list[str] = field(default_factory=list[str])
    reasoning: list[str] = field(default_factory=list[str])
    native_reason: str | None = None
    end_fields: Json = field(default_factory=dict[str, Any])
    has_content: bool = False
    has_continued: bool = False  # after a reason to end


class OpenAIEvents:
    """See `adapters.event_stream.EventHandler`.

    Some servers send a finish_reason in every event, or in the first one. So it is relayed when the stream ends: with
    `[DONE]`, or when it closes or is silent after every choice has one.
    """

    def __init__(self, plan: ChatPlan) -> None:
        self.done = False
        self._plan = plan
        self._tools = frozenset(plan.tool_names)
        self._ids = ToolCallIds(plan.messages)
        self._choices: dict[int, _Choice] = {}
        self._open_choices = 0
        self._extra: Json = {}
        self._places = TextPlaces()

    def is_complete(self) -> bool:
        """See EventHandler."""
        return self._open_choices == 0 and bool(self._choices)

    def may_continue(self) -> bool:
        """See EventHandler."""
        choices = self._choices.values()
        return len(choices) < self._plan.choices or any(
            choice.has_continued or not choice.has_content for choice in choices
        )

    def read(self, data: str) -> Iterable[Chunk]:
        """See EventHandler."""
        if data.startswith("[DONE]"):
            self.done = True
            return self.finish()
        event = parse_object(data)
        chunk = self._text_chunk(event)
        return self._read(event) if chunk is None else (chunk,)

    def _read(self, event: Json) -> Iterator[Chunk]:
        raise_if_error(event)
        steps = [step for choice in children(event, "choices") if (step := self._step(choice)) is not None]
        usage, extra = read_usage(event), extra_fields(event)
        if not steps and len(self._extra) + len(extra) <= _MAX_EXTRA_FIELDS:
            self._extra |= extra
        if steps or usage is not None:
            yield Chunk(steps, usage, extra)
        for choice in children(event, "choices"):
            if error := finish_error(text(choice, "finish_reason"), FINISH_REASONS):
                raise error

    def _text_chunk(self, event: Json) -> TextChunk | None:
        """The chunk of an event that only continues a text of an open choice; None for any other event."""
        found = None if self._plan.json_by_tool else read_text_event(event)
        if found is None:
            return None
        choice, call, piece = self._choices.get(found.choice_index), 0, found.value
        if choice is None or choice.native_reason:
            return None
        if found.name == "arguments":
            continued = choice.calls.continued(piece)
            if continued is None:
                return None
            call, piece = continued
        elif found.name == "reasoning_content" and self._plan.reasoning_in_ids:
            choice.reasoning.append(piece)
        choice.has_content = True
        usage = read_usage(event) if event.get("usage") else None
        return TextChunk(self._places.of(found, call, event), piece, usage)

    def finish(self) -> Iterator[Chunk]:
        """See EventHandler. At `[DONE]` the response is complete, also if a server sent no finish_reason."""
        if not self._choices:
            raise UpstreamError("The provider's stream contained no response.")
        last = max(self._choices)
        for index, choice in sorted(self._choices.items()):
            delta = self._held_back(choice)
            has_calls = bool(choice.calls) and not self._plan.json_by_tool
            finish = finish_fields(choice.native_reason, FINISH_REASONS, has_calls)
            step = {**choice.end_fields, "index": index, "delta": delta, **finish}
            yield Chunk([step], extra=self._extra if index == last else {})

    def _step(self, native: Json) -> Json | None:
        """One choice of one event in OpenAI's form; None if it adds nothing."""
        index, reason = count(native, "index"), text(native, "finish_reason")
        if "delta" not in native and "message" not in native and reason is None:
            return None
        is_first = index not in self._choices
        choice = self._choice(index)
        delta = self._delta(choice, native)
        if delta:
            choice.has_content, choice.has_continued = True, choice.native_reason is not None
        if is_first:
            delta = {"role": "assistant", "content": "", **delta}
        other_fields = {name: value for name, value in native.items() if name not in _STEP_FIELDS}
        if reason is not None:
            self._open_choices -= choice.native_reason is None
            choice.native_reason, choice.end_fields, other_fields = reason, other_fields, {}
        if not delta and not native.get("logprobs"):
            return None
        logprobs = {"logprobs": native["logprobs"]} if "logprobs" in native else {}
        return {**other_fields, "index": index, "delta": delta, **logprobs, "finish_reason": None}

    def _choice(self, index: int) -> _Choice:
        choice = self._choices.get(index)
        if choice is None:
            check_choices(len(self._choices) + 1)
            self._open_choices += 1
            choice = self._choices[index] = _Choice(StreamedCalls(self._ids, index, self._tools))
        return choice

    def _delta(self, choice: _Choice, native: Json) -> Json:
        """The new fields. A server that sends the whole response as one event puts them into `message`."""
        is_whole = "delta" not in native and not choice.has_content
        delta = message_fields(child(native, "message" if is_whole else "delta"))
        if self._plan.reasoning_in_ids:
            choice.reasoning.append(text(delta, "reasoning_content") or "")
        pieces = choice.calls.read(delta)
        for name in ("tool_calls", "function_call"):
            delta.pop(name, None)
        if delta.get("content") == "":
            del delta["content"]
        return self._with_calls(choice, delta, pieces)

    def _held_back(self, choice: _Choice) -> Json:
        """The fields of a choice that are relayed only at its end."""
        delta = self._with_calls(choice, {}, choice.calls.flush())
        if choice.held_content and not choice.calls:
            delta["content"] = "".join(choice.held_content)
        return delta

    def _with_calls(self, choice: _Choice, delta: Json, pieces: list[Json]) -> Json:
        """The delta with these pieces of tool calls; the reasoning is attached to the first call's id.

        If the JSON answer comes as a tool call, the content is the arguments of the first call. Text beside it is held
        back, because it is the answer only if no call comes.
        """
        if not self._plan.json_by_tool:
            if pieces and pieces[0]["index"] == 0 and "id" in pieces[0]:
                pieces[0] = attach_reasoning(pieces[0], "".join(choice.reasoning))
            return {**delta, "tool_calls": pieces} if pieces else delta
        choice.held_content.append(delta.pop("content", ""))
        content = "".join(piece["function"]["arguments"] for piece in pieces if piece["index"] == 0)
        return {**delta, "content": content} if content else delta
