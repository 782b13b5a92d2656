"""Searches texts for regular expressions in a bounded time.

Python's `re` backtracks: the time of some patterns grows exponentially with the text. It looks for signals meanwhile
(CPython, Modules/_sre/sre_lib.h, MAYBE_CHECK_SIGNALS), so a timer of the process ends it: SIGVTALRM, which counts the
CPU time of the process and which nothing else here uses. Signals are handled in the main thread, so searches are made
there.

Between two looks at signals `re` may read its whole text some thousand times. So it gets windows of a text: a match
that is longer than OVERLAP may be missed where it crosses the border of two.
"""

import re
import signal
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import NamedTuple

WINDOW = 8192
OVERLAP = 1024
"""Characters of a window, and how many of them the next one has too."""


class SearchTimeoutError(Exception):
    """The time for searching is used up."""


class Matches(NamedTuple):
    """The spans of matches, in their order; and where a match begins that may go on after the text, or its end."""

    spans: list[tuple[int, int]]
    complete_until: int


class _Timer:
    is_armed = False


class BoundedSearch:
    """Searches that together take so many seconds of CPU time; `pause` lets others run between two windows."""

    def __init__(self, seconds: float, pause: Callable[[], Awaitable[None]]) -> None:
        self._left = seconds
        self._pause = pause

    async def find(self, pattern: re.Pattern[str], text: str, *, is_whole: bool = True) -> Matches:
        """Every match that is not empty. Raises SearchTimeoutError.

        If more of the text will come, a match at its end is not returned unless it is longer than OVERLAP.
        """
        spans: list[tuple[int, int]] = []
        start = 0
        while True:
            end = min(start + WINDOW, len(text))
            is_last = end == len(text)
            complete_until = end
            for span in self._spans(pattern, text, start, end):
                if span[1] < end or span[0] < end - OVERLAP or (is_last and is_whole):
                    spans.append(span)
                else:
                    complete_until = span[0]
            if is_last:
                return Matches(spans, complete_until)
            start = max(end - OVERLAP, spans[-1][1] if spans else 0)
            await self._pause()

    def _spans(self, pattern: re.Pattern[str], text: str, start: int, end: int) -> list[tuple[int, int]]:
        if self._left <= 0:
            raise SearchTimeoutError
        if signal.getsignal(signal.SIGVTALRM) is not _interrupt:
            signal.signal(signal.SIGVTALRM, _interrupt)
        try:
            try:
                _Timer.is_armed = True
                signal.setitimer(signal.ITIMER_VIRTUAL, self._left)
                found = [match.span() for match in pattern.finditer(text, start, end)]
            finally:
                _Timer.is_armed = False
                self._left = signal.setitimer(signal.ITIMER_VIRTUAL, 0)[0]
        except SearchTimeoutError:  # also from within `finally`, if the timer ran out there
            _Timer.is_armed = False
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            self._left = 0
            raise
        return [span for span in found if span[0] < span[1]]


def _interrupt(signum: int, frame: FrameType | None) -> None:
    """End the search that runs; a signal that comes after its end is late."""
    if _Timer.is_armed:
        raise SearchTimeoutError
