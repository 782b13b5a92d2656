"""Writes a `multipart/form-data` body (RFC 7578) for a provider."""

import re
import secrets
from collections.abc import Iterator, Mapping
from typing import Any, cast

from tollgate.gateway.json_text import dump
from tollgate.gateway.uploads import File

_PRINTABLE = re.compile(r"[ -~]+")
_ESCAPES = str.maketrans({"\r": "%0D", "\n": "%0A", '"': "%22"})
"""How names are written in a part's header (WHATWG HTML, "Multipart form data")."""


def encode_form(fields: Mapping[str, Any]) -> tuple[bytes, dict[str, str]]:
    """The body and its headers. Values are text, numbers, booleans, Files, or lists of those.

    Each value of a list is a part named `name[]`, as OpenAI's clients do it. The bytes of files are copied once.
    """
    boundary = secrets.token_hex(16)
    pieces: list[bytes | memoryview] = []
    for name, value in _parts(fields):
        pieces += (f"--{boundary}\r\n{_head(name, value)}\r\n\r\n".encode(), _content(value), b"\r\n")
    pieces.append(f"--{boundary}--\r\n".encode())
    return b"".join(pieces), {"content-type": f"multipart/form-data; boundary={boundary}"}


def _parts(fields: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        if isinstance(value, list):
            listed = name if name.endswith("]") else f"{name}[]"
            yield from ((listed, item) for item in cast("list[Any]", value))
        else:
            yield name, value


def _head(name: str, value: object) -> str:
    head = f'content-disposition: form-data; name="{name.translate(_ESCAPES)}"'
    if not isinstance(value, File):
        return head
    content_type = value.content_type if _PRINTABLE.fullmatch(value.content_type) else "application/octet-stream"
    return f'{head}; filename="{value.name.translate(_ESCAPES)}"\r\ncontent-type: {content_type}'


def _content(value: Any) -> bytes | memoryview:
    if isinstance(value, File):
        return value.content
    return value.encode() if isinstance(value, str) else dump(value)
