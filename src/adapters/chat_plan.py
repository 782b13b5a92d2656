"""What a provider call decides about a chat request once, for its request and for reading its response."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tollgate.adapters.response_format import FormatPlan, plan_format
from tollgate.adapters.tools import all_names, called_names
from tollgate.gateway.chat import ChatRequest, Message
from tollgate.gateway.quirks import Capabilities


@dataclass(frozen=True, slots=True)
class ChatPlan:
    """`tool_names` maps the provider's name of each tool to the client's; `choices` is the number requested.

    `called_tools` has the client's names of the tools that the conversation calls; `format` is how the model returns
    the requested format. With `reasoning_in_ids` the reasoning before a tool call is attached to the call's id.
    """

    messages: Sequence[Message]
    tool_names: Mapping[str, str]
    called_tools: Sequence[str] = ()
    format: FormatPlan = "text"
    choices: int = 1
    reasoning_in_ids: bool = False

    @property
    def json_by_tool(self) -> bool:
        """Whether the JSON answer is the arguments of a tool call that the client did not request."""
        return self.format == "tool"


def plan_chat(request: ChatRequest, capabilities: Capabilities, provider_name: Callable[[str], str]) -> ChatPlan:
    """The plan for a provider that names tools by `provider_name`. Raises BadRequestError for a format it lacks."""
    called = called_names(request.messages)
    names = {provider_name(name): name for name in all_names(request, called)}
    return ChatPlan(request.messages, names, called, plan_format(request, capabilities, called))
