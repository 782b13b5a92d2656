"""Recognises the usual event of a stream, which has a piece of text for one choice and nothing else."""

from typing import Any, NamedTuple, cast

from tollgate.gateway.chat import TextField
from tollgate.gateway.types import Json

_CHOICE = frozenset({"index", "delta", "logprobs", "finish_reason"})
_DELTA = frozenset({"role", "content", "reasoning_content"})
_PLAIN = frozenset({"id", "object", "created", "model", "choices", "system_fingerprint", "service_tier", "obfuscation"})
_SPECIAL = ("usage", "x_groq", "error")


class TextEvent(NamedTuple):
    """A piece of text: the index of its choice, the field of the delta, and whether the choice has `logprobs: null`."""

    choice: int
    name: TextField
    text: str
    has_logprobs: bool


def read_text_event(event: Json) -> TextEvent | None:
    """The piece of text of an event; None if the event has anything else that would have to be read."""
    choices: Any = event.get("choices")
    if type(choices) is not list or len(cast("list[Any]", choices)) != 1 or event.get("object") == "error":
        return None
    if not event.keys() <= _PLAIN and any(event.get(name) for name in _SPECIAL):
        return None
    choice = cast("list[Any]", choices)[0]
    if type(choice) is not dict:
        return None
    fields = cast(Json, choice)
    delta, index = fields.get("delta"), fields.get("index", 0)
    if type(delta) is not dict or type(index) is not int or not fields.keys() <= _CHOICE:
        return None
    if fields.get("finish_reason") or fields.get("logprobs") is not None:
        return None
    return _read_delta(cast(Json, delta), index, "logprobs" in fields)


def _read_delta(delta: Json, index: int, has_logprobs: bool) -> TextEvent | None:
    if not delta.keys() <= _DELTA:
        return None
    content, reasoning = delta.get("content"), delta.get("reasoning_content")
    if type(content) is str and content and reasoning is None:
        return TextEvent(index, "content", content, has_logprobs)
    if type(reasoning) is str and reasoning and not content:
        return TextEvent(index, "reasoning_content", reasoning, has_logprobs)
    return None
