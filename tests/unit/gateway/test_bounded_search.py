"""Searches for patterns: no pattern and no text takes longer than the bound, and windows hide no match."""

import re
import time

import pytest

from tollgate.gateway.bounded_search import OVERLAP, WINDOW, BoundedSearch, SearchTimeoutError

SECONDS = 0.2
SLOWEST = 3
"""Seconds that a search of SECONDS takes at most, also on a busy machine: without a bound these take years."""


async def no_pause() -> None:
    pass


async def find(pattern: str, text: str, *, is_whole: bool = True, seconds: float = SECONDS) -> tuple[list[str], int]:
    search = BoundedSearch(seconds, no_pause)
    spans, complete_until = await search.find(re.compile(pattern), text, is_whole=is_whole)
    return [text[start:end] for start, end in spans], complete_until


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"(a+)+$", "a" * 40 + "b"),
        (r"(a|aa)+$", "a" * 80 + "b"),
        (r"(?:\w+\s*)+:", "word " * 2000),
        (r".*.*.*.*x", "a" * 100_000),
        (r"^(([a-z])+.)+[A-Z]([a-z])+$", "a" * 60),
        (r"(?=(a+)+$)b", "a" * 60 + "b"),
    ],
)
async def test_evil_pattern_ends_in_time(pattern: str, text: str) -> None:
    before = time.process_time()
    with pytest.raises(SearchTimeoutError):
        await find(pattern, text)
    assert SECONDS / 2 < time.process_time() - before < SLOWEST


async def test_search_works_after_one_that_ran_out_and_a_used_up_one_is_refused() -> None:
    search = BoundedSearch(0.05, no_pause)
    with pytest.raises(SearchTimeoutError):
        await search.find(re.compile(r"(a+)+$"), "a" * 40 + "b")
    with pytest.raises(SearchTimeoutError):
        await search.find(re.compile("a"), "a")
    assert await find("b", "abc") == (["b"], 3)


@pytest.mark.parametrize("at", [0, WINDOW - 5, WINDOW, 2 * WINDOW - OVERLAP - 3, 40_000])
async def test_match_is_found_wherever_it_is(at: int) -> None:
    secret = "s3cret" * 50
    text = "-" * at + secret + "-" * 20_000
    assert await find(r"(?:s3cret)+", text) == ([secret], len(text))


async def test_many_matches_are_found_once() -> None:
    found, _ = await find(r"\d{4}", "1234 " * 10_000)
    assert len(found) == 10_000


@pytest.mark.parametrize(
    ("pattern", "text", "found", "complete_until"),
    [
        (r"\d+", "ab 12", [], 3),
        (r"\d+", "ab 12 ", ["12"], 6),
        (r"b$", "ab", [], 1),
        (r"x*", "axx", [], 1),
        (r"a+", "a" * (OVERLAP + 1), ["a" * (OVERLAP + 1)], OVERLAP + 1),
    ],
)
async def test_match_that_may_go_on_waits(pattern: str, text: str, found: list[str], complete_until: int) -> None:
    assert await find(pattern, text, is_whole=False) == (found, complete_until)
