"""A conversation in Converse's turns and content blocks (AWS, Amazon Bedrock API Reference, "Message", "ContentBlock").

Bedrock fetches nothing by URL, and marks of the cache are blocks of their own, behind what they mark.
"""

import re
from collections.abc import Sequence

from tollgate.adapters.anthropic.messages import THINKING_FORMAT
from tollgate.adapters.attachments import Attachment, read_attachment
from tollgate.adapters.bedrock.cache_points import cache_point
from tollgate.adapters.dropped_params import unsupported
from tollgate.adapters.identifiers import sanitize
from tollgate.adapters.json_access import child, text
from tollgate.adapters.messages import Turns
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.types import Json

MAX_IMAGE_BYTES = int(3.75 * 1024 * 1024)
NO_OUTPUT = "(no output)"
"""What a tool is made to have answered where it answered nothing: blank texts are refused."""
ATTACHED = "The document is attached."
"""What a user is made to say beside a document alone: a turn with a document must have a text."""

_FOREIGN = re.compile(r"[^a-zA-Z0-9_-]")
_LONGEST_NAME = 64
_IMAGES = {"image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
_DOCUMENTS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/markdown": "md",
}
"""Bedrock's name for the format of a document; any other text is `txt`."""
_MAX_FILES = {"image": 20, "document": 5}
"""How many of these one message may have ("Message", `content`)."""
_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9()\[\]-]+")
_LONGEST_TITLE = 190


def tool_name(name: str) -> str:
    """A tool's name in Bedrock's alphabet."""
    return sanitize(name, _FOREIGN, _LONGEST_NAME)


def begins_signed(messages: Sequence[Json]) -> bool:
    """Whether the turn that is going on begins with thinking; True where none is. See anthropic_turns."""
    first: Json | None = None
    for message in reversed(messages):
        if message["role"] == "assistant":
            first = message
        elif "toolResult" not in message["content"][0]:
            break
    return first is None or "reasoningContent" in first["content"][0]


class Conversation(Turns):
    """See Turns; blocks are Converse's content blocks."""

    foreign = re.compile(r"[^a-zA-Z0-9_.:-]")

    def text_blocks(self, said: str, marked: Json) -> list[Json]:
        """See Turns."""
        return [{"text": said}, *cache_point(marked)]

    def file_blocks(self, part: Json, place: str) -> list[Json]:
        """See Turns."""
        block = self._image(part, place) if part["type"] == "image_url" else self._document(part, f"{place}.file")
        return [block, *cache_point(part)]

    def call_block(self, call: Json, name: str, native_id: str, given: Json) -> Json:
        """See Turns."""
        return {"toolUse": {"toolUseId": native_id, "name": tool_name(name), "input": given}}

    def result_blocks(self, name: str, native_id: str, blocks: list[Json]) -> list[Json]:
        """See Turns; a mark inside of a result is behind the result."""
        content = [block for block in blocks if "cachePoint" not in block] or [{"text": NO_OUTPUT}]
        marks = [block for block in blocks if "cachePoint" in block]
        return [{"toolResult": {"toolUseId": native_id, "content": content}}, *marks[-1:]]

    def thought_blocks(self, details: Sequence[Json]) -> list[Json]:
        """See Turns; encrypted thinking could be anybody's, if it does not say whose."""
        blocks: list[Json] = []
        for detail in details:
            signature, data = text(detail, "signature"), text(detail, "data")
            if detail.get("format") not in (None, THINKING_FORMAT):
                continue
            if signature:
                thought = {"text": text(detail, "text") or "", "signature": signature}
                blocks.append({"reasoningContent": {"reasoningText": thought}})
            elif data and detail.get("format") == THINKING_FORMAT:
                blocks.append({"reasoningContent": {"redactedContent": data}})
        return blocks

    def mark(self, blocks: list[Json], message: Json) -> list[Json]:
        """See Turns."""
        return [*blocks, *cache_point(message)] if blocks and "cachePoint" not in blocks[-1] else blocks

    def _end(self) -> None:
        super()._end()
        names: dict[str, int] = {}
        for message in self.messages:
            blocks = message["content"]
            for kind, most in _MAX_FILES.items():
                if sum(kind in block for block in blocks) > most:
                    raise unsupported("messages", f"The model takes no more than {most} {kind}s in a message.")
            documents = [document for block in blocks for document in _documents(block)]
            for document in documents:
                document["name"] = _unique(document["name"], names)
            if documents and not any("text" in block for block in blocks):
                blocks.append({"text": ATTACHED})

    def _image(self, part: Json, place: str) -> Json:
        image = child(part, "image_url")
        if image.get("detail") not in (None, "auto"):
            self.dropped.drop("image_url.detail")
        param = f"{place}.image_url.url"
        attachment = _inline(text(image, "url") or "", param)
        if attachment.media_type not in _IMAGES:
            raise BadRequestError(f"'{param}' is no JPEG, PNG, GIF or WebP image.", param=param, code="invalid_value")
        if len(attachment.data) * 3 // 4 > MAX_IMAGE_BYTES:
            raise BadRequestError(f"The image in '{param}' is over 3.75 MB.", param=param, code="invalid_value")
        return {"image": {"format": _IMAGES[attachment.media_type], "source": {"bytes": attachment.data}}}

    def _document(self, part: Json, param: str) -> Json:
        file = child(part, "file")
        given = text(file, "file_data")
        if given is None:
            raise unsupported(f"{param}.file_id", "Files are not stored here; send the file itself in file_data.")
        attachment, filename = _inline(given, f"{param}.file_data"), text(file, "filename") or ""
        kind = _document_format(attachment.media_type, filename)
        if kind is None:
            raise unsupported(f"{param}.file_data", "The model reads PDF, Word and Excel files and texts only.")
        title = _NOT_IN_A_NAME.sub(" ", filename)[:_LONGEST_TITLE].strip() or "Document"
        return {"document": {"format": kind, "name": title, "source": {"bytes": attachment.data}}}


def _inline(given: str, param: str) -> Attachment:
    attachment = read_attachment(given, param)
    if attachment.url:
        raise unsupported(param, "The model fetches nothing by URL; send a data URL.")
    if not attachment.data:
        raise BadRequestError(f"'{param}' holds no data.", param=param, code="invalid_value")
    return attachment


def _document_format(media_type: str, filename: str) -> str | None:
    """By the media type, or, where it says nothing, by the ending of the file's name."""
    if media_type in _DOCUMENTS:
        return _DOCUMENTS[media_type]
    ending = filename.rpartition(".")[2].lower()
    if ending in {*_DOCUMENTS.values(), "txt"} and media_type in ("", "application/octet-stream", "text/plain"):
        return ending
    return "txt" if media_type.startswith("text/") else None


def _documents(block: Json) -> list[Json]:
    """The documents in a block, or in what a tool answered."""
    inner: list[Json] = child(block, "toolResult").get("content") or [block]
    return [one["document"] for one in inner if "document" in one]


def _unique(name: str, taken: dict[str, int]) -> str:
    """Names of documents must differ in a request: the second `a` is `a (2)`. `taken` has the last number of each."""
    unique, number = name, taken.get(name, 0)
    while unique in taken:
        number += 1
        unique = f"{name} ({number + 1})"
    taken[name], taken[unique] = number, taken.get(unique, 0)
    return unique
