"""A client that assembles a stream: chunks in, the choices of a whole completion out; the rules are asserted."""

import json
from collections.abc import Iterable
from typing import Any, cast

from tollgate.gateway.chat import Chunk
from tollgate.gateway.types import Json


def fold(chunks: Iterable[Chunk]) -> list[Json]:
    """The choices that a client assembles from a stream; asserts the rules of StreamParser."""
    built: dict[int, Json] = {}
    for chunk in chunks:
        for step in chunk.choices:
            assert ("role" in step["delta"]) == (step["index"] not in built), "the role comes first, and once"
            choice = built.setdefault(
                step["index"],
                {"index": step["index"], "message": {"refusal": None}, "finish_reason": None, "logprobs": None},
            )
            assert choice["finish_reason"] is None, "a step follows the finish_reason"
            choice["finish_reason"] = step["finish_reason"]
            if logprobs := step.get("logprobs"):
                before: list[Json] = choice["logprobs"]["content"] if choice["logprobs"] else []
                choice["logprobs"] = {**logprobs, "content": [*before, *logprobs["content"]]}
            for name, value in step["delta"].items():
                _add(choice["message"], name, value)
    for choice in built.values():
        assert choice["finish_reason"] is not None, "a choice has no finish_reason"
        if "tool_calls" in choice["message"] and not choice["message"]["content"]:
            choice["message"]["content"] = None  # a stream sends its content before it can be null
    return [built[index] for index in sorted(built)]


def plain(choices: Iterable[Json]) -> list[Json]:
    """The choices with OpenAI's fields only, and with the arguments of tool calls parsed, to compare them."""
    names = ("index", "message", "finish_reason", "logprobs")
    selected = [{name: choice[name] for name in names} for choice in choices]
    copies = cast("list[Json]", json.loads(json.dumps(selected)))
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
    assert piece["index"] <= len(calls), "the index of a call is too large"
    function = piece["function"]
    if piece["index"] == len(calls):
        calls.append({**{name: value for name, value in piece.items() if name != "index"}, "function": dict(function)})
    else:
        assert "id" not in piece, "an id is sent twice"
        assert "name" not in function, "a name is sent twice"
        calls[piece["index"]]["function"]["arguments"] += function["arguments"]
