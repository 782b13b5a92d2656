"""A conversation in Anthropic's turns and content blocks.

Facts of the Messages API are from Anthropic's API reference, "Create a Message", and the pages "Tool use",
"Vision", "PDF support", "Mid-conversation system messages" and "Thinking in tool and multi-turn workflows".
"""

import re
from collections.abc import Sequence

from tollgate.adapters.attachments import decode, read_attachment
from tollgate.adapters.dropped_params import unsupported
from tollgate.adapters.identifiers import sanitize
from tollgate.adapters.json_access import child, text
from tollgate.adapters.messages import Turns
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.types import Json

THINKING_FORMAT = "anthropic-claude-v1"
"""OpenRouter's name for Claude's thinking blocks in `reasoning_details`."""
THINKING_TYPES = ("thinking", "redacted_thinking")

_FOREIGN = re.compile(r"[^a-zA-Z0-9_-]")
_LONGEST_NAME = 128
_IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})


def tool_name(name: str) -> str:
    """A tool's name in Anthropic's alphabet."""
    return sanitize(name, _FOREIGN, _LONGEST_NAME)


def begins_signed(messages: Sequence[Json]) -> bool:
    """Whether the turn that is going on begins with thinking; True where none is.

    A loop of tool calls and their results is one turn. With a budget of thinking, the API refuses one that does not
    begin with its signed block ("Thinking in tool and multi-turn workflows").
    """
    first: Json | None = None
    for message in reversed(messages):
        if message["role"] == "assistant":
            first = message
        elif message["content"][0]["type"] != "tool_result":
            break
    return first is None or first["content"][0]["type"] in THINKING_TYPES


class Conversation(Turns):
    """See Turns; blocks are Anthropic's content blocks."""

    longest_id = 256

    def text_blocks(self, said: str, marked: Json) -> list[Json]:
        """See Turns."""
        return [{"type": "text", "text": said, **cache_mark(marked)}]

    def file_blocks(self, part: Json, place: str) -> list[Json]:
        """See Turns."""
        block = self._image(part, place) if part["type"] == "image_url" else _document(part, f"{place}.file")
        return [{**block, **cache_mark(part)}]

    def call_block(self, call: Json, name: str, native_id: str, given: Json) -> Json:
        """See Turns."""
        return {"type": "tool_use", "id": native_id, "name": tool_name(name), "input": given}

    def result_blocks(self, name: str, native_id: str, blocks: list[Json]) -> list[Json]:
        """See Turns; a mark inside of a result is the result's."""
        marks = [mark for block in blocks if (mark := block.pop("cache_control", None))]
        result: Json = {"type": "tool_result", "tool_use_id": native_id}
        if blocks:
            result["content"] = blocks
        return [{**result, "cache_control": marks[-1]} if marks else result]

    def thought_blocks(self, details: Sequence[Json]) -> list[Json]:
        """See Turns; encrypted thinking could be anybody's, if it does not say whose."""
        blocks: list[Json] = []
        for detail in details:
            signature, data = text(detail, "signature"), text(detail, "data")
            if detail.get("format") not in (None, THINKING_FORMAT):
                continue
            if signature:
                blocks.append({"type": "thinking", "thinking": text(detail, "text") or "", "signature": signature})
            elif data and detail.get("format") == THINKING_FORMAT:
                blocks.append({"type": "redacted_thinking", "data": data})
        return blocks

    def mark(self, blocks: list[Json], message: Json) -> list[Json]:
        """See Turns; a mark on a message is on its last block."""
        if blocks:
            blocks[-1].update(cache_mark(message))
        return blocks

    def _image(self, part: Json, place: str) -> Json:
        image = child(part, "image_url")
        if image.get("detail") not in (None, "auto"):
            self.dropped.drop("image_url.detail")
        param = f"{place}.image_url.url"
        attachment = read_attachment(text(image, "url") or "", param)
        if attachment.url:
            return {"type": "image", "source": {"type": "url", "url": attachment.url}}
        if attachment.media_type not in _IMAGES:
            raise BadRequestError(f"'{param}' is no JPEG, PNG, GIF or WebP image.", param=param, code="invalid_value")
        source = {"type": "base64", "media_type": attachment.media_type, "data": attachment.data}
        return {"type": "image", "source": source}


def cache_mark(marked: Json) -> Json:
    """Anthropic's `cache_control`, or OpenAI's `prompt_cache_breakpoint`, as an addition to a block."""
    mark = child(marked, "cache_control") or child(marked, "prompt_cache_breakpoint")
    if not mark:
        return {}
    ttl = {"ttl": mark["ttl"]} if mark.get("ttl") in ("5m", "1h") else {}
    return {"cache_control": {"type": "ephemeral", **ttl}}


def _document(part: Json, param: str) -> Json:
    file = child(part, "file")
    given = text(file, "file_data")
    if given is None:
        raise unsupported(f"{param}.file_id", "Files are not stored here; send the file itself in file_data.")
    attachment = read_attachment(given, f"{param}.file_data")
    title = {"title": name[:500]} if (name := text(file, "filename")) else {}
    if attachment.url:
        source = {"type": "url", "url": attachment.url}
    elif attachment.media_type == "application/pdf":
        source = {"type": "base64", "media_type": "application/pdf", "data": attachment.data}
    elif attachment.media_type.startswith("text/"):
        said = decode(attachment, f"{param}.file_data").decode("utf-8", "replace")
        source = {"type": "text", "media_type": "text/plain", "data": said}
    else:
        raise unsupported(f"{param}.file_data", "The model reads PDF files and texts only.")
    return {"type": "document", "source": source, **title}
