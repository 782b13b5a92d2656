"""Writes a conversation as messages and content blocks of the Messages API.

Facts are from Anthropic's API reference, "Create a Message", and the pages "Tool use", "Vision", "PDF support" and
"Mid-conversation system messages".
"""

import re
from collections.abc import Sequence

from tollgate.adapters.attachments import decode, read_attachment
from tollgate.adapters.cache_control import read_cache_control
from tollgate.adapters.claude import begins_with_thinking, restore_thinking
from tollgate.adapters.dropped_params import DroppedParams, unsupported
from tollgate.adapters.identifiers import sanitize
from tollgate.adapters.json_access import child, text
from tollgate.adapters.messages import MessageFormat
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.types import Json

FORMAT = MessageFormat(max_id_length=256)
THINKING_TYPES = ("thinking", "redacted_thinking")

_INVALID_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]")
_MAX_NAME_LENGTH = 128
_IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})


def tool_name(name: str) -> str:
    """A tool's name as Anthropic accepts it."""
    return sanitize(name, _INVALID_IN_NAMES, _MAX_NAME_LENGTH)


def allows_thinking_budget(messages: Sequence[Json]) -> bool:
    """Whether these messages permit thinking within a budget.

    They must not end with the assistant, and the current turn must begin with thinking.
    """
    return messages[-1]["role"] != "assistant" and begins_with_thinking(
        messages, lambda block: block["type"] == "tool_result", lambda block: block["type"] in THINKING_TYPES
    )


class AnthropicBlocks:
    """See `adapters.messages.BlockWriter`."""

    def __init__(self, dropped: DroppedParams) -> None:
        self._dropped = dropped

    def text(self, value: str, part: Json) -> list[Json]:
        """See BlockWriter."""
        return [{"type": "text", "text": value, **cache_field(part)}]

    def file(self, part: Json, path: str) -> list[Json]:
        """See BlockWriter."""
        is_image = part["type"] == "image_url"
        block = self._image(part, f"{path}.image_url.url") if is_image else _document(part, f"{path}.file")
        return [{**block, **cache_field(part)}]

    def tool_call(self, call: Json, name: str, native_id: str, arguments: Json) -> Json:
        """See BlockWriter."""
        return {"type": "tool_use", "id": native_id, "name": tool_name(name), "input": arguments}

    def tool_result(self, name: str, native_id: str, content: list[Json]) -> list[Json]:
        """See BlockWriter. A cache breakpoint inside the result becomes the result's own."""
        breakpoints = [field for block in content if (field := block.pop("cache_control", None))]
        result: Json = {"type": "tool_result", "tool_use_id": native_id}
        if content:
            result["content"] = content
        return [{**result, "cache_control": breakpoints[-1]} if breakpoints else result]

    def thinking(self, details: Sequence[Json]) -> list[Json]:
        """See BlockWriter."""
        return [
            {"type": "thinking", "thinking": block.text, "signature": block.signature}
            if block.redacted is None
            else {"type": "redacted_thinking", "data": block.redacted}
            for block in restore_thinking(details)
        ]

    def with_message_fields(self, blocks: list[Json], message: Json) -> list[Json]:
        """See BlockWriter. A message's cache breakpoint is on its last block."""
        if blocks:
            blocks[-1].update(cache_field(message))
        return blocks

    def _image(self, part: Json, param: str) -> Json:
        image = child(part, "image_url")
        if image.get("detail") not in (None, "auto"):
            self._dropped.drop("image_url.detail")
        attachment = read_attachment(text(image, "url") or "", param)
        if attachment.url:
            return {"type": "image", "source": {"type": "url", "url": attachment.url}}
        if attachment.media_type not in _IMAGE_TYPES:
            message = f"'{param}' must be a JPEG, PNG, GIF or WebP image."
            raise BadRequestError(message, param=param, code="invalid_value")
        source = {"type": "base64", "media_type": attachment.media_type, "data": attachment.data}
        return {"type": "image", "source": source}


def cache_field(part: Json) -> Json:
    """The `cache_control` of a block, for a part with a cache breakpoint; else empty."""
    options = read_cache_control(part)
    return {} if options is None else {"cache_control": {"type": "ephemeral", **options}}


def _document(part: Json, param: str) -> Json:
    file = child(part, "file")
    data = text(file, "file_data")
    if data is None:
        raise unsupported(f"{param}.file_id", "The gateway stores no files; send the content in file_data.")
    attachment = read_attachment(data, f"{param}.file_data")
    title = {"title": name[:500]} if (name := text(file, "filename")) else {}
    if attachment.url:
        source = {"type": "url", "url": attachment.url}
    elif attachment.media_type == "application/pdf":
        source = {"type": "base64", "media_type": "application/pdf", "data": attachment.data}
    elif attachment.media_type.startswith("text/"):
        content = decode(attachment, f"{param}.file_data").decode("utf-8", "replace")
        source = {"type": "text", "media_type": "text/plain", "data": content}
    else:
        raise unsupported(f"{param}.file_data", "The model supports PDF and text files only.")
    return {"type": "document", "source": source, **title}
