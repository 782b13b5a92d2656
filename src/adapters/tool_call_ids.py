"""Ids of calls of tools, unique over a conversation: clients and providers find a call's result by it."""

import hashlib
import json
from typing import cast

from tollgate.adapters.json_access import children, text
from tollgate.adapters.tool_call_state import strip_state
from tollgate.gateway.chat import ChatRequest
from tollgate.gateway.types import Json


class CallIds:
    """Gives the calls of one answer their ids: the provider's, where it gives one that the conversation has not seen.

    An id of ours is made of the conversation so far and of the call's place in the answer, so that it is the same
    streamed and whole, and another one a turn later.
    """

    def __init__(self, request: ChatRequest) -> None:
        self._request = request
        self._used: set[str] | None = None
        self._seed = b""

    def give(self, provided: str | None, choice: int, place: int) -> str:
        """The id of the call at this place among those of its choice."""
        if self._used is None:
            self._used = _ids_in(self._request)
        call_id = provided if provided and provided not in self._used else self._made(choice, place)
        self._used.add(call_id)
        return call_id

    def _made(self, choice: int, place: int) -> str:
        if not self._seed:
            self._seed = hashlib.sha256(json.dumps(self._request.messages).encode("ascii")).digest()
        return f"call_{hashlib.sha256(self._seed + f'{choice}:{place}'.encode('ascii')).hexdigest()[:24]}"


def _ids_in(request: ChatRequest) -> set[str]:
    """The ids of all calls of a conversation, and of those that results answer."""
    ids: set[str] = set()
    for message in request.messages:
        given = [text(call, "id") for call in children(cast(Json, message), "tool_calls")]
        ids.update(strip_state(one) for one in (*given, message.get("tool_call_id")) if one)
    return ids
