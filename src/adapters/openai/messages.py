"""Translates a conversation into the fields, content and order that one compatible server accepts, by its row.

Nulls and empty lists are left out, because strict servers refuse them. So are the fields of the gateway's own responses
that a server does not support: clients send back whole messages.
"""

import hashlib
import re
import string
from collections.abc import Iterable, Mapping
from typing import Any, cast

from tollgate.adapters import tool_call_state
from tollgate.adapters.dropped_params import unsupported
from tollgate.adapters.identifiers import sanitize
from tollgate.adapters.json_access import child, children, text
from tollgate.adapters.params import ParamReader
from tollgate.gateway.quirks import Capabilities, Quirks
from tollgate.gateway.types import Json

FILLER_TEXT = "OK."
"""The assistant message that is inserted between a tool result and a user message, for servers that require one."""

RESULT_MEDIA_TEXT = "The files in the results of the tools above:"
"""The text before images and files of tool results."""

_CACHE_MARKS = ("cache_control", "prompt_cache_breakpoint")
_REASONING_FIELDS = ("reasoning_content", "reasoning", "reasoning_details")
_RESPONSE_FIELDS = frozenset({"refusal", "annotations", "extra_content", "images"})
"""Fields of the gateway's own responses that are removed without a report: they are no input."""
_NO_TEXT = frozenset({"image_url", "video_url", "input_audio", "file"})
_NEVER = re.compile(r"(?!)")
_ALPHANUMERIC = string.digits + string.ascii_letters


def translate_messages(params: ParamReader, messages: Iterable[Json], quirks: Quirks) -> list[Json]:
    """The messages in the server's dialect. Raises BadRequestError for content that it does not support."""
    translated = [_message(params, message, f"messages[{index}]", quirks) for index, message in enumerate(messages)]
    translated = _with_media_after_results(translated)
    return _in_strict_order(translated) if quirks.strict_order else translated


def without_empty(fields: Json) -> Json:
    """The fields without nulls, empty lists and empty objects."""
    return {name: value for name, value in fields.items() if value is not None and value != [] and value != {}}


def without_cache_marks(params: ParamReader, fields: Json, quirks: Quirks) -> Json:
    """The request's fields without the cache breakpoints that the server does not support."""
    if quirks.cache_control_fields is None:
        return fields
    removed = frozenset(name for name in _CACHE_MARKS if name not in quirks.cache_control_fields)

    def clean(part: Json) -> Json:
        for name in _CACHE_MARKS:
            if name in removed and part.get(name):
                params.dropped.drop(name)
        return {name: value for name, value in part.items() if name not in removed}

    def clean_holder(holder: Json) -> Json:
        holder = clean(holder)
        if isinstance(holder.get("content"), list):
            parts: list[Any] = holder["content"]
            holder["content"] = [clean(cast(Json, part)) if isinstance(part, dict) else part for part in parts]
        if isinstance(holder.get("function"), dict):
            holder["function"] = clean(holder["function"])
        return holder

    fields = clean(fields)
    lists = {name: [clean_holder(holder) for holder in children(fields, name)] for name in ("messages", "tools")}
    return {**fields, **{name: holders for name, holders in lists.items() if holders}}


def _message(params: ParamReader, message: Json, path: str, quirks: Quirks) -> Json:
    if message["role"] == "developer" and not quirks.developer_role:
        message = {**message, "role": "system"}
    content = _content(message, path, params.capabilities, quirks)
    fields = {
        name: value
        for name, value in without_empty(message).items()
        if name != "content" and _is_supported(params, name, message["role"], quirks)
    }
    if message.get("audio") and "audio" not in fields:
        raise unsupported(f"{path}.audio", "The model does not support audio in assistant messages.")
    if calls := children(fields, "tool_calls"):
        fields["tool_calls"] = [_tool_call(call, quirks) for call in calls]
    if call_id := text(fields, "tool_call_id"):
        fields["tool_call_id"] = _call_id(call_id, quirks)
    return {"role": fields["role"], "content": content, **fields}


def _tool_call(call: Json, quirks: Quirks) -> Json:
    fields = {name: value for name, value in call.items() if name in quirks.call_fields and value is not None}
    if call_id := text(fields, "id"):
        fields["id"] = _call_id(call_id, quirks)
    return fields


