"""In every family a stream and the whole response that it accumulates to are equal."""

import json

import pytest

from support import folding
from support.families import ALL, Family, read
from support.rules import check_chunks, check_completion
from tollgate.gateway.accumulation import ChunkAccumulator, to_chunks
from tollgate.gateway.chat import Chunk, Completion
from tollgate.gateway.types import Json, Usage

EACH_PAIR = pytest.mark.parametrize(
    ("family", "name"), [pytest.param(f, name, id=f"{f.name}-{name}") for f in ALL.values() for name in f.pairs]
)


def accumulated(chunks: list[Chunk]) -> Completion:
    accumulator = ChunkAccumulator()
    for chunk in chunks:
        accumulator.add(chunk)
    return accumulator.completion()


@EACH_PAIR
def test_accumulated_stream_equals_the_whole_response(family: Family, name: str) -> None:
    whole, completion = family.parse(name), accumulated(read(family.open(name), family.stream(name)))
    check_completion(completion)
    assert folding.plain(completion.choices) == folding.plain(whole.choices)
    assert (completion.usage, completion.extra) == (whole.usage, whole.extra)


@EACH_PAIR
def test_whole_response_as_a_stream_accumulates_to_itself(family: Family, name: str) -> None:
    whole = family.parse(name)
    chunks = to_chunks(whole)
    check_chunks(chunks)
    assert folding.plain(folding.fold(chunks)) == folding.plain(whole.choices)
    accumulated_again = accumulated(chunks)
    assert json.dumps(list(accumulated_again.choices), sort_keys=True) == json.dumps(
        list(whole.choices), sort_keys=True
    )
    assert (accumulated_again.usage, accumulated_again.extra) == (whole.usage, whole.extra)


def test_choices_are_accumulated_separately_and_lists_are_joined() -> None:
    def delta_choice(index: int, **delta: object) -> Json:
        return {"index": index, "delta": delta, "finish_reason": None}

    end: Json = {"index": 0, "delta": {}, "finish_reason": "stop", "native_finish_reason": "eos"}
    completion = accumulated([
        Chunk([delta_choice(1, content="b"), delta_choice(0, content="a", images=[1])]),
        Chunk([delta_choice(0, content="A", images=[2]), delta_choice(1, refusal="no")], Usage(1, 1)),
        Chunk([end, {**end, "index": 1}], Usage(1, 2), {"sources": ["u"]}),
    ])  # fmt: skip
    first, second = (choice["message"] for choice in completion.choices)
    assert (first["content"], first["images"], second["content"], second["refusal"]) == ("aA", [1, 2], "b", "no")
    assert completion.choices[0]["native_finish_reason"] == "eos"
    assert (completion.usage, completion.extra) == (Usage(1, 2), {"sources": ["u"]})
