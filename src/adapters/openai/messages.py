"""A conversation as one compatible server takes it: which fields, which content and which order its row names.

Nulls and empty lists say nothing and are left out, because strict servers refuse them. So are the fields that the
gateway's own answers have and a server does not know: clients send back whole messages.
"""

import hashlib
import re
import string
from collections.abc import Iterator
from typing import cast

from tollgate.adapters import tool_call_state
from tollgate.adapters.dropped_params import unsupported
from tollgate.adapters.identifiers import sanitize
from tollgate.adapters.json_access import child, children, text
from tollgate.adapters.params import Ask
from tollgate.gateway.quirks import Capabilities, Quirks
from tollgate.gateway.types import Json

CONTINUED = "OK."
"""What the assistant is made to say between a tool's result and a user, where a server wants it to."""

_CACHE_MARKS = ("cache_control", "prompt_cache_breakpoint")
_REASONING_FIELDS = ("reasoning_content", "reasoning", "reasoning_details")
_TOLD_IN_ANSWERS = frozenset({"refusal", "annotations", "extra_content", "images"})
"""Fields of the gateway's own answers that are no loss: nobody means to say them again."""
_NO_TEXT = frozenset({"image_url", "video_url", "input_audio", "file"})
_NOTHING = re.compile(r"(?!)")
_ALPHANUMERIC = string.digits + string.ascii_letters


def write_messages(body: Json, ask: Ask, quirks: Quirks) -> None:
    """The messages of a request in the server's dialect. Raises BadRequestError for what it cannot be told."""
    _leave_out_marks(body, ask, quirks)
    messages = cast("list[Json]", body["messages"])
    for index, message in enumerate(messages):
        _write_message(message, f"messages[{index}]", ask, quirks)
    if quirks.strict_order:
        body["messages"] = _in_order(messages)


def without_empty(fields: Json) -> Json:
    """The fields that say something."""
    return {name: value for name, value in fields.items() if value is not None and value != [] and value != {}}


def _write_message(message: Json, place: str, ask: Ask, quirks: Quirks) -> None:
    if message["role"] == "developer" and not quirks.developer_role:
        message["role"] = "system"
    _write_content(message, place, ask.model, quirks)
    content = message.pop("content")
    said = {name: value for name, value in without_empty(message).items() if _is_known(name, message, ask, quirks)}
    if message.get("audio") and "audio" not in said:
        raise unsupported(f"{place}.audio", "The model does not remember what it has said in sound.")
    message.clear()
    message.update({"role": said["role"], "content": content, **said})
    for call in children(message, "tool_calls"):
        for name in [name for name in call if name not in quirks.call_fields or call[name] is None]:
            del call[name]
        if text(call, "id"):
            call["id"] = _call_id(call["id"], quirks)
    if text(message, "tool_call_id"):
        message["tool_call_id"] = _call_id(message["tool_call_id"], quirks)


def _is_known(name: str, message: Json, ask: Ask, quirks: Quirks) -> bool:
    """Whether the server takes this field; what is lost with one that a client has made up is told."""
    if name in _REASONING_FIELDS and quirks.reasoning_fields is not None:
        return name in quirks.reasoning_fields
    role = "system" if message["role"] == "developer" else message["role"]
    if name == "role" or role not in quirks.message_fields or name in quirks.message_fields[role]:
        return True
    if name not in _TOLD_IN_ANSWERS and name not in _REASONING_FIELDS and name != "audio":
        ask.dropped.drop(name)
    return False


def _write_content(message: Json, place: str, model: Capabilities, quirks: Quirks) -> None:
    """Content is null only beside what stands for it. A refusal that a server has no field for is what was said."""
    content = message.get("content")
    if isinstance(content, list):
        parts = [without_empty(part) for part in children(message, "content")]
        for index, part in enumerate(parts):
            _check_part(part, f"{place}.content[{index}]", model, quirks)
        is_text = all(part.get("type") in ("text", "refusal") for part in parts)
        if message["role"] in quirks.string_content and is_text:
            content = "\n".join(text(part, "text") or text(part, "refusal") or "" for part in parts)
        else:
            content = parts
    knows_refusal = "refusal" in quirks.message_fields.get("assistant", ("refusal",))
    if not content and message["role"] == "assistant" and not knows_refusal:
        content = text(message, "refusal") or content
    if not content:
        content = None if message.get("tool_calls") or message.get("audio") else ""
    message["content"] = content


def _in_order(messages: list[Json]) -> list[Json]:
    """The order of Mistral's own validation (mistral-common, `protocol/instruct/validator.py`).

    After a tool comes the assistant or another tool; after the assistant no system.
    """
    ordered: list[Json] = []
    for message in messages:
        before = ordered[-1]["role"] if ordered else ""
        if before == "tool" and message["role"] in ("user", "system"):
            ordered.append({"role": "assistant", "content": CONTINUED})
            before = "assistant"
        is_late = before == "assistant" and message["role"] == "system"
        ordered.append({**message, "role": "user"} if is_late else message)
    return ordered


def _leave_out_marks(body: Json, ask: Ask, quirks: Quirks) -> None:
    if quirks.cache_marks is None:
        return
    unknown = [name for name in _CACHE_MARKS if name not in quirks.cache_marks]
    for marked in _markable(body):
        for name in unknown:
            if marked.pop(name, None):
                ask.dropped.drop(name)


def _markable(body: Json) -> Iterator[Json]:
    """Everything in a request that may ask to be cached."""
    yield body
    for holder in (*children(body, "messages"), *children(body, "tools")):
        yield holder
        yield from children(holder, "content")
        yield child(holder, "function")


def _check_part(part: Json, place: str, model: Capabilities, quirks: Quirks) -> None:
    """Raises BadRequestError for what the model neither sees nor hears, and for an image that the server will not get.

    A model without vision is one of text alone.
    """
    if part.get("type") in _NO_TEXT and not model.vision:
        raise unsupported(f"{place}.type", "The model reads text only.")
    url = text(child(part, "image_url"), "url") or ""
    if url[:4].lower() == "http" and not quirks.fetches_urls:
        raise unsupported(f"{place}.image_url.url", "The model fetches nothing by URL; send a data URL.")


def _call_id(given: str, quirks: Quirks) -> str:
    """The id as the server takes it, without what another family has put into it."""
    strip_state = tool_call_state.strip_state(given)
    if quirks.tool_id_length is not None:
        return _respelled(strip_state, quirks.tool_id_length)
    return strip_state if quirks.longest_tool_id is None else sanitize(strip_state, _NOTHING, quirks.longest_tool_id)


def _respelled(given: str, length: int) -> str:
    """The id in so many letters and digits, the same for the same id: a call and its result find each other."""
    if len(given) == length and given.isascii() and given.isalnum():
        return given
    number = int.from_bytes(hashlib.sha256(given.encode("utf-8", "surrogatepass")).digest())
    digits: list[str] = []
    for _ in range(length):
        number, digit = divmod(number, len(_ALPHANUMERIC))
        digits.append(_ALPHANUMERIC[digit])
    return "".join(digits)
