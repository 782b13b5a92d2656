"""The messages of a conversation as one compatible server takes them, as its row's quirks say.

A client gives back what it was given, our own fields and other providers' among it; servers that check refuse what
they do not know, null or not.
"""

import hashlib
import re
import string
from typing import Any

from adapters import carried
from adapters.asking import Ask
from adapters.fidelity import unsupported
from adapters.naming import spell
from adapters.shapes import child, children, text
from gateway.quirks import Capabilities, Quirks
from gateway.types import Json

BRIDGE = "OK."
"""What the assistant is made to say between a tool's result and a user, where a server wants a turn of its there."""

_ANSWERED = ("annotations", "extra_content", "images", "refusal")
"""Fields of answers that requests do not have; `refusal` OpenAI takes back ("Create chat completion")."""
_REASONING_FIELDS = ("reasoning_content", "reasoning", "reasoning_details")
_OURS = ("provider", "native_finish_reason")
_CALL_FIELDS = frozenset({"id", "type", "index", "function", "custom"})
_MESSAGE_NAME = "messages.name"
"""How a row says that a provider takes no names of who is speaking."""
_NO_TEXT = frozenset({"image_url", "video_url", "input_audio", "file"})
_NOTHING = re.compile(r"(?!)")
_ALPHANUMERIC = string.digits + string.ascii_letters


def write_messages(messages: list[Json], ask: Ask, quirks: Quirks) -> list[Json]:
    """The messages in the server's dialect. Raises BadRequestError for parts that it cannot take."""
    written: list[Json] = []
    for index, message in enumerate(messages):
        if not quirks.user_after_tool and message["role"] == "user" and written and written[-1]["role"] == "tool":
            written.append({"role": "assistant", "content": BRIDGE})
        for place, part in enumerate(children(message, "content")):
            _check_part(part, f"messages[{index}].content[{place}]", ask.model, quirks)
        written.append(_message(message, ask, quirks))
    return written


def _message(message: Json, ask: Ask, quirks: Quirks) -> Json:
    if message["role"] == "developer" and not quirks.developer_role:
        message["role"] = "system"
    left_out = [*_OURS, *(name for name in _ANSWERED if name not in quirks.echoed_fields)]
    if quirks.reasoning_fields is not None:
        left_out += [name for name in _REASONING_FIELDS if name not in quirks.reasoning_fields]
    if "refusal" in left_out and not message.get("content") and text(message, "refusal"):
        message["content"] = message["refusal"]  # else it would have said nothing
    told = {name: value for name, value in message.items() if name == "content" or value not in (None, "", [], {})}
    told = {name: value for name, value in told.items() if name not in left_out}
    if message["role"] in quirks.text_only_roles:
        told["content"] = _as_text(told.get("content"))
    if "tool_calls" in told:
        told["tool_calls"] = [_call(call, quirks) for call in children(told, "tool_calls")]
    if text(told, "tool_call_id"):
        told["tool_call_id"] = _call_id(told["tool_call_id"], quirks)
    return _without_unknown(told, ask, quirks)


def _without_unknown(message: Json, ask: Ask, quirks: Quirks) -> Json:
    """The message without the fields that the server refuses, which is told."""
    unknown = ["name"] if _MESSAGE_NAME in quirks.unsupported else []
    if quirks.message_fields is not None:
        known = {"role", "content", *quirks.message_fields.get(message["role"], ())}
        unknown = [name for name in message if name not in known]
    for name in unknown:
        if message.pop(name, None):
            ask.losses.drop(name)
    return message


def _as_text(content: Any) -> Any:
    """Text parts as one text; anything else as it is, for the server to say what it thinks of it."""
    parts = children({"content": content}, "content")
    if not parts or len(parts) != len(content) or any(part.get("type") != "text" for part in parts):
        return content
    return "\n".join(part.get("text") or "" for part in parts)


def _call(call: Json, quirks: Quirks) -> Json:
    known = {name: value for name, value in call.items() if name in _CALL_FIELDS or name in quirks.echoed_fields}
    if text(known, "id"):
        known["id"] = _call_id(known["id"], quirks)
    return known


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
    bare = carried.bare(given)
    if quirks.tool_id_length is not None:
        return _respelled(bare, quirks.tool_id_length)
    return bare if quirks.longest_tool_id is None else spell(bare, _NOTHING, quirks.longest_tool_id)


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
