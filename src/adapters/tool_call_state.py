"""Provider state that must come back with a tool call, attached to the call's id, which every client sends back.

OpenAI's clients return the id of a tool call unchanged and drop every field that OpenAI does not define. The gateway
stores no conversations, so a provider's state travels through the client. Such an id is `ID.KIND.DATA.CHECKSUM`; the
kind names the family that can read it, because a conversation may continue with another family. The data is not
compressed: a client could send little that expands to much.
"""

import base64
import json
import zlib
from typing import Any, cast

from tollgate.adapters.json_access import children, text
from tollgate.adapters.json_density import parse_replayed
from tollgate.gateway.types import Json

CLAUDE, GEMINI, PLAIN = "claude", "gemini", "plain"
"""Kinds: signed thinking as `reasoning_details`, a thought signature, and `reasoning_content` without a signature."""

_KINDS = (CLAUDE, GEMINI, PLAIN)
_TO_URL_ALPHABET = str.maketrans("+/", "-_")
_FROM_URL_ALPHABET = str.maketrans("-_", "+/")


def attach_state(call_id: str, kind: str, data: str) -> str:
    """The id with this base64 text. A checksum distinguishes it from other ids and from one that was truncated."""
    with_data = f"{call_id}.{kind}.{data.translate(_TO_URL_ALPHABET).rstrip('=')}"
    return f"{with_data}.{_checksum(with_data)}"


def strip_state(call_id: str) -> str:
    """The id without its state."""
    return _split(call_id)[0]


def read_state(call_id: str, kind: str) -> str:
    """The base64 text of this kind in the id; empty if there is none or it is of another kind."""
    _, found, data = _split(call_id)
    return data if found == kind else ""


class ReasoningDetails:
    """The `reasoning_details` of one response in their order; `entries` since the last call belong to the next one."""

    def __init__(self) -> None:
        self.entries: list[Json] = []
        self._attached = 0

    def attach_to(self, call: Json) -> Json:
        """The call with the signed and encrypted entries since the last call in its id."""
        new, self._attached = self.entries[self._attached :], len(self.entries)
        replayable = [entry for entry in new if _is_replayable(entry)]
        if not replayable:
            return call
        data = base64.b64encode(json.dumps(replayable, separators=(",", ":")).encode()).decode("ascii")
        return {**call, "id": attach_state(call["id"], CLAUDE, data)}


def details_of_message(message: Json) -> list[Json]:
    """The signed and encrypted `reasoning_details` of an assistant message from a client."""
    return [detail for detail in children(message, "reasoning_details") if _is_replayable(detail)]


def details_of_call(call: Json) -> list[Json]:
    """The `reasoning_details` in the id of a tool call."""
    try:
        details = parse_replayed(base64.b64decode(read_state(text(call, "id") or "", CLAUDE)))
    except ValueError:
        return []
    items = cast("list[Any]", details) if isinstance(details, list) else []
    return [cast(Json, item) for item in items if isinstance(item, dict)]


def attach_reasoning(call: Json, reasoning: str) -> Json:
    """The call with the unsigned reasoning before it in its id; the call itself if there is no reasoning."""
    if not reasoning:
        return call
    data = base64.b64encode(reasoning.encode("utf-8", "surrogatepass")).decode("ascii")
    return {**call, "id": attach_state(call["id"], PLAIN, data)}


def reasoning_of_message(message: Json) -> str:
    """The unsigned reasoning in the id of a message's first tool call; empty if there is none."""
    data = "".join(read_state(text(call, "id") or "", PLAIN) for call in children(message, "tool_calls")[:1])
    try:
        return base64.b64decode(data).decode("utf-8", "surrogatepass")
    except ValueError:
        return ""


def _is_replayable(detail: Json) -> bool:
    return bool(detail.get("signature") or detail.get("data"))


def _split(call_id: str) -> tuple[str, str, str]:
    """The bare id, the kind and the data in base64; kind and data are empty if the id has no valid state."""
    bare_id, *rest = call_id.rsplit(".", 3)
    if len(rest) != 3 or rest[0] not in _KINDS or rest[2] != _checksum(call_id.rpartition(".")[0]):
        return call_id, "", ""
    return bare_id, rest[0], rest[1].translate(_FROM_URL_ALPHABET) + "=" * (-len(rest[1]) % 4)


def _checksum(with_data: str) -> str:
    return f"{zlib.crc32(with_data.encode('utf-8', 'surrogatepass')):08x}"
