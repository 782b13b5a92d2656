"""The sources of an answer of Gemini's (Google's "Gemini API reference", CitationMetadata and GroundingMetadata).

Google counts places in a text in bytes of UTF-8, OpenAI in characters.
"""

from collections.abc import Collection
from typing import Any, cast

from tollgate.adapters.json_access import child, children, count, text
from tollgate.gateway.types import Json

MAX_CITATIONS = 1000
"""More sources than anybody reads; one list of numbers can name the same ones over and over."""
_CONTINUATION = bytes(range(0x80, 0xC0))
"""Bytes of UTF-8 that go on with a character."""


def annotations(end: Json, said: str) -> list[Json]:
    """OpenAI's `url_citation` for every source with a URL, of a candidate's last fields and all of its text."""
    metadata, grounding = child(end, "citationMetadata"), child(end, "groundingMetadata")
    cited = [(source, source) for source in children(metadata, "citationSources") or children(metadata, "citations")]
    chunks = dict(enumerate(children(grounding, "groundingChunks")))
    for support in children(grounding, "groundingSupports"):
        given = support.get("groundingChunkIndices")
        indices = cast("list[Any]", given)[:MAX_CITATIONS] if isinstance(given, list) else []
        sources = [child(chunks[index], "web") for index in indices if isinstance(index, int) and index in chunks]
        cited += [(source, child(support, "segment")) for source in sources]
        if len(cited) > MAX_CITATIONS:
            break
    cited = cited[:MAX_CITATIONS]
    places = _characters(said, {count(segment, name) for _, segment in cited for name in ("startIndex", "endIndex")})
    told: list[Json] = []
    for source, segment in cited:
        if url := text(source, "uri"):
            place = {
                "start_index": places[count(segment, "startIndex")],
                "end_index": places[count(segment, "endIndex")],
            }
            cite = {"url": url, "title": text(source, "title") or url, **place}
            told.append({"type": "url_citation", "url_citation": cite})
    return told


def _characters(said: str, places: Collection[int]) -> dict[int, int]:
    """For each of these places in bytes, how many whole characters come before it; read through once."""
    encoded = said.encode("utf-8", "surrogatepass")
    found: dict[int, int] = {}
    before, begun = 0, 0
    for place in sorted(places):
        begun, before = begun + len(encoded[before:place].translate(None, _CONTINUATION)), place
        is_within = place < len(encoded) and encoded[place] in _CONTINUATION
        found[place] = begun - is_within
    return found
