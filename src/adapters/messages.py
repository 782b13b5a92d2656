"""Translates a conversation for the families whose API is not OpenAI's.

System texts are separated, roles alternate, and tool results follow their calls in the same order. What a block is
differs between families: a family has a MessageFormat and a BlockWriter.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from tollgate.adapters import tool_call_state
from tollgate.adapters.dropped_params import DroppedParams, unsupported
from tollgate.adapters.identifiers import sanitize
from tollgate.adapters.json_access import child, children, text
from tollgate.adapters.tools import missing_call, missing_result, parse_arguments
from tollgate.gateway.chat import Message
from tollgate.gateway.quirks import Capabilities
from tollgate.gateway.types import Json

FIRST_USER_TEXT = "Begin."
"""The user message that is inserted if a conversation does not begin with one, as all of these families require."""


@dataclass(frozen=True, slots=True)
class MessageFormat:
    """The names and limits of a family's messages.

    `invalid_in_ids` matches the characters that an id of a tool call must not have. `user_parts` and `result_parts` are
    the types of content that messages of users and results of tools may have.
    """

    assistant_role: str = "assistant"
    content_field: str = "content"
    invalid_in_ids: re.Pattern[str] = re.compile(r"[^a-zA-Z0-9_-]")
    max_id_length: int = 64
    user_parts: tuple[str, ...] = ("text", "image_url", "file")
    result_parts: tuple[str, ...] = ("text", "image_url", "file")


class BlockWriter(Protocol):
    """Writes the parts of a conversation as a family's content blocks. `path` is a path in the request for errors."""

    def text(self, value: str, part: Json) -> list[Json]:
        """A text that is not blank; `part` may have a cache breakpoint."""
        ...

    def file(self, part: Json, path: str) -> list[Json]:
        """An image, a file or audio. Raises BadRequestError if the family does not support it."""
        ...

    def tool_call(self, call: Json, name: str, native_id: str, arguments: Json) -> Json:
        """A call of the tool `name`, in the client's spelling."""
        ...

    def tool_result(self, name: str, native_id: str, content: list[Json]) -> list[Json]:
        """The result of a call of the tool `name`."""
        ...

    def thinking(self, details: Sequence[Json]) -> list[Json]:
        """Signed thinking from a client, in OpenRouter's `reasoning_details`."""
        ...

    def with_message_fields(self, blocks: list[Json], message: Json) -> list[Json]:
        """The blocks of a message with what its own fields add to them, such as a cache breakpoint."""
        ...


