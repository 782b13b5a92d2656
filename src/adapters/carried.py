"""What must come back with a call of a tool, carried in the call's id: that is what every client gives back.

OpenAI's clients echo the id of a call whatever it looks like, and drop every field that OpenAI does not know. The
gateway keeps no conversations, so what a provider wants to see again travels with the client.
"""

import base64
import json
import zlib
from typing import Any, cast

from adapters.shapes import children, text
from gateway.types import Json

_TO_URL = str.maketrans("+/", "-_")
_FROM_URL = str.maketrans("-_", "+/")
_MARK = "sig"
_MOST_BYTES = 1_000_000


def carry(call_id: str, data: str) -> str:
    """The id with this base64 text in it.

    It ends in a checksum, so that no other id is taken for one that carries, and one that was cut is not either.
    """
    carrying = f"{call_id}.{_MARK}.{data.translate(_TO_URL).rstrip('=')}"
    return f"{carrying}.{_checksum(carrying)}"


def read(given: str) -> tuple[str, str]:
    """The id and the base64 text in it; an id that carries none is as it was, and the text empty."""
    call_id, *rest = given.rsplit(".", 3)
    if len(rest) != 3 or rest[0] != _MARK or rest[2] != _checksum(given.rpartition(".")[0]):
        return given, ""
    return call_id, rest[1].translate(_FROM_URL) + "=" * (-len(rest[1]) % 4)


class Trail:
    """The `reasoning_details` of one answer, in their order, and which of them led to its next call."""

    def __init__(self) -> None:
        self.details: list[Json] = []
        self._led_to_calls = 0

    def call(self, call: Json) -> Json:
        """The call with what led to it in its id, as far as that is signed or encrypted."""
        led_here, self._led_to_calls = self.details[self._led_to_calls :], len(self.details)
        kept = [detail for detail in led_here if detail.get("signature") or detail.get("data")]
        if not kept:
            return call
        packed = zlib.compress(json.dumps(kept, separators=(",", ":")).encode())
        return {**call, "id": carry(call["id"], base64.b64encode(packed).decode("ascii"))}


def details_of(message: Json) -> list[Json]:
    """The `reasoning_details` that a client gave back with an assistant's message, or else in the ids of its calls."""
    if given := children(message, "reasoning_details"):
        return given
    calls = children(message, "tool_calls")
    return [detail for call in calls for detail in _unpack(read(text(call, "id") or "")[1])]


def _unpack(data: str) -> list[Json]:
    try:
        plain = zlib.decompressobj().decompress(base64.b64decode(data), _MOST_BYTES)
        blocks: Any = json.loads(plain)
    except (ValueError, zlib.error):
        return []
    items = cast("list[Any]", blocks) if isinstance(blocks, list) else []
    return [cast(Json, item) for item in items if isinstance(item, dict)]


def _checksum(carrying: str) -> str:
    return f"{zlib.crc32(carrying.encode('utf-8', 'surrogatepass')):08x}"
