"""Guarded streams: however a text is cut into chunks, clients get what a check of the whole text would pass on."""

import random
from collections.abc import Sequence
from typing import Any

import pytest

from tollgate.gateway.accounting import RequestAccounting
from tollgate.gateway.chat import Chunk, TextChunk, TextPlace
from tollgate.gateway.errors import GatewayError
from tollgate.gateway.guarded_stream import HELD_BACK, STEP, GuardedChunks
from tollgate.gateway.guardrail_checks import Checks
from tollgate.gateway.guardrail_rows import PatternGuardrail
from tollgate.gateway.metering import GuardrailAction

PLACES = [TextPlace(0, "reasoning_content"), TextPlace(0, "content"), TextPlace(0, "arguments", 1)]
MASK = PatternGuardrail(name="number", pattern=r"\d{6,}(?!\.)", action="mask")
BLOCK = PatternGuardrail(name="word", pattern=r"(?i)\bxyzzy\b")


class Clock:
    def now(self) -> float:
        return 0

    def monotonic(self) -> float:
        return 0

    async def sleep(self, seconds: float) -> None:
        pass


class Source:
    """See `gateway.responses.ChunkSource`."""

    def __init__(self, reads: Sequence[list[Any]], last: list[Any]) -> None:
        self.last = last
        self.usage_extra: dict[str, Any] = {}
        self._reads = [*reads]

    async def read(self) -> list[Any] | None:
        return self._reads.pop(0) if self._reads else None


