"""How the time of some work grows with its size.

CPU time of the process for n and for 4n: linear work takes 4 times as long, quadratic work 16. The best of several
tries must be well below 16, so that a loaded machine fails no test.
"""

import time
from collections.abc import Callable

MAX_GROWTH = 10
TRIES = 8


def seconds(work: Callable[[], object]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def growth(make: Callable[[int], Callable[[], object]], n: int) -> float:
    """The CPU time of 4n divided by that of n; the minimum of several tries, which end at one that is low enough."""
    small, large = make(n), make(4 * n)
    minimum = float("inf")
    for _ in range(TRIES):
        minimum = min(minimum, min(seconds(large) for _ in range(2)) / max(min(seconds(small) for _ in range(2)), 1e-4))
        if minimum < MAX_GROWTH:
            break
    return minimum
