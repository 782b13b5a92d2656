"""Content blocks of Anthropic's Messages as content parts of Chat Completions (API reference, "Create a Message")."""

import base64
from collections.abc import Sequence
from typing import Any, cast

from tollgate.adapters.dropped_params import unsupported
from tollgate.adapters.json_access import child, children, text
from tollgate.gateway.types import Json
from tollgate.gateway.validation import invalid


def blocks_of(content: Any, path: str) -> list[Json]:
    """The blocks of a content, which may be a string. Raises BadRequestError for anything else."""
    if content is None:
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list):
        raise invalid(path, "it is a string or a list of content blocks")
    blocks = cast("list[Any]", content)
    for index, block in enumerate(blocks):
        if not isinstance(block, dict) or not isinstance(cast(Json, block).get("type"), str):
            raise invalid(f"{path}[{index}]", "it is an object with a type")
    return cast("list[Json]", blocks)


def parts_of(blocks: Sequence[Json], path: str) -> list[Json]:
    """Content parts for the blocks of a user, a system text or a tool's result.

    Raises BadRequestError for a block that has no counterpart.
    """
    return [part for index, block in enumerate(blocks) for part in block_parts(block, f"{path}[{index}]")]


def block_parts(block: Json, path: str) -> list[Json]:
    """The same for one block."""
    mark = {"cache_control": block["cache_control"]} if block.get("cache_control") else {}
    return [{**part, **mark} for part in _parts(block, path)]


def requests_citations(blocks: Sequence[Json]) -> bool:
    """Whether a block, or one in the result of a tool, is to be cited, which has no counterpart."""
    return any(
        child(block, "citations").get("enabled") is True or requests_citations(children(block, "content"))
        for block in blocks
    )


def joined_if_plain(parts: list[Json]) -> str | list[Json]:
    """The only text as a string, which every server accepts; else the parts."""
    is_plain = len(parts) == 1 and parts[0].keys() == {"type", "text"}
    return parts[0]["text"] if is_plain else parts


def _parts(block: Json, path: str) -> list[Json]:
    kind = block["type"]
    if kind == "text":
        return [_text(_string(block, "text", path))]
    if kind == "image":
        return [{"type": "image_url", "image_url": {"url": _source_url(block, path)}}]
    if kind == "document":
        return _document(block, path)
    if kind == "search_result":
        texts = [text(item, "text") or "" for item in children(block, "content")]
        return [_text("\n".join([text(block, "title") or "", text(block, "source") or "", *texts]).strip())]
    if kind == "tool_reference":
        return [_text(f"The tool {text(block, 'tool_name') or ''} is loaded and can be called.")]
    raise unsupported(f"{path}.type", f"Only Anthropic supports content blocks of type {kind[:50]!r}.")


def _document(block: Json, path: str) -> list[Json]:
    """The document, after its title and its context: a file has its title as its name."""
    source, title, context = child(block, "source"), text(block, "title"), text(block, "context")
    if source.get("type") not in ("text", "content"):
        file = {"type": "file", "file": {"file_data": _source_url(block, path), "filename": title or "document.pdf"}}
        return [_text(context), file] if context else [file]
    heading = "\n\n".join(filter(None, (title, context)))
    if source.get("type") == "text":
        return [_text("\n\n".join(filter(None, (heading, _string(source, "data", f"{path}.source")))))]
    parts = parts_of(blocks_of(source.get("content"), f"{path}.source.content"), f"{path}.source.content")
    return [_text(heading), *parts] if heading else parts


def _source_url(block: Json, path: str) -> str:
    """The URL of an image or a document, or its data as a data URL."""
    source = child(block, "source")
    if source.get("type") == "url":
        return _string(source, "url", f"{path}.source")
    if source.get("type") == "base64":
        media_type = _string(source, "media_type", f"{path}.source")
        return f"data:{media_type};base64,{_base64(source, path)}"
    if source.get("type") == "file":
        raise unsupported(f"{path}.source", "The gateway stores no files; send the content as base64.")
    raise invalid(f"{path}.source.type", "it is base64, url, text, content or file")


def _base64(source: Json, path: str) -> str:
    data = _string(source, "data", f"{path}.source")
    try:
        base64.b64decode(data, validate=True)
    except ValueError:
        raise invalid(f"{path}.source.data", "it is not base64") from None
    return data


def _string(block: Json, name: str, path: str) -> str:
    value = block.get(name)
    if not isinstance(value, str):
        raise invalid(f"{path}.{name}", "it is a string")
    return value


def _text(value: str) -> Json:
    return {"type": "text", "text": value}
