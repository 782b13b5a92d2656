"""What every family must do with responses: one test for all families, over the fixtures of each.

A family takes part by a line in `support.families.ALL` and its fixtures.
"""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.families import ALL, Family, read, translated
from support.folding import fold, plain
from support.fuzzing import fuzz_both_ways, fuzz_error, fuzz_response, fuzz_stream
from support.rules import check_chunks, check_completion, result_or_gateway_error
from tollgate.adapters.clients.openai_chat import ChatEncoder
from tollgate.gateway.chat import Chunk, TextChunk
from tollgate.gateway.client_format import ResponseInfo
from tollgate.gateway.errors import GatewayError

EACH_FAMILY = pytest.mark.parametrize("family", ALL.values(), ids=ALL)
EACH_PAIR = pytest.mark.parametrize(
    ("family", "name"), [pytest.param(f, name, id=f"{f.name}-{name}") for f in ALL.values() for name in f.pairs]
)
EACH_STREAM = pytest.mark.parametrize(
    ("family", "name"), [pytest.param(f, name, id=f"{f.name}-{name}") for f in ALL.values() for name in f.streams]
)


def outcome(family: Family, name: str, *edges: int) -> Any:
    """The chunks of a stream that is split at these edges, or its error."""
    data = family.stream(name)
    places = sorted(min(edge, len(data)) for edge in edges)
    try:
        return read(family.open(name), *(data[a:b] for a, b in pairwise([0, *places, len(data)])))
    except GatewayError as error:
        return (error.status, error.code, error.message)


@EACH_PAIR
def test_assembled_stream_equals_the_whole_response(family: Family, name: str) -> None:
    whole, chunks = family.parse(name), read(family.open(name), family.stream(name))
    assert plain(fold(chunks)) == plain(whole.choices)
    assert [chunk.usage for chunk in chunks if chunk.usage is not None][-1:] == [whole.usage][: whole.usage is not None]
    assert {k: v for chunk in chunks for k, v in chunk.extra.items()} == whole.extra


@EACH_PAIR
def test_whole_response_follows_the_rules_of_results(family: Family, name: str) -> None:
    check_completion(family.parse(name))
    check_chunks(read(family.open(name), family.stream(name)))


@EACH_STREAM
def test_stream_split_at_every_byte_yields_the_same_chunks(family: Family, name: str) -> None:
    assert outcome(family, name, *range(len(family.stream(name)))) == outcome(family, name)


@EACH_STREAM
def test_text_chunk_is_written_like_any_other_chunk(family: Family, name: str) -> None:
    for fields in ({}, {"with_usage": True}, {"has_functions": True}):
        encoder = ChatEncoder(ResponseInfo("req_1", 1, "m", "p", "openai"), **fields)
        for chunk in result_or_gateway_error(lambda: read(family.open(name), family.stream(name))) or []:
            assert encoder.chunk(chunk) == encoder.chunk(Chunk(chunk.choices, chunk.usage, chunk.extra))


@pytest.mark.parametrize(
    ("family", "name"),
    [pytest.param(f, name, id=f"{f.name}-{name}") for f in ALL.values() if f.in_long_way for name in f.streams],
)
def test_usual_events_are_read_as_in_the_long_way(family: Family, name: str) -> None:
    assert family.in_long_way is not None
    events = family.events(name)
    long = [family.in_long_way(event) for event in events]
    for end in range(len(events) + 1):
        assert translated(family, name, events[:end]) == translated(family, name, long[:end])


@pytest.mark.parametrize("name", ["gemini", "openai"])
def test_an_unusual_member_leads_to_the_long_way(name: str) -> None:
    family = ALL[name]
    assert family.in_long_way is not None
    for stream in ("thinking", "text") if name == "gemini" else ("openai_text", "openai_tools", "groq"):
        events = family.events(stream)
        long = family.encode([family.in_long_way(event) for event in events])
        assert any(isinstance(chunk, TextChunk) for chunk in read(family.open(stream), family.encode(events)))
        assert not any(isinstance(chunk, TextChunk) for chunk in read(family.open(stream), long))


@EACH_STREAM
@given(places=st.lists(st.integers(0, 5000), max_size=8))
def test_stream_split_anywhere_yields_the_same_chunks(family: Family, name: str, places: list[int]) -> None:
    assert outcome(family, name, *places) == outcome(family, name)


@EACH_PAIR
def test_truncated_stream_is_never_complete(family: Family, name: str) -> None:
    """A stream is complete from the event that ends it, and then the response is the same."""
    events = family.events(name)
    whole = [
        result_or_gateway_error(lambda end=end: read(family.open(name), family.encode(events[:end])))
        for end in range(len(events) + 1)
    ]
    ends = [chunks is not None for chunks in whole]
    assert ends == sorted(ends)
    assert ends[-1]
    assert sum(ends) <= 3  # a usage and a [DONE] may come after what makes it whole
    assert {json.dumps(fold(chunks)) for chunks in whole if chunks} == {json.dumps(fold(whole[-1] or []))}


@EACH_FAMILY
@pytest.mark.parametrize("end", [b"\r\n", b"\r", b"\n"])
def test_line_ends_of_proxies_are_accepted(family: Family, end: bytes) -> None:
    if family.suffix != ".sse":
        return
    for name in family.streams:
        data = family.stream(name).replace(b"\r\n", b"\n").replace(b"\n", end)
        got = result_or_gateway_error(lambda data=data, name=name: read(family.open(name), data))
        assert got == result_or_gateway_error(lambda name=name: read(family.open(name), family.stream(name)))


# --- what no provider should send -------------------------------------------------------------------------------------


@EACH_FAMILY
@given(data=st.data())
def test_mutated_response_is_parsed_or_raises_a_gateway_error(family: Family, data: st.DataObject) -> None:
    fuzz_response(family, data)


@EACH_FAMILY
@given(data=st.data())
def test_mutated_stream_is_parsed_or_raises_a_gateway_error(family: Family, data: st.DataObject) -> None:
    fuzz_stream(family, data)


@EACH_FAMILY
@given(data=st.data())
def test_mutated_stream_is_read_as_in_the_long_way(family: Family, data: st.DataObject) -> None:
    fuzz_both_ways(family, data)


@EACH_FAMILY
@given(data=st.data())
def test_mutated_error_is_a_gateway_error(family: Family, data: st.DataObject) -> None:
    fuzz_error(family, data)
