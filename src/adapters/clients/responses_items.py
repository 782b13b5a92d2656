"""The input items of OpenAI's Responses as messages of Chat Completions (API reference, "Create a model response")."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from tollgate.adapters.clients.required_text import required_text
from tollgate.adapters.clients.responses_tools import custom_arguments, function_name
from tollgate.adapters.dropped_params import unsupported
from tollgate.adapters.json_access import child, text
from tollgate.adapters.replayed_reasoning import MessageReasoning, read_reasoning
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.types import Json
from tollgate.gateway.validation import invalid

ROLES = ("user", "assistant", "system", "developer")
_HOSTED = frozenset({
    "web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call", "mcp_list_tools",
    "mcp_call", "mcp_approval_request", "mcp_approval_response", "computer_call", "computer_call_output",
    "local_shell_call", "local_shell_call_output", "shell_call", "shell_call_output", "apply_patch_call",
    "apply_patch_call_output", "tool_search_call", "tool_search_output", "program", "program_output",
})  # fmt: skip
"""Items of tools that OpenAI runs, or that only its models know: another model gets the conversation without them."""
_STORED = frozenset({"item_reference", "compaction", "compaction_trigger"})
"""Items whose content OpenAI has stored or encrypted."""
_CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
_OUTPUTS = ("function_call_output", "custom_tool_call_output")


class ItemReader:
    """Reads items into `messages`; `dropped` names the kinds that are left out. Raises BadRequestError."""

    def __init__(self) -> None:
        self.messages: list[Json] = []
        self.dropped: list[str] = []
        self._texts: list[str | list[Json]] = []  # of the assistant, before the next message of another role
        self._calls: list[Json] = []
        self._reasoning = MessageReasoning()
        self._turn: set[str] = set()  # the ids of these calls
        self._open_calls: set[str] = set()  # the ids of all calls without an output
        self._held: list[Json] = []  # messages of other roles that came before the outputs of open calls

    def read(self, items: Sequence[Any]) -> None:
        """Read all items."""
        for index, item in enumerate(items):
            path = f"input[{index}]"
            if not isinstance(item, dict):
                raise invalid(path, "it is an object")
            self._read(cast(Json, item), path)
        self._end_assistant()
        if self._open_calls:
            raise BadRequestError("No tool output found for a function call.", param="input", code="invalid_value")

    def _read(self, item: Json, path: str) -> None:
        kind = item.get("type", "message")
        if not isinstance(kind, str):
            raise invalid(f"{path}.type", "it is a string")
        readers: Mapping[str, Callable[[Json, str], None]] = {
            "message": self._message,
            "reasoning": self._reason,
            **dict.fromkeys(_CALLS, self._call),
            **dict.fromkeys(_OUTPUTS, self._output),
        }
        if kind in readers:
            readers[kind](item, path)
        elif kind in _HOSTED:
            self.dropped.append(str(kind))
        elif kind in _STORED:
            raise unsupported(
                f"{path}.type", f"The gateway stores no responses, so it cannot read {str(kind)!r} items."
            )
        else:
            raise invalid(f"{path}.type", f"{str(kind)[:50]!r} is no type of item")

    def _message(self, item: Json, path: str) -> None:
        role = item.get("role")
        if role not in ROLES:
            raise invalid(f"{path}.role", f"it is one of {', '.join(ROLES)}")
        content = read_content(item.get("content"), f"{path}.content")
        if role != "assistant":
            self._add({"role": role, "content": content})
            return
        self._end_text()
        self._texts.append(content)

    def _reason(self, item: Json, path: str) -> None:
        self._end_text()
        replayed = read_reasoning(text(item, "encrypted_content") or "")
        if replayed is not None:
            self._reasoning.add(replayed)

    def _call(self, item: Json, path: str) -> None:
        call_id, name = required_text(item, "call_id", path), required_text(item, "name", path)
        value = item.get(_CALLS[item["type"]])
        if not isinstance(value, str):
            raise invalid(f"{path}.{_CALLS[item['type']]}", "it is a string")
        arguments = custom_arguments(value) if item["type"] == "custom_tool_call" else value
        function = {"name": function_name(name, text(item, "namespace")), "arguments": arguments}
        self._calls.append({"id": call_id, "type": "function", "function": function})
        self._open_calls.add(call_id)
        self._turn.add(call_id)

    def _output(self, item: Json, path: str) -> None:
        call_id = required_text(item, "call_id", path)
        if call_id not in self._open_calls:
            raise invalid(f"{path}.call_id", "no call before it has this id")
        self._open_calls.discard(call_id)
        if call_id in self._turn:
            self._end_assistant()
        content = read_content(item.get("output"), f"{path}.output")
        self.messages.append({"role": "tool", "tool_call_id": call_id, "content": content})
        if self._held and not self._open_calls:
            self._end_assistant()
            self.messages += self._held
            self._held = []

    def _add(self, message: Json) -> None:
        """Add a message of another role, after the outputs of the open calls, which follow these at once."""
        if self._open_calls:
            self._held.append(message)
        else:
            self._end_assistant()
            self.messages.append(message)

    def _end_text(self) -> None:
        """End an assistant message with a text; not one with calls, whose outputs have to follow it at once."""
        if self._texts and not self._calls:
            self._end_assistant()

    def _end_assistant(self) -> None:
        texts, calls, reasoning = self._texts, self._calls, self._reasoning.fields()
        self._texts, self._calls, self._reasoning, self._turn = [], [], MessageReasoning(), set()
        if texts or calls:
            message: Json = {"role": "assistant", "content": _joined(texts), **reasoning}
            self.messages.append({**message, "tool_calls": calls} if calls else message)


def _joined(contents: list[str | list[Json]]) -> str | list[Json] | None:
    """The contents of messages as one; None if there are none."""
    if len(contents) <= 1:
        return contents[0] if contents else None
    lists = ([{"type": "text", "text": content}] if isinstance(content, str) else content for content in contents)
    return [part for parts in lists for part in parts]


def read_content(content: Any, path: str) -> str | list[Json]:
    """A content, a string or parts. Raises BadRequestError."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise invalid(path, "it is a string or a list of parts")
    parts = [_part(part, f"{path}[{index}]") for index, part in enumerate(cast("list[Any]", content))]
    if all(part["type"] == "text" for part in parts) and len(parts) == 1:
        return parts[0]["text"]
    return parts


