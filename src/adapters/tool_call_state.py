"""What must come back with a call of a tool, carried in the call's id: that is what every client gives back.

OpenAI's clients echo the id of a call whatever it looks like, and drop every field that OpenAI does not know. The
gateway keeps no conversations, so what a provider wants to see again travels with the client. An id that carries is
`ID.MARK.DATA.CHECKSUM`; the mark tells whose it is, for a conversation may go on with another family. Nothing is
compressed: a client could send little that becomes much.
"""

import base64
import json
import zlib
from typing import Any, cast

from tollgate.adapters.json_access import children, text
from tollgate.gateway.types import Json

CLAUDE, GEMINI, PLAIN = "claude", "gemini", "plain"
"""Marks: signed thinking as `reasoning_details`, a thought signature, and `reasoning_content` that nobody signed."""

_MARKS = (CLAUDE, GEMINI, PLAIN)
_TO_URL = str.maketrans("+/", "-_")
_FROM_URL = str.maketrans("-_", "+/")


def attach_state(call_id: str, mark: str, data: str) -> str:
    """The id with this base64 text in it.

    It ends in a checksum, so that no other id is taken for one that carries, and one that was cut is not either.
    """
    carrying = f"{call_id}.{mark}.{data.translate(_TO_URL).rstrip('=')}"
    return f"{carrying}.{_checksum(carrying)}"


def strip_state(given: str) -> str:
    """The id without what it carries."""
    return _read(given)[0]


def read_state(given: str, mark: str) -> str:
    """The base64 text that the id carries under this mark; empty where it carries none, or another family's."""
    _, found, data = _read(given)
    return data if found == mark else ""


class ReasoningTrail:
    """The `reasoning_details` of one answer, in their order, and which of them led to its next call."""

    def __init__(self) -> None:
        self.details: list[Json] = []
        self._led_to_calls = 0

    def call(self, call: Json) -> Json:
        """The call with what led to it in its id, as far as that is signed or encrypted."""
        led_here, self._led_to_calls = self.details[self._led_to_calls :], len(self.details)
        kept = [detail for detail in led_here if _is_kept(detail)]
        if not kept:
            return call
        packed = base64.b64encode(json.dumps(kept, separators=(",", ":")).encode()).decode("ascii")
        return {**call, "id": attach_state(call["id"], CLAUDE, packed)}


def given_details(message: Json) -> list[Json]:
    """The signed or encrypted `reasoning_details` that a client gave back with an assistant's message."""
    return [detail for detail in children(message, "reasoning_details") if _is_kept(detail)]


def details_of(call: Json) -> list[Json]:
    """The `reasoning_details` that led to this call, from its id."""
    try:
        details: Any = json.loads(base64.b64decode(read_state(text(call, "id") or "", CLAUDE)))
    except (ValueError, RecursionError):
        return []
    items = cast("list[Any]", details) if isinstance(details, list) else []
    return [cast(Json, item) for item in items if isinstance(item, dict)]


def with_reasoning(call: Json, thought: str) -> Json:
    """The call with the plain reasoning that led to it in its id, if there was any."""
    if not thought:
        return call
    data = base64.b64encode(thought.encode("utf-8", "surrogatepass")).decode("ascii")
    return {**call, "id": attach_state(call["id"], PLAIN, data)}


def reasoning_of(message: Json) -> str:
    """The plain reasoning that led to a message's first call; empty where its id carries none."""
    data = "".join(read_state(text(call, "id") or "", PLAIN) for call in children(message, "tool_calls")[:1])
    try:
        return base64.b64decode(data).decode("utf-8", "surrogatepass")
    except ValueError:
        return ""


def _is_kept(detail: Json) -> bool:
    return bool(detail.get("signature") or detail.get("data"))


def _read(given: str) -> tuple[str, str, str]:
    call_id, *rest = given.rsplit(".", 3)
    if len(rest) != 3 or rest[0] not in _MARKS or rest[2] != _checksum(given.rpartition(".")[0]):
        return given, "", ""
    return call_id, rest[0], rest[1].translate(_FROM_URL) + "=" * (-len(rest[1]) % 4)


def _checksum(carrying: str) -> str:
    return f"{zlib.crc32(carrying.encode('utf-8', 'surrogatepass')):08x}"
