"""A stream and the whole answer it makes up are one and the same, in every family."""

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


def folded(chunks: list[Chunk]) -> Completion:
    one = ChunkAccumulator()
    for chunk in chunks:
        one.add(chunk)
    return one.completion()


@EACH_PAIR
def test_stream_folds_into_the_whole_answer(family: Family, name: str) -> None:
    whole, got = family.parse(name), folded(read(family.open(name), family.stream(name)))
    check_completion(got)
    assert folding.plain(got.choices) == folding.plain(whole.choices)
    assert (got.usage, got.extra) == (whole.usage, whole.extra)


@EACH_PAIR
def test_whole_answer_is_a_stream_that_folds_into_it(family: Family, name: str) -> None:
    whole = family.parse(name)
    chunks = to_chunks(whole)
    check_chunks(chunks)
    assert folding.plain(folding.fold(chunks)) == folding.plain(whole.choices)
    again = folded(chunks)
    assert json.dumps(list(again.choices), sort_keys=True) == json.dumps(list(whole.choices), sort_keys=True)
    assert (again.usage, again.extra) == (whole.usage, whole.extra)


def test_pieces_of_two_choices_keep_apart_and_lists_are_joined() -> None:
    def step(index: int, **delta: object) -> Json:
        return {"index": index, "delta": delta, "finish_reason": None}

    end: Json = {"index": 0, "delta": {}, "finish_reason": "stop", "native_finish_reason": "eos"}
    got = folded([
        Chunk([step(1, content="b"), step(0, content="a", images=[1])]),
        Chunk([step(0, content="A", images=[2]), step(1, refusal="no")], Usage(1, 1)),
        Chunk([end, {**end, "index": 1}], Usage(1, 2), {"sources": ["u"]}),
    ])  # fmt: skip
    first, second = (choice["message"] for choice in got.choices)
    assert (first["content"], first["images"], second["content"], second["refusal"]) == ("aA", [1, 2], "b", "no")
    assert got.choices[0]["native_finish_reason"] == "eos"
    assert (got.usage, got.extra) == (Usage(1, 2), {"sources": ["u"]})