class Accounting(RequestAccounting):
    """Only the errors that it is told."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []

    def failed(self, error: BaseException, at: float) -> None:
        self.errors.append(error)


class Guarded:
    """A guarded stream that was read to its end: the texts by their places, its last chunks, and what was recorded."""

    def __init__(self, *rules: PatternGuardrail) -> None:
        self.texts: dict[tuple[int, str, int], str] = {}
        self.others: list[Any] = []
        self.last: list[Any] = []
        self.actions: list[GuardrailAction] = []
        self.accounting = Accounting()
        self._clock = Clock()
        self._checks = Checks("output", rules, [], self.actions.append, lambda: self._clock.sleep(0))

    def over(self, source: Source) -> GuardedChunks:
        return GuardedChunks([], source, self._checks, self.accounting, self._clock)

    async def read(self, reads: Sequence[list[Any]], last: list[Any]) -> "Guarded":
        guarded = self.over(Source(reads, last))
        while (chunks := await guarded.read()) is not None:
            for chunk in chunks:
                if isinstance(chunk, TextChunk):
                    key = (chunk.place.index, chunk.place.name, chunk.place.call)
                    self.texts[key] = self.texts.get(key, "") + chunk.text
                else:
                    self.others += chunk.choices
        self.last = [choice for chunk in guarded.last for choice in chunk.choices]
        return self


def end(index: int = 0) -> Chunk:
    return Chunk([{"index": index, "delta": {}, "finish_reason": "stop"}])


def cut(text: str, place: TextPlace, rng: random.Random) -> list[Chunk]:
    """The text in random pieces, as chunks of both kinds."""
    chunks: list[Chunk] = []
    while text:
        size = rng.choice((1, 2, 5, 40, 300, 3000))
        piece, text = text[:size], text[size:]
        is_general = rng.random() < 0.3
        chunks.append(Chunk([place.choice(piece)]) if is_general else TextChunk(place, piece))
    return chunks


def words(rng: random.Random) -> str:
    return " ".join(rng.choice(("well", "123456", "12345", "9876543210", "123456.", "a")) for _ in range(400))


@pytest.mark.parametrize("seed", range(30))
async def test_masked_texts_are_those_of_a_check_of_the_whole(seed: int) -> None:
    rng = random.Random(seed)
    texts = {place: words(rng) for place in PLACES}
    chunks = [chunk for place in PLACES for chunk in cut(texts[place], place, rng)]
    guarded = await Guarded(MASK, BLOCK).read(
        [chunks[start : start + 3] for start in range(0, len(chunks), 3)], [end()]
    )
    pattern = MASK.compiled
    assert guarded.texts == {
        (place.index, place.name, place.call): pattern.sub("[number]", text) for place, text in texts.items()
    }
    assert guarded.last == [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    assert guarded.accounting.errors == []


@pytest.mark.parametrize("seed", range(20))
async def test_no_part_of_a_blocked_match_is_passed_on(seed: int) -> None:
    rng = random.Random(seed)
    before = "all is well " * rng.randrange(100)
    chunks = cut(f"{before}XYZZY{' and more' * 100}", PLACES[1], rng)
    guarded = await Guarded(BLOCK).read([[chunk] for chunk in chunks], [end()])
    assert before.startswith(guarded.texts.get((0, "content", 0), ""))
    (last,) = guarded.last
    assert last["finish_reason"] == "content_filter"
    assert "'word'" in last["delta"]["refusal"]
    assert [error.code for error in guarded.accounting.errors if isinstance(error, GatewayError)] == ["content_filter"]
    assert guarded.actions == [GuardrailAction("word", "block", "output")]


async def test_as_much_waits_as_is_documented() -> None:
    passed: list[int] = []
    guarded = Guarded(BLOCK)
    source = Source([[TextChunk(PLACES[1], "a")] for _ in range(2 * HELD_BACK)], [end()])
    checked = guarded.over(source)
    while (chunks := await checked.read()) is not None:
        passed.append(sum(len(chunk.text) for chunk in chunks))
    assert passed[:-1] == [STEP] * 4
    assert passed[-1] == HELD_BACK


async def test_end_of_a_longer_word_is_no_match_wherever_the_text_is_cut() -> None:
    chunks = [TextChunk(PLACES[1], "axyzzy bxyzzy cc ") for _ in range(200)]
    guarded = await Guarded(BLOCK).read([[chunk] for chunk in chunks], [end()])
    assert guarded.accounting.errors == []
    assert guarded.texts[0, "content", 0] == "axyzzy bxyzzy cc " * 200


async def test_overlapping_matches_of_two_rules_are_masked_once() -> None:
    other = PatternGuardrail(name="letters", pattern=r"6[a-z]{200}", action="mask")
    text = f"{'-' * 300}123456{'a' * 200}{'-' * 300}"
    for size in (1, 7, 64, 1000):
        chunks = [TextChunk(PLACES[1], text[at : at + size]) for at in range(0, len(text), size)]
        guarded = await Guarded(MASK, other).read([[chunk] for chunk in chunks], [end()])
        shown = guarded.texts[0, "content", 0]
        assert shown.startswith(f"{'-' * 300}[number]")
        assert not {*"123456a"} & {*shown.replace("[number]", "").replace("[letters]", "")}


async def test_choices_are_checked_by_themselves() -> None:
    first, second = TextPlace(0), TextPlace(1)
    pieces = [[TextChunk(place, text)] for text in ("12", "34", "56", " ") for place in (first, second)]
    guarded = await Guarded(MASK).read(pieces, [end(0), end(1)])
    assert guarded.texts == {(0, "content", 0): "[number] ", (1, "content", 0): "[number] "}


async def test_match_across_an_interruption_is_blocked() -> None:
    content, reasoning = PLACES[1], PLACES[0]
    reads = [[TextChunk(content, "say xyz")], [TextChunk(reasoning, "hm")], [TextChunk(content, "zy now")]]
    guarded = await Guarded(BLOCK).read(reads, [end()])
    assert guarded.last[0]["finish_reason"] == "content_filter"


async def test_other_fields_keep_their_place_and_what_is_unknown_is_left_out() -> None:
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":'}}
    reads = [
        [Chunk([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])],
        [Chunk([{"index": 0, "delta": {"content": "Hi", "annotations": ["123456"]}, "logprobs": {"content": ["Hi"]}}])],
        [Chunk([{"index": 0, "delta": {"tool_calls": [call]}}])],
        [TextChunk(TextPlace(0, "arguments", 0), " 123456}")],
    ]
    guarded = await Guarded(MASK).read(reads, [end()])
    started = {**call, "function": {"name": "f", "arguments": ""}}
    assert [choice["delta"] for choice in guarded.others] == [{"role": "assistant"}, {"tool_calls": [started]}]
    assert guarded.texts == {(0, "content", 0): "Hi", (0, "arguments", 0): '{"a": [number]}'}


async def test_text_in_the_last_chunk_is_checked() -> None:
    last = Chunk([{"index": 0, "delta": {"content": "123456"}, "finish_reason": "length"}])
    guarded = await Guarded(MASK).read([], [last])
    assert guarded.texts == {(0, "content", 0): "[number]"}
    assert guarded.last == [{"index": 0, "delta": {}, "finish_reason": "length"}]


async def test_call_that_comes_whole_with_the_end_begins_before_its_arguments() -> None:
    start = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    choice = {"index": 0, "delta": {"tool_calls": [start]}, "finish_reason": "tool_calls"}
    guarded = Guarded(BLOCK).over(Source([], [Chunk([choice])]))
    passed = [chunk.choices[0]["delta"]["tool_calls"] for chunk in await guarded.read() or ()]
    assert passed == [
        [{**start, "function": {"name": "f", "arguments": ""}}],
        [{"index": 0, "function": {"arguments": "{}"}}],
    ]
    assert [chunk.choices for chunk in guarded.last] == [[{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]]
