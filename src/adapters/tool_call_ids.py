"""Tool calls of a response with ids that are unique in the conversation, by which their results are found."""

import hashlib
import json
from collections.abc import Sequence
from typing import cast

from tollgate.adapters.chat_plan import ChatPlan
from tollgate.adapters.json_access import children, text
from tollgate.adapters.tool_call_state import strip_state
from tollgate.gateway.chat import Message
from tollgate.gateway.types import Json


class ToolCallIds:
    """Assigns ids to the tool calls of one response: the provider's id, or one of ours if that is missing or used.

    Our id is a hash of the conversation and of the call's place in the response, so that it is the same in a stream and
    in a whole response, and differs in each turn.
    """

    def __init__(self, messages: Sequence[Message]) -> None:
        self._messages = messages
        self._used: set[str] | None = None
        self._seed = b""

    def assign(self, provided: str | None, choice: int, index: int) -> str:
        """The id of the call at this index in its choice."""
        if self._used is None:
            self._used = _ids_in(self._messages)
        call_id = provided if provided and provided not in self._used else self._generate(choice, index)
        self._used.add(call_id)
        return call_id

    def _generate(self, choice: int, index: int) -> str:
        if not self._seed:
            self._seed = hashlib.sha256(json.dumps(self._messages).encode("ascii")).digest()
        return f"call_{hashlib.sha256(self._seed + f'{choice}:{index}'.encode('ascii')).hexdigest()[:24]}"


class ToolCallBuilder:
    """Builds the tool calls of one choice under the client's tool names; `count` is the number built."""

    def __init__(self, plan: ChatPlan, ids: ToolCallIds | None = None, choice: int = 0) -> None:
        self.count = 0
        self._names = plan.tool_names
        self._ids = ids or ToolCallIds(plan.messages)
        self._choice = choice

    def build(self, name: str | None, provided_id: str | None, arguments: str) -> Json:
        """The next call; `name` is the provider's name of the tool, `arguments` is JSON text."""
        function = {"name": self._names.get(name or "", name or ""), "arguments": arguments}
        call_id = self._ids.assign(provided_id, self._choice, self.count)
        self.count += 1
        return {"id": call_id, "type": "function", "function": function}


def _ids_in(messages: Sequence[Message]) -> set[str]:
    """The ids of a conversation's tool calls and results."""
    ids: set[str] = set()
    for message in messages:
        call_ids = [text(call, "id") for call in children(cast(Json, message), "tool_calls")]
        ids.update(strip_state(call_id) for call_id in (*call_ids, message.get("tool_call_id")) if call_id)
    return ids
