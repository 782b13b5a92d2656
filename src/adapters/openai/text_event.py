"""Recognises the usual event of a stream, which has another piece of one text and nothing else that is to be read."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from tollgate.adapters.openai.chat_response import extra_fields
from tollgate.gateway.chat import TextField, TextPlace
from tollgate.gateway.types import Json

_FIELDS: Mapping[str, TextField] = {
    "content": "content",
    "reasoning_content": "reasoning_content",
    "reasoning": "reasoning_content",
    "tool_calls": "arguments",
}
_READ = frozenset({"index", "delta", "message", "logprobs", "finish_reason"})
"""Fields of a choice that are not relayed as they are."""


class TextEvent(NamedTuple):
    """The choice with its index; which of its texts continues, and the piece, or the `tool_calls` with it."""

    choice_index: int
    choice: Json
    name: TextField
    value: Any


def read_text_event(event: Json) -> TextEvent | None:
    """The piece of text of an event; None if the event has anything else that is to be read, except `usage`."""
    try:
        (choice,) = event["choices"]
        index = choice.get("index", 0)
        if choice.get("finish_reason") or choice.get("logprobs") is not None or type(index) is not int:
            return None
        if "usage" in choice or choice.get("error") or event.get("error") or event.get("x_groq"):
            return None
        found = None if event.get("object") == "error" else _only_field(choice["delta"])
    except (KeyError, TypeError, ValueError, AttributeError):  # a value of another type than in OpenAI's events
        return None
    return found and TextEvent(index, choice, *found)


def _only_field(delta: Json) -> tuple[TextField, Any] | None:
    """The text or the tool calls of a delta, if nothing else of it is relayed."""
    found: tuple[TextField, Any] | None = None
    for name, value in delta.items():
        if value is None or name == "role" or (not value and name in ("content", "tool_calls")):
            continue
        if found is not None or name not in _FIELDS or not value:
            return None
        if name != "tool_calls" and type(value) is not str:
            return None
        found = _FIELDS[name], value
    return found


class TextPlaces:
    """The places of the texts of one stream: the same object while nothing but the text changes."""

    def __init__(self) -> None:
        self._last = TextPlace()
        self._last_values: str | None = None  # if any is neither a string nor null

    def of(self, found: TextEvent, call: int, event: Json) -> TextPlace:
        """Where the text of an event belongs; `call` is the index of its tool call, if it is the arguments of one."""
        choice_index, choice, name, _ = found
        has_logprobs, last = "logprobs" in choice, self._last
        beside = {name: value for name, value in choice.items() if name not in _READ}
        extra = extra_fields(event)
        if (
            name == last.name
            and choice_index == last.index
            and call == last.call
            and has_logprobs == last.has_logprobs
            and self._are_last(beside, extra)
        ):
            return last
        others = [
            value for value in (*beside.values(), *extra.values()) if value is not None and type(value) is not str
        ]
        self._last_values = repr((beside, extra)) if others else None
        self._last = TextPlace(choice_index, name, call, has_logprobs, beside, extra)
        return self._last

    def _are_last(self, beside: Json, extra: Json) -> bool:
        """Whether these fields have the same JSON as the last ones: 1, 1.0 and true are equal, their JSON is not."""
        if beside != self._last.beside or extra != self._last.extra:
            return False
        return self._last_values is None or repr((beside, extra)) == self._last_values
