"""Reads the tool calls of compatible servers, which omit, split or repeat parts of a call, into one form.

The target is OpenAI's API reference, "The chat completion chunk object".
"""

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from tollgate.adapters.json_access import child, children, count, text
from tollgate.adapters.openai.call_arguments import CallArguments, arguments_text
from tollgate.adapters.tool_call_ids import ToolCallIds
from tollgate.gateway.errors import UpstreamError
from tollgate.gateway.types import Json

MAX_CALLS = 32_768
"""The maximum number of tool calls in one choice."""
_MAX_NAME_LENGTH = 256
_CALL_FIELDS = frozenset({"id", "type", "index", "function"})


def whole_calls(message: Json, ids: ToolCallIds, choice: int) -> list[Json]:
    """The tool calls of a whole message without repetitions, also from OpenAI's deprecated `function_call`."""
    seen: set[tuple[str, str, str]] = set()
    calls: list[Json] = []
    for call in _native_calls(message):
        function, call_id = child(call, "function"), text(call, "id")
        name, arguments = text(function, "name") or "", arguments_text(function.get("arguments"))
        if not (name or arguments) or (call_id and (call_id, name, arguments) in seen):
            continue
        seen.add((call_id or "", name, arguments))
        _check_count(len(calls))
        other_fields = {key: value for key, value in call.items() if key not in ("id", "index", "function")}
        assigned = ids.assign(call_id, choice, len(calls))
        function = {**function, "name": name, "arguments": arguments}
        calls.append({"type": "function", **other_fields, "id": assigned, "function": function})
    return calls


@dataclass(slots=True)
class _Call:
    """A call that has begun, the `number`th. `index` is its index in the client's stream, None until it is relayed.

    `fallback_name` is its name if none comes: servers that use one index for all calls may send one name for all.
    """

    number: int
    id: str
    name: str = ""
    fallback_name: str = ""
    arguments: CallArguments = field(default_factory=CallArguments)
    other_fields: Json = field(default_factory=dict[str, Any])
    function: Json = field(default_factory=dict[str, Any])
    index: int | None = None