def _part(part: Any, path: str) -> Json:
    if not isinstance(part, dict):
        raise invalid(path, "it is an object")
    part = cast(Json, part)
    kind = part.get("type")
    if kind in ("input_text", "output_text", "text", "summary_text"):
        return {"type": "text", "text": _string(part, "text", path)}
    if kind == "refusal":
        return {"type": "refusal", "refusal": _string(part, "refusal", path)}
    if kind == "input_image":
        return _image(part, path)
    if kind == "input_file":
        return _file(part, path)
    if kind == "input_audio":
        return {"type": "input_audio", "input_audio": child(part, "input_audio")}
    raise invalid(f"{path}.type", f"{str(kind)[:50]!r} is no type of content")


def _image(part: Json, path: str) -> Json:
    if part.get("file_id"):
        raise unsupported(f"{path}.file_id", "The gateway stores no files; send the image in image_url.")
    image: Json = {"url": required_text(part, "image_url", path)}
    if detail := text(part, "detail"):
        image["detail"] = "high" if detail == "original" else detail
    return {"type": "image_url", "image_url": image}


def _file(part: Json, path: str) -> Json:
    if part.get("file_id"):
        raise unsupported(f"{path}.file_id", "The gateway stores no files; send the content in file_data.")
    data = text(part, "file_data") or text(part, "file_url")
    if data is None:
        raise invalid(f"{path}.file_data", "a file has file_data or file_url")
    name = text(part, "filename")
    return {"type": "file", "file": {"file_data": data, **({"filename": name} if name else {})}}


def _string(part: Json, name: str, path: str) -> str:
    value = part.get(name)
    if not isinstance(value, str):
        raise invalid(f"{path}.{name}", "it is a string")
    return value
