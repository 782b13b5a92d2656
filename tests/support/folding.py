"""A client that puts a stream together again: chunks in, the choices of a whole completion out, the rules checked."""

import json
from collections.abc import Iterable
from typing import Any, cast

from tollgate.gateway.chat import Chunk
from tollgate.gateway.types import Json


def fold(chunks: Iterable[Chunk]) -> list[Json]:
    """The choices that a client builds of a stream; asserts what StreamParser promises on the way."""
    built: dict[int, Json] = {}
    for chunk in chunks:
        for step in chunk.choices:
            assert ("role" in step["delta"]) == (step["index"] not in built), "the role comes first, and once"
            choice = built.setdefault(
                step["index"],
                {"index": step["index"], "message": {"refusal": None}, "finish_reason": None, "logprobs": None},
            )
            assert choice["finish_reason"] is None, "something came after the end"
            choice["finish_reason"] = step["finish_reason"]
            if logprobs := step.get("logprobs"):
                before: list[Json] = choice["logprobs"]["content"] if choice["logprobs"] else []
                choice["logprobs"] = {**logprobs, "content": [*before, *logprobs["content"]]}
            for name, value in step["delta"].items():
                _add(choice["message"], name, value)
    for choice in built.values():
        assert choice["finish_reason"] is not None, "it never ended"
        if "tool_calls" in choice["message"] and not choice["message"]["content"]:
            choice["message"]["content"] = None  # a stream cannot say "no text" before it knows
    return [built[index] for index in sorted(built)]


def plain(choices: Iterable[Json]) -> list[Json]:
    """The choices without fields that OpenAI does not know, and with the arguments of their calls as values: white
    space in JSON text is no difference.
    """
    known = ("index", "message", "finish_reason", "logprobs")
    said = [{name: choice[name] for name in known} for choice in choices]
    copies = cast("list[Json]", json.loads(json.dumps(said)))
    for choice in copies:
        for call in choice["message"].get("tool_calls", []):
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    return copies


def _add(message: Json, name: str, value: Any) -> None:
    if name == "tool_calls":
        for piece in value:
            _add_call(message.setdefault("tool_calls", []), piece)
    elif isinstance(value, list):
        message[name] = [*message.get(name, []), *cast("list[Any]", value)]
    elif isinstance(value, str) and name != "role":
        message[name] = (message.get(name) or "") + value
    else:
        message[name] = value


def _add_call(calls: list[Json], piece: Json) -> None:
    assert piece["index"] <= len(calls), "a call was left out"
    function = piece["function"]
    if piece["index"] == len(calls):
        calls.append({**{name: value for name, value in piece.items() if name != "index"}, "function": dict(function)})
    else:
        assert "id" not in piece, "an id comes once"
        assert "name" not in function, "a name comes once"
        calls[piece["index"]]["function"]["arguments"] += function["arguments"]
