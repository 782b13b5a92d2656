"""Calls of tools, normalised: what compatible servers leave out of a call, say late, in pieces, or twice.

See OpenAI's API reference, "The chat completion chunk object", for the shape aimed at.
"""

import json
import re
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from tollgate.adapters.json_access import child, children, count, text
from tollgate.adapters.tool_call_ids import CallIds
from tollgate.gateway.errors import UpstreamError
from tollgate.gateway.types import Json

MAX_CALLS = 32_768
"""Calls of tools in one choice; more is no answer."""
_MAX_NAME = 256
_MARK = re.compile(r'\\.|["{}]', re.DOTALL)


def whole_calls(message: Json, ids: CallIds, choice: int) -> list[Json]:
    """The calls of a whole message, each once, also where it has OpenAI's former `function_call`."""
    told: set[tuple[str, str, str]] = set()
    calls: list[Json] = []
    for call in _given_calls(message):
        function = child(call, "function")
        name, arguments, given = text(function, "name") or "", _as_text(function.get("arguments")), text(call, "id")
        if not (name or arguments) or (given and (given, name, arguments) in told):
            continue
        told.add((given or "", name, arguments))
        _check_count(len(calls))
        said = {**function, "name": name, "arguments": arguments}
        more = {key: value for key, value in call.items() if key not in ("id", "index", "function")}
        calls.append({"type": "function", **more, "id": ids.give(given, choice, len(calls)), "function": said})
    return calls


