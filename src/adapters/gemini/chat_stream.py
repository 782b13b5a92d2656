"""Reads the events of a streamed Gemini response as chunks (Google's "Gemini API reference", streamGenerateContent)."""

from collections.abc import Iterable, Iterator

from tollgate.adapters.chat_plan import ChatPlan
from tollgate.adapters.finish_reasons import finish_error
from tollgate.adapters.gemini.candidates import FINISH_REASONS, Choice
from tollgate.adapters.gemini.chat_response import candidates_of, extra_fields, generate_usage, raise_if_error
from tollgate.adapters.json_access import count, parse_object, text
from tollgate.adapters.tool_call_ids import ToolCallBuilder, ToolCallIds
from tollgate.gateway.chat import Chunk, TextChunk, TextPlace
from tollgate.gateway.types import Json


class GeminiEvents:
    """See `adapters.event_stream.EventHandler`. An event has the form of a whole response.

    There is no terminal marker, and a finishReason is not one: some models send it in every event, and text or counts
    may follow. So a choice ends when the provider closes the stream, which it does after its last event; by then every
    choice must have its reason.
    """

    def __init__(self, plan: ChatPlan) -> None:
        self.done = False
        self._plan = plan
        self._ids = ToolCallIds(plan.messages)
        self._choices: dict[int, Choice] = {}
        self._place = TextPlace(has_logprobs=True)

    def read(self, data: str) -> Iterable[Chunk]:
        """See EventHandler. Counts are cumulative: the last ones hold."""
        event = parse_object(data)
        chunk = self._text_chunk(event)
        return self._read(event) if chunk is None else (chunk,)

    def _text_chunk(self, event: Json) -> TextChunk | None:
        """The chunk of an event that only continues a text of a choice; None for any other event."""
        try:
            (candidate,) = event["candidates"]
            index = candidate.get("index", 0)
        except (KeyError, TypeError, ValueError, AttributeError):  # none, several, or of another type than Gemini's
            return None
        choice = self._choices.get(index) if type(index) is int and not event.get("error") else None
        step = choice and choice.text_step(candidate)
        if step is None:
            return None
        (name, piece), place, extra = step, self._place, extra_fields(event)
        if index != place.index or name != place.name or extra != place.extra:
            place = self._place = TextPlace(index, name, has_logprobs=True, extra=extra)
        return TextChunk(place, piece, generate_usage(event))

    def _read(self, event: Json) -> Iterator[Chunk]:
        raise_if_error(event)
        candidates = candidates_of(event)
        steps = [step for candidate in candidates if (step := self._step(candidate)) is not None]
        usage = generate_usage(event)
        if steps or usage is not None:
            yield Chunk(steps, usage, extra_fields(event))
        for candidate in candidates:
            native, message = text(candidate, "finishReason"), text(candidate, "finishMessage")
            if error := finish_error(native, FINISH_REASONS, message):
                raise error

    def finish(self) -> Iterator[Chunk]:
        """See EventHandler."""
        for index in sorted(self._choices):
            yield Chunk([self._choices[index].last_step()])

    def is_complete(self) -> bool:
        """See EventHandler."""
        return bool(self._choices) and all(choice.is_ended for choice in self._choices.values())

    def may_continue(self) -> bool:
        """See EventHandler."""
        choices = self._choices.values()
        return len(choices) < self._plan.choices or any(
            choice.has_continued or not choice.has_content for choice in choices
        )

    def _step(self, candidate: Json) -> Json | None:
        index = count(candidate, "index")
        choice = self._choices.get(index)
        if choice is None:
            builder = ToolCallBuilder(self._plan, self._ids, index)
            choice = self._choices[index] = Choice(index, builder)
        return choice.step(candidate)
