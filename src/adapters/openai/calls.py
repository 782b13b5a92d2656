"""Calls of tools, normalised: what compatible servers leave out of a call, or say twice.

See OpenAI's API reference, "The chat completion chunk object", for the shape aimed at.
"""

import hashlib
import json
from typing import Any

from adapters.shapes import child, children, count, text
from gateway.types import Json


def whole_calls(message: Json, source: str) -> list[Json]:
    """The calls of a whole message, each once; those without an id get one, made of `source` and their place."""
    calls: list[Json] = []
    for call in children(message, "tool_calls"):
        if text(call, "id") is None or not any(_is_same(call, other) for other in calls):
            calls.append(_whole_call(call, source, len(calls)))
    return calls


class Calls:
    """The calls that one choice of a stream has begun, in their order: the id of each, and its arguments so far."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._pieces: list[list[str]] = []  # of each call's arguments
        self._lengths: list[int] = []
        self._places: dict[int, int] = {}  # the server's index of a call -> its place here

    def __len__(self) -> int:
        return len(self._ids)

    def read(self, delta: Json, source: str) -> list[Json]:
        """The pieces of calls in this delta, without those that only repeat what was said."""
        pieces = [self._piece(call, source) for call in children(delta, "tool_calls")]
        return [piece for piece in pieces if piece is not None]

    def _piece(self, call: Json, source: str) -> Json | None:
        function = child(call, "function")
        arguments = _as_text(function.get("arguments"))
        if self._is_repeated(call, arguments):
            return None
        place = self._place(call)
        begins = place == len(self)
        if begins:
            self._ids.append(text(call, "id") or _call_id(source, place))
            self._pieces.append([])
            self._lengths.append(0)
        if call.get("index") is not None:
            self._places[count(call, "index")] = place
        self._pieces[place].append(arguments)
        self._lengths[place] += len(arguments)
        said = {**function, "arguments": arguments}
        if begins:
            return {"type": "function", **call, "index": place, "id": self._ids[place], "function": said}
        more = {name: value for name, value in call.items() if name not in ("id", "type")}
        said.pop("name", None)  # clients join the pieces: what is said once must not come again
        return {**more, "index": place, "function": said}

    def _place(self, call: Json) -> int:
        """Which call a piece belongs to. A name under a new id begins one, as does a name with neither id nor index."""
        known, given = text(call, "id"), call.get("index") is not None
        named = text(child(call, "function"), "name") is not None
        place = self._places.get(count(call, "index")) if given else None
        if place is not None and not (named and known and known != self._ids[place]):
            return place
        if known in self._ids and (not given or place is not None):
            return self._ids.index(known)
        return len(self) if given or named else max(0, len(self) - 1)

    def _is_repeated(self, call: Json, arguments: str) -> bool:
        """Whether this is a whole call that was told already: some servers end with all calls once more."""
        known = text(call, "id")
        if known not in self._ids or text(child(call, "function"), "name") is None:
            return False
        place = self._ids.index(known)
        is_as_long = self._lengths[place] == len(arguments)  # most pieces are not: they cost no comparison
        return is_as_long and "".join(self._pieces[place]) == arguments and _is_object(arguments)


def _whole_call(call: Json, source: str, place: int) -> Json:
    function = child(call, "function")
    call = {"type": "function", **call, "id": text(call, "id") or _call_id(source, place)}
    call.pop("index", None)
    return {**call, "function": {**function, "arguments": _as_text(function.get("arguments"))}}


def _is_same(call: Json, other: Json) -> bool:
    function = child(call, "function")
    told = {**function, "arguments": _as_text(function.get("arguments"))}
    return text(call, "id") == other["id"] and told == other["function"]


def _call_id(source: str, place: int) -> str:
    """An id for the call of a server that gives none; the same streamed and whole, as far as `source` is the same."""
    return f"call_{hashlib.sha256(f'{source}:{place}'.encode('utf-8', 'surrogatepass')).hexdigest()[:24]}"


def _as_text(arguments: Any) -> str:
    """Some servers send a tool's arguments as an object where OpenAI sends its JSON text."""
    if arguments is None:
        return ""
    return arguments if isinstance(arguments, str) else json.dumps(arguments)


def _is_object(arguments: str) -> bool:
    try:
        return isinstance(json.loads(arguments), dict)
    except (ValueError, RecursionError):
        return False