def _is_supported(params: ParamReader, name: str, role: str, quirks: Quirks) -> bool:
    """Whether the server supports this field; an unsupported field that the client added itself is reported."""
    if name in _REASONING_FIELDS and quirks.reasoning_fields is not None:
        return name in quirks.reasoning_fields
    message_fields = cast("Mapping[str, tuple[str, ...]]", quirks.message_fields)
    supported = message_fields.get("system" if role == "developer" else role)
    if name == "role" or supported is None or name in supported:
        return True
    if name not in _RESPONSE_FIELDS and name not in _REASONING_FIELDS and name != "audio":
        params.dropped.drop(name)
    return False


def _content(message: Json, path: str, capabilities: Capabilities, quirks: Quirks) -> Any:
    """The content; null only beside tool calls or audio. Without a field for refusals, a refusal is the content."""
    content = message.get("content")
    if isinstance(content, list):
        parts = [without_empty(part) for part in children(message, "content")]
        for index, part in enumerate(parts):
            _check_part(part, f"{path}.content[{index}]", capabilities, quirks)
        is_text = all(part.get("type") in ("text", "refusal") for part in parts)
        if message["role"] in quirks.string_content and is_text:
            content = "\n".join(text(part, "text") or text(part, "refusal") or "" for part in parts)
        else:
            content = parts
    has_refusal_field = "refusal" in quirks.message_fields.get("assistant", ("refusal",))
    if not content and message["role"] == "assistant" and not has_refusal_field:
        content = text(message, "refusal") or content
    if content:
        return cast(Any, content)
    return None if message.get("tool_calls") or message.get("audio") else ""


def _with_media_after_results(messages: list[Json]) -> list[Json]:
    """Results of tools have text alone (OpenAI's API reference, "Create chat completion", Tool message).

    What else a result has follows the results in a user message.
    """
    if not any(message["role"] == "tool" and isinstance(message["content"], list) for message in messages):
        return messages
    ordered: list[Json] = []
    media: list[Json] = []
    for message in (*messages, None):
        if media and (message is None or message["role"] != "tool"):
            ordered.append({"role": "user", "content": [{"type": "text", "text": RESULT_MEDIA_TEXT}, *media]})
            media = []
        if message is not None and message["role"] == "tool" and isinstance(message["content"], list):
            parts = children(message, "content")
            media += [part for part in parts if part.get("type") in _NO_TEXT]
            rest = [part for part in parts if part.get("type") not in _NO_TEXT]
            message = {**message, "content": rest or ""}
        if message is not None:
            ordered.append(message)
    return ordered


def _in_strict_order(messages: list[Json]) -> list[Json]:
    """The order of Mistral's own validation (mistral-common, `protocol/instruct/validator.py`).

    A tool message is followed by an assistant or tool message; an assistant message is not followed by a system one.
    """
    ordered: list[Json] = []
    for message in messages:
        previous = ordered[-1]["role"] if ordered else ""
        if previous == "tool" and message["role"] in ("user", "system"):
            ordered.append({"role": "assistant", "content": FILLER_TEXT})
            previous = "assistant"
        is_late_system = previous == "assistant" and message["role"] == "system"
        ordered.append({**message, "role": "user"} if is_late_system else message)
    return ordered


def _check_part(part: Json, path: str, capabilities: Capabilities, quirks: Quirks) -> None:
    """Raises BadRequestError for media that the model does not support, and for a URL that the server does not fetch.

    A model without vision supports text alone.
    """
    if part.get("type") in _NO_TEXT and not capabilities.vision:
        raise unsupported(f"{path}.type", "The model supports text only.")
    url = text(child(part, "image_url"), "url") or ""
    if url[:4].lower() == "http" and not quirks.fetches_urls:
        raise unsupported(f"{path}.image_url.url", "The model does not fetch URLs; send a data URL.")


def _call_id(call_id: str, quirks: Quirks) -> str:
    """The id in the server's alphabet, without the state that another family attached to it."""
    bare_id = tool_call_state.strip_state(call_id)
    if quirks.tool_id_length is not None:
        return _alphanumeric_id(bare_id, quirks.tool_id_length)
    return bare_id if quirks.max_tool_id_length is None else sanitize(bare_id, _NEVER, quirks.max_tool_id_length)


def _alphanumeric_id(call_id: str, length: int) -> str:
    """An id of this many letters and digits, the same for the same id, so that a result matches its call."""
    if len(call_id) == length and call_id.isascii() and call_id.isalnum():
        return call_id
    number = int.from_bytes(hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).digest())
    digits: list[str] = []
    for _ in range(length):
        number, digit = divmod(number, len(_ALPHANUMERIC))
        digits.append(_ALPHANUMERIC[digit])
    return "".join(digits)
