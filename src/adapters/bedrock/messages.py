"""Writes a conversation as messages and content blocks of Converse.

Source: AWS, Amazon Bedrock API Reference, "Message" and "ContentBlock". Bedrock fetches no URLs, and cache points are
blocks after the content that they cache.
"""

import re
from collections.abc import Sequence

from tollgate.adapters.attachments import Attachment, read_attachment
from tollgate.adapters.bedrock.cache_points import cache_point
from tollgate.adapters.bedrock.documents import document_format, document_name
from tollgate.adapters.claude import begins_with_thinking, restore_thinking
from tollgate.adapters.dropped_params import DroppedParams, unsupported
from tollgate.adapters.identifiers import sanitize
from tollgate.adapters.json_access import child, text
from tollgate.adapters.messages import MessageFormat
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.types import Json

FORMAT = MessageFormat(invalid_in_ids=re.compile(r"[^a-zA-Z0-9_.:-]"))
MAX_IMAGE_BYTES = int(3.75 * 1024 * 1024)
EMPTY_RESULT_TEXT = "(no output)"
"""The text of an empty tool result: Converse refuses blank texts."""

_INVALID_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]")
_MAX_NAME_LENGTH = 64
_IMAGE_FORMATS = {"image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif", "image/webp": "webp"}


def tool_name(name: str) -> str:
    """A tool's name as Bedrock accepts it."""
    return sanitize(name, _INVALID_IN_NAMES, _MAX_NAME_LENGTH)


def allows_thinking_budget(messages: Sequence[Json]) -> bool:
    """Whether these messages permit thinking within a budget. See `anthropic.messages`."""
    return messages[-1]["role"] != "assistant" and begins_with_thinking(
        messages, lambda block: "toolResult" in block, lambda block: "reasoningContent" in block
    )


class BedrockBlocks:
    """See `adapters.messages.BlockWriter`."""

    def __init__(self, dropped: DroppedParams) -> None:
        self._dropped = dropped

    def text(self, value: str, part: Json) -> list[Json]:
        """See BlockWriter."""
        return [{"text": value}, *cache_point(part)]

    def file(self, part: Json, path: str) -> list[Json]:
        """See BlockWriter."""
        is_image = part["type"] == "image_url"
        block = self._image(part, f"{path}.image_url.url") if is_image else _document(part, f"{path}.file")
        return [block, *cache_point(part)]

    def tool_call(self, call: Json, name: str, native_id: str, arguments: Json) -> Json:
        """See BlockWriter."""
        return {"toolUse": {"toolUseId": native_id, "name": tool_name(name), "input": arguments}}

    def tool_result(self, name: str, native_id: str, content: list[Json]) -> list[Json]:
        """See BlockWriter. A cache point inside the result moves after it."""
        blocks = [block for block in content if "cachePoint" not in block] or [{"text": EMPTY_RESULT_TEXT}]
        cache_points = [block for block in content if "cachePoint" in block]
        return [{"toolResult": {"toolUseId": native_id, "content": blocks}}, *cache_points[-1:]]

    def thinking(self, details: Sequence[Json]) -> list[Json]:
        """See BlockWriter."""
        return [
            {"reasoningContent": {"reasoningText": {"text": block.text, "signature": block.signature}}}
            if block.redacted is None
            else {"reasoningContent": {"redactedContent": block.redacted}}
            for block in restore_thinking(details)
        ]

    def with_message_fields(self, blocks: list[Json], message: Json) -> list[Json]:
        """See BlockWriter. A message's cache breakpoint is a cache point at its end."""
        return [*blocks, *cache_point(message)] if blocks and "cachePoint" not in blocks[-1] else blocks

    def _image(self, part: Json, param: str) -> Json:
        image = child(part, "image_url")
        if image.get("detail") not in (None, "auto"):
            self._dropped.drop("image_url.detail")
        attachment = _inline_data(text(image, "url") or "", param)
        if attachment.media_type not in _IMAGE_FORMATS:
            message = f"'{param}' must be a JPEG, PNG, GIF or WebP image."
            raise BadRequestError(message, param=param, code="invalid_value")
        if len(attachment.data) * 3 // 4 > MAX_IMAGE_BYTES:
            message = f"The image in '{param}' exceeds 3.75 MB."
            raise BadRequestError(message, param=param, code="invalid_value")
        return {"image": {"format": _IMAGE_FORMATS[attachment.media_type], "source": {"bytes": attachment.data}}}


def _document(part: Json, param: str) -> Json:
    file = child(part, "file")
    data = text(file, "file_data")
    if data is None:
        raise unsupported(f"{param}.file_id", "The gateway stores no files; send the content in file_data.")
    attachment, filename = _inline_data(data, f"{param}.file_data"), text(file, "filename") or ""
    native_format = document_format(attachment.media_type, filename)
    if native_format is None:
        raise unsupported(f"{param}.file_data", "The model supports PDF, Word, Excel and text files only.")
    source = {"bytes": attachment.data}
    return {"document": {"format": native_format, "name": document_name(filename), "source": source}}


def _inline_data(value: str, param: str) -> Attachment:
    attachment = read_attachment(value, param)
    if attachment.url:
        raise unsupported(param, "The model does not fetch URLs; send a data URL.")
    if not attachment.data:
        raise BadRequestError(f"'{param}' contains no data.", param=param, code="invalid_value")
    return attachment
