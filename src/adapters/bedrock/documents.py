"""Documents in Converse messages: their format, their names, and how many a message may have.

Source: AWS, Amazon Bedrock API Reference, "DocumentBlock" and "Message".
"""

import re
from collections.abc import Sequence

from tollgate.adapters.dropped_params import unsupported
from tollgate.adapters.json_access import child
from tollgate.gateway.types import Json

DOCUMENT_TEXT = "The document is attached."
"""The text that is added to a message that has a document alone: Converse requires one."""

_FORMATS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/markdown": "md",
}
"""Converse's document formats by media type; any other text is `txt`."""
_MAX_FILES = {"image": 20, "document": 5}
"""The maximum number of images and documents in one message ("Message", `content`)."""
_INVALID_IN_NAMES = re.compile(r"[^a-zA-Z0-9()\[\]-]+")
_MAX_NAME_LENGTH = 190


def document_format(media_type: str, filename: str) -> str | None:
    """The format by media type, or by the filename's extension if the type is generic; None if it is unsupported."""
    if media_type in _FORMATS:
        return _FORMATS[media_type]
    extension = filename.rpartition(".")[2].lower()
    if extension in {*_FORMATS.values(), "txt"} and media_type in ("", "application/octet-stream", "text/plain"):
        return extension
    return "txt" if media_type.startswith("text/") else None


def document_name(filename: str) -> str:
    """A filename in the characters that Converse accepts."""
    return _INVALID_IN_NAMES.sub(" ", filename)[:_MAX_NAME_LENGTH].strip() or "Document"


def complete_documents(messages: Sequence[Json]) -> None:
    """Make the names of all documents unique and add the text that they require.

    Raises BadRequestError for more images or documents than a message may have.
    """
    last_numbers: dict[str, int] = {}
    for message in messages:
        blocks: list[Json] = message["content"]
        for kind, maximum in _MAX_FILES.items():
            if sum(kind in block for block in blocks) > maximum:
                raise unsupported("messages", f"The model supports up to {maximum} {kind}s in a message.")
        documents = [document for block in blocks for document in _documents(block)]
        for document in documents:
            document["name"] = _unique(document["name"], last_numbers)
        if documents and not any("text" in block for block in blocks):
            blocks.append({"text": DOCUMENT_TEXT})


def _documents(block: Json) -> list[Json]:
    """The documents in a block, or in a tool result."""
    blocks: list[Json] = child(block, "toolResult").get("content") or [block]
    return [inner["document"] for inner in blocks if "document" in inner]


def _unique(name: str, last_numbers: dict[str, int]) -> str:
    """A name that differs from earlier ones: the second `a` is `a (2)`. `last_numbers` has each name's last number."""
    unique, number = name, last_numbers.get(name, 0)
    while unique in last_numbers:
        number += 1
        unique = f"{name} ({number + 1})"
    last_numbers[name], last_numbers[unique] = number, last_numbers.get(unique, 0)
    return unique