class Conversation:
    """One conversation as `system` and `messages` of a family.

    With `send_thinking` the thinking before tool calls is sent back to the model.
    """

    def __init__(
        self,
        writer: BlockWriter,
        message_format: MessageFormat,
        capabilities: Capabilities,
        dropped: DroppedParams,
        *,
        send_thinking: bool = False,
    ) -> None:
        self.system: list[Json] = []
        self.messages: list[Json] = []
        self._writer = writer
        self._format = message_format
        self._capabilities = capabilities
        self._dropped = dropped
        self._send_thinking = send_thinking
        self._id_uses: Counter[str] = Counter()
        self._open_calls: dict[str, tuple[str, str]] = {}  # client's id of a call without a result -> native id, name
        self._results: dict[str, list[Json]] = {}  # native id of each call of this turn, in order -> its result

    def read(self, messages: Sequence[Message]) -> None:
        """Translate the messages. Raises BadRequestError for content that the family or the model does not support."""
        for index, (message, next_role) in enumerate(_with_next_roles(cast("Sequence[Json]", messages))):
            path = f"messages[{index}]"
            if message.get("name"):
                self._dropped.drop("name")
            if message["role"] != "tool" and self._open_calls:
                raise missing_result(path)
            self._read_message(message, path, next_role)
        if self._open_calls:
            raise missing_result("messages")
        self._finish()

    def _read_message(self, message: Json, path: str, next_role: str | None) -> None:
        role = message["role"]
        if role == "function" or message.get("function_call"):
            raise unsupported(path, "The model does not support the deprecated functions; use tools.")
        if _is_system(message):
            blocks = self._blocks(message, path, ("text",))
            self._add_system(self._writer.with_message_fields(blocks, message), next_role)
        elif role == "tool":
            self._read_result(message, path)
        elif role == "user":
            blocks = self._blocks(message, path, self._format.user_parts)
            self._add("user", self._writer.with_message_fields(blocks, message))
        else:
            self._add(self._format.assistant_role, self._assistant_blocks(message, path))

    def _assistant_blocks(self, message: Json, path: str) -> list[Json]:
        """The assistant's thinking, text and calls; thinking precedes the text or call that it led to."""
        if message.get("audio"):
            raise unsupported(f"{path}.audio", "The model does not support audio in assistant messages.")
        texts = self._blocks(message, path, ("text", "refusal")) or self._refusal(message)
        calls, details = self._tool_calls(message, path), tool_call_state.details_of_message(message)
        if not self._send_thinking:
            return self._writer.with_message_fields([*texts, *calls], message)
        by_call = [tool_call_state.details_of_call(call) for call in children(message, "tool_calls")]
        first = details or (by_call[0] if by_call else [])
        later = [self._writer.thinking([] if details else before) for before in by_call[1:]]
        later_calls = [block for thought, call in zip(later, calls[1:], strict=True) for block in (*thought, call)]
        rest = self._writer.with_message_fields([*texts, *calls[:1], *later_calls], message)
        return [*self._writer.thinking(first), *rest]

    def _add(self, role: str, blocks: list[Json]) -> None:
        if not blocks:
            return
        if self.messages and self.messages[-1]["role"] == role:
            self.messages[-1][self._format.content_field] += blocks
            return
        if not self.messages and role != "user":
            self._add("user", self._writer.text(FIRST_USER_TEXT, {}))
        self.messages.append({"role": role, self._format.content_field: blocks})

    def _add_system(self, blocks: list[Json], next_role: str | None) -> None:
        """Add system texts: those before the first message to `system`, later ones to `messages`.

        A later text stays where it is so that the prefix before it does not change and can be cached. It is a system
        message if the model and its position allow one, else a user message.
        """
        if not self.messages:
            self.system += blocks
            return
        after_user = self.messages[-1]["role"] in ("user", "system")
        is_allowed = self._capabilities.mid_conversation_system and after_user and next_role in ("assistant", None)
        self._add("system" if is_allowed else "user", blocks)

    def _finish(self) -> None:
        if not self.messages:
            self._add("user", self._writer.text(FIRST_USER_TEXT, {}))
        last = self.messages[-1]
        if last["role"] != self._format.assistant_role:
            return
        if not self._capabilities.prefill:
            message = "The model does not continue an assistant message; the last message must be from the user."
            raise unsupported("messages", message)
        block = last[self._format.content_field][-1]
        if isinstance(block.get("text"), str):
            block["text"] = block["text"].rstrip()

    def _blocks(self, message: Json, path: str, allowed: tuple[str, ...]) -> list[Json]:
        """The content as blocks. Blank texts are left out, because no family accepts them."""
        content = message.get("content")
        if isinstance(content, str):
            return self._writer.text(content, {}) if content.strip() else []
        blocks: list[Json] = []
        for index, part in enumerate(children(message, "content")):
            blocks += self._part(part, f"{path}.content[{index}]", allowed)
        return blocks

    def _part(self, part: Json, path: str, allowed: tuple[str, ...]) -> list[Json]:
        kind = part.get("type")
        if kind not in allowed:
            message = f"The model does not support content of type {str(kind)[:50]!r} in this message."
            raise unsupported(f"{path}.type", message)
        if kind in ("text", "refusal"):
            value = text(part, str(kind)) or ""
            return self._writer.text(value, part) if value.strip() else []
        if kind != "input_audio" and not self._capabilities.vision:
            raise unsupported(f"{path}.type", "The model does not support images and files.")
        return self._writer.file(part, path)

    def _refusal(self, message: Json) -> list[Json]:
        refusal = text(message, "refusal") or ""
        return self._writer.text(refusal, {}) if refusal.strip() else []

    def _tool_calls(self, message: Json, path: str) -> list[Json]:
        blocks: list[Json] = []
        for index, call in enumerate(children(message, "tool_calls")):
            function = child(call, "function")
            name = text(function, "name")
            if name is None:
                raise unsupported(f"{path}.tool_calls[{index}]", "The model supports function calls only.")
            call_id = text(call, "id") or ""
            native_id = self._native_id(tool_call_state.strip_state(call_id))
            self._open_calls[call_id] = (native_id, name)
            self._results[native_id] = []
            arguments = parse_arguments(function.get("arguments"))
            blocks.append(self._writer.tool_call(call, name, native_id, arguments))
        return blocks

    def _native_id(self, call_id: str) -> str:
        """The id in the family's alphabet; an id that the client uses again gets a number, because ids must differ."""
        self._id_uses[call_id] += 1
        uses = self._id_uses[call_id]
        unique = call_id if uses == 1 else f"{call_id}#{uses}"
        return sanitize(unique, self._format.invalid_in_ids, self._format.max_id_length)

    def _read_result(self, message: Json, path: str) -> None:
        """Results are sent together in the order of their calls: some providers match them by position alone."""
        open_call = self._open_calls.pop(message.get("tool_call_id") or "", None)
        if open_call is None:
            raise missing_call(path)
        native_id, name = open_call
        blocks = self._blocks(message, path, self._format.result_parts)
        content = self._writer.with_message_fields(blocks, message)
        self._results[native_id] = self._writer.tool_result(name, native_id, content)
        if not self._open_calls:
            self._add("user", [block for result in self._results.values() for block in result])
            self._results = {}


def _with_next_roles(messages: Sequence[Json]) -> list[tuple[Json, str | None]]:
    """Each message, and the role of the next one that is not a system message."""
    pairs: list[tuple[Json, str | None]] = []
    next_role: str | None = None
    for message in reversed(messages):
        pairs.append((message, next_role))
        next_role = next_role if _is_system(message) else message["role"]
    return pairs[::-1]


def _is_system(message: Json) -> bool:
    return message["role"] in ("system", "developer")
