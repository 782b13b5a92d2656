"""A conversation in a provider's turns: system texts apart, roles that alternate, every tool result behind its call.

What a turn is made of differs from family to family; the order of things does not.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar, cast

from tollgate.adapters import tool_call_state
from tollgate.adapters.dropped_params import DroppedParams, unsupported
from tollgate.adapters.identifiers import sanitize
from tollgate.adapters.json_access import child, children, text
from tollgate.adapters.tools import arguments, unanswered, uncalled
from tollgate.gateway.chat import Message
from tollgate.gateway.quirks import Capabilities
from tollgate.gateway.types import Json

OPENING = "Begin."
"""What the user is made to say where a conversation does not begin with a user, as all of these families want it."""


class Turns:
    """One conversation, translated message by message into `system` and `messages`. A family says what a block is."""

    assistant: ClassVar[str] = "assistant"
    """The family's name for that role."""
    content: ClassVar[str] = "content"
    """The family's name for what a turn holds."""
    foreign: ClassVar[re.Pattern[str]] = re.compile(r"[^a-zA-Z0-9_-]")
    """Characters that no id of a call may have."""
    longest_id: ClassVar[int] = 64
    result_parts: ClassVar[tuple[str, ...]] = ("text", "image_url", "file")
    user_parts: ClassVar[tuple[str, ...]] = ("text", "image_url", "file")

    def __init__(self, capabilities: Capabilities, dropped: DroppedParams, replay: bool) -> None:
        self.system: list[Json] = []
        self.messages: list[Json] = []
        self.capabilities = capabilities
        self.dropped = dropped
        self._replay = replay
        self._uses: Counter[str] = Counter()
        self._awaited: dict[str, tuple[str, str]] = {}  # client's id of a call without a result -> the id here, name
        self._results: dict[str, list[Json]] = {}  # id here of a call of this turn, in their order -> its result

    def read(self, messages: Sequence[Message]) -> None:
        """Translate the whole. Raises BadRequestError for what the family's blocks cannot say."""
        for index, (message, next_role) in enumerate(_with_next_roles(cast("Sequence[Json]", messages))):
            place = f"messages[{index}]"
            if message.get("name"):
                self.dropped.drop("name")
            if message["role"] != "tool" and self._awaited:
                raise unanswered(place)
            self._read_one(message, place, next_role)
        if self._awaited:
            raise unanswered("messages")
        self._end()

    # --- what a family says -------------------------------------------------------------------------------------------

    def text_blocks(self, said: str, marked: Json) -> list[Json]:
        """The blocks of a text that is not blank; `marked` may ask for it to be cached."""
        raise NotImplementedError

    def file_blocks(self, part: Json, place: str) -> list[Json]:
        """The blocks of an image, a file or a sound. Raises BadRequestError for those the family cannot take."""
        raise NotImplementedError

    def call_block(self, call: Json, name: str, native_id: str, given: Json) -> Json:
        """A call of the tool `name` (the client's spelling) with the arguments `given`."""
        raise NotImplementedError

    def result_blocks(self, name: str, native_id: str, blocks: list[Json]) -> list[Json]:
        """What the tool `name` answered."""
        raise NotImplementedError

    def thought_blocks(self, details: Sequence[Json]) -> list[Json]:
        """Signed thinking that came back, in OpenRouter's `reasoning_details`."""
        raise NotImplementedError

    def mark(self, blocks: list[Json], message: Json) -> list[Json]:
        """The blocks of a message that may itself ask to be cached."""
        return blocks

    # --- the order of things ------------------------------------------------------------------------------------------

    def _read_one(self, message: Json, place: str, next_role: str | None) -> None:
        role = message["role"]
        if role == "function" or message.get("function_call"):
            raise unsupported(place, "Functions are deprecated; the model supports tools.")
        if _is_system(message):
            self._add_system(self.mark(self._blocks(message, place, ("text",)), message), next_role)
        elif role == "tool":
            self._read_result(message, place)
        elif role == "user":
            self._add("user", self.mark(self._blocks(message, place, self.user_parts), message))
        else:
            self._add(self.assistant, self._assistants(message, place))

    def _assistants(self, message: Json, place: str) -> list[Json]:
        """What the assistant thought, said and called; thinking stands before what it led to, as it did at first."""
        if message.get("audio"):
            raise unsupported(f"{place}.audio", "The model does not remember what it has said in sound.")
        said = self._blocks(message, place, ("text", "refusal")) or self._refusal(message)
        calls, details = self._calls(message, place), tool_call_state.given_details(message)
        if not self._replay:
            return self.mark([*said, *calls], message)
        led = [tool_call_state.details_of(call) for call in children(message, "tool_calls")]
        first = details or (led[0] if led else [])
        rest = [self.thought_blocks([] if details else before) for before in led[1:]]
        between = [block for thought, call in zip(rest, calls[1:], strict=True) for block in (*thought, call)]
        return [*self.thought_blocks(first), *self.mark([*said, *calls[:1], *between], message)]

    def _add(self, role: str, blocks: list[Json]) -> None:
        if not blocks:
            return
        if self.messages and self.messages[-1]["role"] == role:
            self.messages[-1][self.content] += blocks
            return
        if not self.messages and role != "user":
            self._add("user", self.text_blocks(OPENING, {}))
        self.messages.append({"role": role, self.content: blocks})

    def _add_system(self, blocks: list[Json], next_role: str | None) -> None:
        """System texts before the conversation are `system`. Later ones stay where they are, so that what is before
        them is as it was, and can be cached: a turn of their own where the model and the place allow, else the user's.
        """
        if not self.messages:
            self.system += blocks
            return
        after_user = self.messages[-1]["role"] in ("user", "system")
        own = self.capabilities.system_turns and after_user and next_role in ("assistant", None)
        self._add("system" if own else "user", blocks)

    def _end(self) -> None:
        if not self.messages:
            self._add("user", self.text_blocks(OPENING, {}))
        last = self.messages[-1]
        if last["role"] != self.assistant:
            return
        if not self.capabilities.prefill:
            raise unsupported("messages", "The model does not continue an assistant's message; end with a user's.")
        block = last[self.content][-1]
        if isinstance(block.get("text"), str):
            block["text"] = block["text"].rstrip()

    def _blocks(self, message: Json, place: str, allowed: tuple[str, ...]) -> list[Json]:
        """The content as blocks. Blank texts are left out, because no family takes them."""
        content = message.get("content")
        if isinstance(content, str):
            return self.text_blocks(content, {}) if content.strip() else []
        blocks: list[Json] = []
        for index, part in enumerate(children(message, "content")):
            blocks += self._part(part, f"{place}.content[{index}]", allowed)
        return blocks

    def _part(self, part: Json, place: str, allowed: tuple[str, ...]) -> list[Json]:
        kind = part.get("type")
        if kind not in allowed:
            raise unsupported(f"{place}.type", f"Here the model does not support content of type {str(kind)[:50]!r}.")
        if kind in ("text", "refusal"):
            said = text(part, str(kind)) or ""
            return self.text_blocks(said, part) if said.strip() else []
        if kind != "input_audio" and not self.capabilities.vision:
            raise unsupported(f"{place}.type", "The model sees no images and files.")
        return self.file_blocks(part, place)

    def _refusal(self, message: Json) -> list[Json]:
        refusal = text(message, "refusal") or ""
        return self.text_blocks(refusal, {}) if refusal.strip() else []

    def _calls(self, message: Json, place: str) -> list[Json]:
        blocks: list[Json] = []
        for index, call in enumerate(children(message, "tool_calls")):
            function = child(call, "function")
            name = text(function, "name")
            if name is None:
                raise unsupported(f"{place}.tool_calls[{index}]", "The model supports calls of functions only.")
            given = text(call, "id") or ""
            strip_state = tool_call_state.strip_state(given)
            self._uses[strip_state] += 1
            times = self._uses[strip_state]  # some clients count anew in every turn, and ids must be told apart
            native = sanitize(strip_state if times == 1 else f"{strip_state}#{times}", self.foreign, self.longest_id)
            self._awaited[given] = (native, name)
            self._results[native] = []
            blocks.append(self.call_block(call, name, native, arguments(function.get("arguments"))))
        return blocks

    def _read_result(self, message: Json, place: str) -> None:
        """Results go out together and in the order of their calls: some providers know them by their place alone."""
        awaited = self._awaited.pop(message.get("tool_call_id") or "", None)
        if awaited is None:
            raise uncalled(place)
        native, name = awaited
        blocks = self.mark(self._blocks(message, place, self.result_parts), message)
        self._results[native] = self.result_blocks(name, native, blocks)
        if not self._awaited:
            self._add("user", [block for result in self._results.values() for block in result])
            self._results = {}


def _with_next_roles(messages: Sequence[Json]) -> list[tuple[Json, str | None]]:
    """Each message, and the role of the next one that is not the system's."""
    paired: list[tuple[Json, str | None]] = []
    following: str | None = None
    for message in reversed(messages):
        paired.append((message, following))
        following = following if _is_system(message) else message["role"]
    return paired[::-1]


def _is_system(message: Json) -> bool:
    return message["role"] in ("system", "developer")
