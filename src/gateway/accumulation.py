"""Converts a stream into a whole response and a whole response into a stream: providers send one for the other."""

from collections.abc import Mapping
from typing import Any

from tollgate.gateway.chat import Chunk, Completion
from tollgate.gateway.types import Json, Usage

_ONCE = frozenset({"role", "id", "type", "index", "name"})
"""Fields of a delta, or of an entry in it, that are sent once; other text comes in pieces."""


class ChunkAccumulator:
    """Combines the chunks of a stream, as a client does (OpenAI's API reference, "Streaming")."""

    def __init__(self) -> None:
        self._choices: dict[int, _Choice] = {}
        self._usage: Usage | None = None
        self._extra: dict[str, Any] = {}

    def add(self, chunk: Chunk) -> None:
        """Add the next chunk."""
        if chunk.usage is not None:
            self._usage = chunk.usage if self._usage is None else self._usage.larger(chunk.usage)
        self._extra |= chunk.extra
        for step in chunk.choices:
            self._choices.setdefault(step["index"], _Choice()).add(step)

    def completion(self) -> Completion:
        """The whole response."""
        choices = [{"index": index, **self._choices[index].whole()} for index in sorted(self._choices)]
        return Completion(choices, self._usage, self._extra)


class _Choice:
    """One choice: fields of its message, text in pieces; its calls by their index; and its other fields."""

    def __init__(self) -> None:
        self._message = _Pieces()
        self._calls: dict[int, tuple[_Pieces, _Pieces]] = {}
        self._logprobs = _Pieces()
        self._other_fields: Json = {}

    def add(self, step: Json) -> None:
        delta: Json = {**step["delta"]}
        for piece in delta.pop("tool_calls", ()):
            call, function = self._calls.setdefault(piece["index"], (_Pieces(), _Pieces()))
            call.add({name: value for name, value in piece.items() if name not in ("index", "function")})
            function.add(piece.get("function") or {})
        self._message.add(delta)
        if isinstance(step.get("logprobs"), dict):
            self._logprobs.add(step["logprobs"])
        others = {name: value for name, value in step.items() if name not in ("index", "delta", "logprobs")}
        self._other_fields |= {
            name: value for name, value in others.items() if value is not None or name not in self._other_fields
        }

    def whole(self) -> Json:
        message = {"role": "assistant", "content": "", "refusal": None, **self._message.joined()}
        if self._calls:
            calls = [self._calls[place] for place in sorted(self._calls)]
            message["tool_calls"] = [{**call.joined(), "function": function.joined()} for call, function in calls]
            message["content"] = message["content"] or None
        return {"message": message, "logprobs": self._logprobs.joined() or None, **self._other_fields}


class _Pieces:
    """An object whose texts and lists come in pieces."""

    def __init__(self) -> None:
        self._pieces: dict[str, list[Any]] = {}

    def add(self, more: Mapping[str, Any]) -> None:
        for name, value in more.items():
            self._pieces.setdefault(name, []).append(value)

    def joined(self) -> Json:
        return {name: _joined(name, values) for name, values in self._pieces.items()}


def _joined(name: str, pieces: list[Any]) -> Any:
    values = [value for value in pieces if value is not None]
    if not values:
        return None
    if name not in _ONCE and all(isinstance(value, str) for value in values):
        return "".join(values)
    if all(isinstance(value, list) for value in values):
        return [item for value in values for item in value]
    return values[0] if name in _ONCE else values[-1]


def to_chunks(completion: Completion) -> list[Chunk]:
    """A whole response as a stream: one chunk with the content of each choice, and one with the reason of its end."""
    steps: list[Json] = []
    ends: list[Json] = []
    for choice in completion.choices:
        message: Json = {name: value for name, value in choice["message"].items() if value is not None}
        calls = [{"index": place, **call} for place, call in enumerate(message.pop("tool_calls", ()))]
        delta = {"role": "assistant", "content": "", **message, **({"tool_calls": calls} if calls else {})}
        beside = {name: value for name, value in choice.items() if name not in ("message", "logprobs")}
        logprobs = choice.get("logprobs")
        steps.append({"index": choice["index"], "delta": delta, "logprobs": logprobs, "finish_reason": None})
        ends.append({**beside, "delta": {}, "logprobs": None})
    return [Chunk(steps, None, completion.extra), Chunk(ends, completion.usage, completion.extra)]
