"""What one process remembers to save requests: how many shards a key has, and where its open holds lie.

Nothing rests on it: whoever has forgotten asks the table once more.
"""

import threading
from dataclasses import dataclass
from typing import Generic, TypeVar

from tollgate.gateway.limits import Lease, Period

T = TypeVar("T")

MAX_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class Opened:
    """A hold that was opened here: in which shard, as what, and of which kind of budget."""

    shard: int
    lease: Lease
    per: Period


class BoundedCache(Generic[T]):
    """The last things noted, for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._notes: dict[str, T] = {}

    def put(self, name: str, what: T) -> None:
        """Remember it; the oldest note goes where there are too many."""
        with self._lock:
            self._notes[name] = what
            if len(self._notes) > MAX_LIMIT:
                del self._notes[next(iter(self._notes))]

    def get(self, name: str) -> T | None:
        """What was noted last."""
        return self._notes.get(name)

    def delete(self, name: str) -> None:
        """It is of no use any more."""
        with self._lock:
            self._notes.pop(name, None)
