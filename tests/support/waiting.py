"""Waiting for conditions, with a limit that a loaded machine does not reach."""

import time
from collections.abc import Callable
from typing import TypeVar

LIMIT_SECONDS = 120.0
"""The limit of every wait, and the timeout of clients that wait for a response."""

T = TypeVar("T")


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Return when the condition holds. Raises AssertionError, which names `what`, if it does not hold in time."""
    end = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < end, f"{what} did not happen in {LIMIT_SECONDS:.0f} seconds"
        time.sleep(0.01)


def within_one_minute(action: Callable[[], T]) -> T:
    """The result of an action that began and ended in the same window of limits.

    The action is repeated if the minute changed meanwhile. It has to begin with a new key each time.
    """
    for _ in range(5):
        minute = time.time() // 60
        result = action()
        if time.time() // 60 == minute:
            return result
    raise AssertionError("The action took longer than a minute five times.")
