"""Parts come one after another, however a provider mixes the pieces of its chunks."""

from typing import Any

import pytest

from tollgate.adapters.clients.parts import Part, PartStream, parts_of
from tollgate.gateway.chat import Chunk, Completion, TextChunk, TextPlace

SIGNED = {"type": "reasoning.text", "text": "so", "signature": "s1", "format": "anthropic-claude-v1"}
ENCRYPTED = {"type": "reasoning.encrypted", "data": "d1"}


class Recorder:
    """Writes `<kind piece piece>` for each part."""

    def begin(self, part: Part) -> bytes:
        return f"<{part.kind}{part.call_id}".encode()

    def piece(self, part: Part, text: str) -> bytes:
        return b" " + text.encode()

    def end(self, part: Part) -> bytes:
        return b"".join(b"!" for _ in part.details) + b">"


def delta(index: int = 0, **fields: Any) -> Chunk:
    return Chunk([{"index": index, "delta": fields, "finish_reason": None}])


def call(index: int, arguments: str, call_id: str = "") -> Chunk:
    start = {"id": call_id, "type": "function"} if call_id else {}
    return delta(tool_calls=[{"index": index, **start, "function": {"name": "f", "arguments": arguments}}])


def written(*chunks: Chunk) -> str:
    stream = PartStream(Recorder())
    return b"".join([*(stream.add(chunk) for chunk in chunks), stream.finish()]).decode()


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ([delta(role="assistant", content=""), delta(content="a"), delta(content="b")], "<text a b>"),
        ([delta(reasoning_content="x"), delta(content="a")], "<reasoning x><text a>"),
        ([delta(reasoning="x"), delta(content="a"), delta(reasoning="y")], "<reasoning x><text a><reasoning y>"),
        ([delta(content="a", refusal="no")], "<text a><refusal no>"),
        ([call(0, "", "A"), call(0, "1"), call(0, "2")], "<callA 1 2>"),
        ([call(0, "1", "A"), call(1, "2", "B")], "<callA 1><callB 2>"),
        ([call(0, "1", "A"), call(1, "x", "B"), call(0, "2"), call(1, "y")], "<callA 1 2><callB xy>"),
        ([call(0, "1", "A"), delta(content="t"), call(0, "2"), delta(content="u")], "<callA 1 2><text tu>"),
        ([call(0, "1", "A"), delta(reasoning="r"), call(1, "2", "B")], "<callA 1><reasoning r><callB 2>"),
        ([delta(reasoning="so"), delta(reasoning_details=[SIGNED]), delta(content="a")], "<reasoning so!><text a>"),
        ([delta(reasoning_details=[ENCRYPTED]), delta(content="a")], "<reasoning!><text a>"),
        ([delta(reasoning_details=[{"type": "reasoning.text", "text": "so"}])], ""),
        ([delta(1, content="another choice")], ""),
    ],
)  # fmt: skip
def test_parts_follow_one_another(chunks: list[Chunk], expected: str) -> None:
    assert written(*chunks) == expected


def test_text_chunks_are_the_same_as_their_choices() -> None:
    for name, call_index in (("content", 0), ("reasoning_content", 0), ("arguments", 3)):
        place = TextPlace(name=name, call=call_index)  # pyright: ignore[reportArgumentType]
        chunks = [call(3, "", "A"), TextChunk(place, "a"), TextChunk(place, "b")]
        assert written(*chunks) == written(*(Chunk(chunk.choices) for chunk in chunks))


def test_last_finish_reason_is_kept() -> None:
    stream = PartStream(Recorder())
    stream.add(Chunk([{"index": 0, "delta": {}, "finish_reason": "length"}]))
    stream.add(delta())
    assert stream.finish_reason == "length"


def test_annotations_belong_to_the_last_text() -> None:
    stream = PartStream(Recorder())
    for chunk in (delta(content="a"), call(0, "", "A"), delta(annotations=[{"type": "url_citation"}])):
        stream.add(chunk)
    assert stream.parts[0].annotations == [{"type": "url_citation"}]


def test_whole_response_has_the_parts_of_its_stream() -> None:
    message = {
        "reasoning_content": "so",
        "reasoning_details": [SIGNED, ENCRYPTED],
        "content": "a",
        "refusal": "no",
        "tool_calls": [{"id": "A", "function": {"name": "f", "arguments": "{}"}}],
    }
    parts = parts_of(Completion([{"index": 0, "message": message, "finish_reason": "stop"}]))
    assert [(part.kind, part.text, len(part.details)) for part in parts] == [
        ("reasoning", "so", 1), ("reasoning", "", 1), ("text", "a", 0), ("refusal", "no", 0), ("call", "{}", 0),
    ]  # fmt: skip


def test_response_without_choices_has_no_parts() -> None:
    assert parts_of(Completion()) == []