class StreamedCalls:
    """The tool calls of one choice of a stream, relayed as OpenAI does: id and name whole and first.

    A call is held back until its arguments begin, because its name may come in pieces before them. It is true if any
    call was relayed. `tools` has the names of the tools that may be called.
    """

    def __init__(self, ids: ToolCallIds, choice: int, tools: Collection[str] = ()) -> None:
        self._ids = ids
        self._choice = choice
        self._tools = tools
        self._by_index: dict[int, _Call] = {}
        self._by_id: dict[str, _Call] = {}
        self._last: _Call | None = None
        self._held: OrderedDict[int, _Call] = OrderedDict()  # in the order in which they began
        self._begun = 0
        self._relayed = 0

    def __bool__(self) -> bool:
        return self._relayed > 0

    def read(self, delta: Json) -> list[Json]:
        """The pieces to relay for the pieces of calls in this delta."""
        return [relayed for piece in _native_calls(delta) for relayed in self._read_piece(piece)]

    def continued(self, pieces: Any) -> tuple[int, str] | None:
        """The usual delta: the index of a relayed call, and more of its arguments, which are then added to it.

        None, with nothing changed, if the pieces are anything else; then they are for `read`.
        """
        try:
            (piece,) = pieces
            index, arguments = piece["index"], piece["function"]["arguments"]
            if piece.get("id") or piece["function"].get("name") or not piece.keys() <= _CALL_FIELDS:
                return None
        except (KeyError, TypeError, ValueError, AttributeError):  # a value of another type than in OpenAI's deltas
            return None
        call = self._by_index.get(index) if type(index) is int else None
        if call is None or call.index is None or type(arguments) is not str:
            return None
        if not arguments or arguments.lstrip().startswith("{"):  # perhaps of another call with this index
            return None
        call.arguments.add(arguments)
        self._last = call
        return call.index, arguments

    def flush(self) -> list[Json]:
        """The calls that are held back at the end of the choice; one with neither name nor arguments is dropped."""
        held = [call for call in self._held.values() if call.name or call.arguments.has_begun]
        self._held.clear()
        return [self._relay(call) for call in held]

    def _read_piece(self, piece: Json) -> list[Json]:
        function = child(piece, "function")
        arguments, call_id = arguments_text(function.get("arguments")), text(piece, "id") or ""
        repeated = self._by_id.get(call_id)
        if repeated is not None and text(function, "name") and repeated.arguments.equals_object(arguments):
            return []  # some servers end with all calls once more
        call = self._call_of(piece, arguments)
        self._remember(call, piece)
        other_fields = {key: value for key, value in piece.items() if key not in _CALL_FIELDS}
        if call.index is not None:
            call.arguments.add(arguments)
            relayed = {**other_fields, "index": call.index, "function": {"arguments": arguments}}
            return [relayed] if arguments or other_fields else []
        if call.arguments.is_empty_object() and arguments:
            call.arguments = CallArguments()  # it was a placeholder for these
        call.arguments.add(arguments)
        call.name = self._joined_name(call.name, text(function, "name") or "")
        call.other_fields |= other_fields
        call.function |= {key: value for key, value in function.items() if key not in ("name", "arguments")}
        return self._relay_until(call)

    def _remember(self, call: _Call, piece: Json) -> None:
        """Remember by what the next pieces may refer to this call."""
        self._last = call
        if piece.get("index") is not None:
            self._by_index[count(piece, "index")] = call
        if call_id := text(piece, "id"):
            self._by_id[call_id] = call
            call.id = call.id or call_id

    def _call_of(self, piece: Json, arguments: str) -> _Call:
        """The call that a piece continues, or a new one.

        Some servers send one index for all calls, some the same id or none, some a new id in every piece. Then a new
        call begins after a complete object, and with another name.
        """
        call_id, name = text(piece, "id") or "", text(child(piece, "function"), "name") or ""
        has_index = piece.get("index") is not None
        current = self._by_index.get(count(piece, "index")) if has_index else self._last
        same_id = self._by_id.get(call_id)
        if current is None:
            return same_id if same_id is not None and not (has_index and name) else self._begin(call_id)
        if call_id and call_id != current.id:
            if same_id is not None:
                return same_id
            if current.id and (name or current.arguments.is_complete()):
                return self._begin(call_id)
        is_same_id = bool(call_id) and call_id == current.id
        if _is_complete_before(current, name, arguments) or (not is_same_id and self._is_other_name(current, name)):
            return self._begin(call_id, current.name)
        return current

    def _is_other_name(self, call: _Call, name: str) -> bool:
        """Whether a name is that of another call."""
        if not name or not call.name or name == call.name:
            return False
        continues_name = self._is_part(call.name, name) or name.startswith(call.name)
        return call.arguments.has_begun or not continues_name

    def _begin(self, call_id: str, fallback_name: str = "") -> _Call:
        _check_count(self._begun)
        call = self._held[self._begun] = _Call(self._begun, call_id, fallback_name=fallback_name)
        self._begun += 1
        return call

    def _joined_name(self, name: str, piece: str) -> str:
        """A call's name after another piece of it: a part, the whole name so far, or the same again."""
        if not piece or len(name) > _MAX_NAME_LENGTH:
            return name
        if self._is_part(name, piece):
            return name + piece
        return piece if piece.startswith(name) else name

    def _is_part(self, name: str, piece: str) -> bool:
        if name + piece in self._tools or not name:
            return True
        return not piece.startswith(name) and name not in self._tools and piece not in self._tools

    def _relay_until(self, call: _Call) -> list[Json]:
        """The beginning of this call if it is ready, after those that began before it, in their order."""
        has_name = bool(call.name or call.fallback_name)
        if not has_name or not call.arguments.has_begun or call.arguments.is_empty_object():
            return []
        relayed: list[Json] = []
        while call.index is None:
            first = next(iter(self._held.values()))
            relayed.append(self._relay(first if first.name else call))
        return relayed

    def _relay(self, call: _Call) -> Json:
        self._held.pop(call.number, None)
        call.index = self._relayed
        self._relayed += 1
        function = {**call.function, "name": call.name or call.fallback_name, "arguments": call.arguments.text}
        call_id = self._ids.assign(call.id, self._choice, call.index)
        return {"type": "function", **call.other_fields, "index": call.index, "id": call_id, "function": function}


def _is_complete_before(call: _Call, name: str, arguments: str) -> bool:
    """Whether these arguments begin another call, because those of this call are complete."""
    if not arguments.lstrip().startswith("{") or (call.arguments.is_empty_object() and not name):
        return False
    return call.arguments.is_complete()


def _native_calls(message: Json) -> list[Json]:
    """The calls in a message or a delta, in either of OpenAI's forms."""
    function_call = child(message, "function_call")
    return children(message, "tool_calls") or ([{"index": 0, "function": function_call}] if function_call else [])


def _check_count(calls: int) -> None:
    if calls >= MAX_CALLS:
        raise UpstreamError(f"The provider's response has more than {MAX_CALLS} tool calls.")
