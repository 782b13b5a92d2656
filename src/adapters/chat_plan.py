"""What reading a chat response needs to know of its request, computed once per provider call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tollgate.gateway.chat import Message


@dataclass(frozen=True, slots=True)
class ChatPlan:
    """`tool_names` maps the provider's name of each tool to the client's; `choices` is the number requested.

    With `json_by_tool` the JSON answer is the arguments of a tool call that the client did not request. With
    `reasoning_in_ids` the reasoning before a tool call is attached to the call's id.
    """

    messages: Sequence[Message]
    tool_names: Mapping[str, str]
    json_by_tool: bool = False
    choices: int = 1
    reasoning_in_ids: bool = False
