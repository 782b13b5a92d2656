"""Reads the sources of a Gemini response ("Gemini API reference", CitationMetadata and GroundingMetadata).

Google counts positions in a text in bytes of UTF-8, OpenAI in characters.
"""

from collections.abc import Collection
from typing import Any, cast

from tollgate.adapters.json_access import child, children, count, text
from tollgate.gateway.types import Json

MAX_CITATIONS = 1000
"""The maximum that is read; lists of indices can name the same sources again and again."""
_CONTINUATION_BYTES = bytes(range(0x80, 0xC0))
"""Bytes of UTF-8 that continue a character."""


def annotations(candidate: Json, content: str) -> list[Json]:
    """OpenAI's `url_citation` for every source with a URL, of a candidate's final fields and its whole text."""
    citations = _citations(candidate)
    byte_offsets = {count(segment, name) for _, segment in citations for name in ("startIndex", "endIndex")}
    offsets = _character_offsets(content, byte_offsets)
    result: list[Json] = []
    for source, segment in citations:
        if url := text(source, "uri"):
            citation: Json = {
                "url": url,
                "title": text(source, "title") or url,
                "start_index": offsets[count(segment, "startIndex")],
                "end_index": offsets[count(segment, "endIndex")],
            }
            result.append({"type": "url_citation", "url_citation": citation})
    return result


def _citations(candidate: Json) -> list[tuple[Json, Json]]:
    """Pairs of a source and the segment of the text that it supports."""
    metadata, grounding = child(candidate, "citationMetadata"), child(candidate, "groundingMetadata")
    sources = children(metadata, "citationSources") or children(metadata, "citations")
    citations = [(source, source) for source in sources]
    chunks = dict(enumerate(children(grounding, "groundingChunks")))
    for support in children(grounding, "groundingSupports"):
        value = support.get("groundingChunkIndices")
        indices = cast("list[Any]", value)[:MAX_CITATIONS] if isinstance(value, list) else []
        webs = [child(chunks[index], "web") for index in indices if isinstance(index, int) and index in chunks]
        citations += [(web, child(support, "segment")) for web in webs]
        if len(citations) > MAX_CITATIONS:
            break
    return citations[:MAX_CITATIONS]


def _character_offsets(content: str, byte_offsets: Collection[int]) -> dict[int, int]:
    """For each byte offset, the number of whole characters before it; the text is read once."""
    encoded = content.encode("utf-8", "surrogatepass")
    offsets: dict[int, int] = {}
    previous, characters = 0, 0
    for offset in sorted(byte_offsets):
        characters += len(encoded[previous:offset].translate(None, _CONTINUATION_BYTES))
        previous = offset
        is_inside_character = offset < len(encoded) and encoded[offset] in _CONTINUATION_BYTES
        offsets[offset] = characters - is_inside_character
    return offsets