class _Arguments:
    """A call's arguments as they come: JSON text in pieces, read once."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.length = 0
        self._unread = 0  # the first piece that was not yet looked through
        self._rest = ""
        self._depth = 0
        self._is_in_string = False

    def add(self, piece: str) -> None:
        self.pieces.append(piece)
        self.length += len(piece)

    @property
    def has_begun(self) -> bool:
        return self.length > 0

    def is_empty_object(self) -> bool:
        return 0 < self.length <= 8 and "".join("".join(self.pieces).split()) == "{}"

    def is_whole(self) -> bool:
        """Whether an object has come, from its first brace to its last."""
        new, self._unread = self._rest + "".join(self.pieces[self._unread :]), len(self.pieces)
        is_escaping = (len(new) - len(new.rstrip("\\"))) % 2 == 1  # what comes with the next piece
        self._rest = "\\" if is_escaping else ""
        for found in _MARK.finditer(new.removesuffix(self._rest)):
            mark = found[0]
            if mark == '"':
                self._is_in_string = not self._is_in_string
            elif not self._is_in_string and mark in "{}":
                self._depth += 1 if mark == "{" else -1
        return self.has_begun and self._depth == 0 and not self._is_in_string

    def is_same(self, whole: str) -> bool:
        """Whether these are the arguments so far, and a whole object: most are not as long and cost no comparison."""
        return self.length == len(whole) and "".join(self.pieces) == whole and _is_object(whole)


@dataclass(slots=True)
class _Call:
    """A call that has begun, the `number`th. `place` is its index in what the client is told, None until it is."""

    number: int
    id: str
    name: str = ""
    fallback: str = ""  # its name if none is said: servers that share an index may say one name for all
    arguments: _Arguments = field(default_factory=_Arguments)
    more: Json = field(default_factory=dict[str, Any])
    function: Json = field(default_factory=dict[str, Any])
    place: int | None = None


class Calls:
    """The calls that one choice of a stream has begun. Their pieces are told as OpenAI tells them: id and name whole,
    and first. So a call is held back until its arguments begin, before which its name may come in pieces.
    """

    def __init__(self, ids: CallIds, choice: int, tools: Collection[str] = ()) -> None:
        self._ids = ids
        self._choice = choice
        self._tools = tools  # the names of tools that may be called
        self._by_index: dict[int, _Call] = {}
        self._by_id: dict[str, _Call] = {}
        self._last: _Call | None = None
        self._held: OrderedDict[int, _Call] = OrderedDict()  # by when they began
        self._begun = 0
        self._told = 0

    def __bool__(self) -> bool:
        """Whether any call was told."""
        return self._told > 0

    def read(self, delta: Json) -> list[Json]:
        """What the client is told of the pieces of calls in this delta."""
        return [told for piece in _given_calls(delta) for told in self._piece(piece)]

    def flush(self) -> list[Json]:
        """The calls that were held back, at the end of their choice; what has neither name nor arguments is none."""
        held = [call for call in self._held.values() if call.name or call.arguments.has_begun]
        self._held.clear()
        return [self._tell(call) for call in held]

    def _piece(self, piece: Json) -> list[Json]:
        function = child(piece, "function")
        arguments, known = _as_text(function.get("arguments")), text(piece, "id") or ""
        same = self._by_id.get(known)
        if same is not None and text(function, "name") and same.arguments.is_same(arguments):
            return []  # some servers end with all calls once more
        call = self._call_of(piece, arguments)
        self._remember(call, piece)
        more = {key: value for key, value in piece.items() if key not in ("id", "type", "index", "function")}
        if call.place is not None:
            call.arguments.add(arguments)
            said = {"index": call.place, "function": {"arguments": arguments}}
            return [{**more, **said}] if arguments or more else []
        if call.arguments.is_empty_object() and arguments:
            call.arguments = _Arguments()  # it stood in for those that come now
        call.arguments.add(arguments)
        call.name = self._joined(call.name, text(function, "name") or "")
        call.more |= more
        call.function |= {key: value for key, value in function.items() if key not in ("name", "arguments")}
        return self._told_up_to(call)

    def _remember(self, call: _Call, piece: Json) -> None:
        """By what the next pieces may know this call."""
        self._last = call
        if piece.get("index") is not None:
            self._by_index[count(piece, "index")] = call
        if known := text(piece, "id"):
            self._by_id[known] = call
            call.id = call.id or known

    def _call_of(self, piece: Json, arguments: str) -> _Call:
        """The call that a piece goes on with, or one that it begins.

        Some servers give one index to all calls, some the same id or none, some a new id in every piece. What is left
        then: after a whole object another call begins, and with another name.
        """
        known, name = text(piece, "id") or "", text(child(piece, "function"), "name") or ""
        has_index = piece.get("index") is not None
        held = self._by_index.get(count(piece, "index")) if has_index else self._last
        same = self._by_id.get(known)
        if held is None:
            return same if same is not None and not (has_index and name) else self._begin(known)
        if known and known != held.id:
            if same is not None:
                return same
            if held.id and (name or held.arguments.is_whole()):
                return self._begin(known)
        if self._ends_with(held, name, arguments) or (not (known and known == held.id) and self._is_other(held, name)):
            return self._begin(known, held.name)
        return held

    def _ends_with(self, held: _Call, name: str, arguments: str) -> bool:
        """Whether arguments come that cannot be more of this call's: its own are whole."""
        if not arguments.lstrip().startswith("{") or (held.arguments.is_empty_object() and not name):
            return False
        return held.arguments.is_whole()

    def _is_other(self, held: _Call, name: str) -> bool:
        """Whether a name is that of another call."""
        if not name or not held.name or name == held.name:
            return False
        is_more = self._is_part(held.name, name) or name.startswith(held.name)
        return held.arguments.has_begun or not is_more

    def _begin(self, call_id: str, name: str = "") -> _Call:
        """A new call; it has this name, the last one that was said, if none is said of it."""
        _check_count(self._begun)
        call = self._held[self._begun] = _Call(self._begun, call_id, fallback=name)
        self._begun += 1
        return call

    def _joined(self, so_far: str, piece: str) -> str:
        """The name of a call of which another piece has come: a part of it, all of it so far, or the same again."""
        if not piece or len(so_far) > _MAX_NAME:
            return so_far
        if self._is_part(so_far, piece):
            return so_far + piece
        return piece if piece.startswith(so_far) else so_far

    def _is_part(self, so_far: str, piece: str) -> bool:
        if so_far + piece in self._tools or not so_far:
            return True
        return not piece.startswith(so_far) and so_far not in self._tools and piece not in self._tools

    def _told_up_to(self, call: _Call) -> list[Json]:
        """The beginning of this call, if it is ready, after those that began before it: they keep their order."""
        if not (call.name or call.fallback) or not call.arguments.has_begun or call.arguments.is_empty_object():
            return []
        told: list[Json] = []
        while call.place is None:
            first = next(iter(self._held.values()))
            told.append(self._tell(first if first.name else call))
        return told

    def _tell(self, call: _Call) -> Json:
        self._held.pop(call.number, None)
        call.place = self._told
        self._told += 1
        said = {**call.function, "name": call.name or call.fallback, "arguments": "".join(call.arguments.pieces)}
        call_id = self._ids.give(call.id, self._choice, call.place)
        return {"type": "function", **call.more, "index": call.place, "id": call_id, "function": said}


def _given_calls(message: Json) -> list[Json]:
    """The calls in a message or a piece of one, in either of OpenAI's shapes."""
    former = child(message, "function_call")
    return children(message, "tool_calls") or ([{"index": 0, "function": former}] if former else [])


def _check_count(calls: int) -> None:
    if calls >= MAX_CALLS:
        raise UpstreamError("The provider's answer calls more tools than can be read.")


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
