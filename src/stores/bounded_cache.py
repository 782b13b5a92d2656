"""A bounded cache for values that one process keeps to save requests to the store."""

from typing import Generic, TypeVar

T = TypeVar("T")

MAX_ENTRIES = 10_000


class BoundedCache(Generic[T]):
    """The most recent entries, at most MAX_ENTRIES. Nothing depends on an entry being there."""

    def __init__(self) -> None:
        self._entries: dict[str, T] = {}

    def put(self, name: str, value: T) -> None:
        """Store a value; the oldest entry is dropped if there are too many."""
        self._entries[name] = value
        if len(self._entries) > MAX_ENTRIES:
            del self._entries[next(iter(self._entries))]

    def get(self, name: str) -> T | None:
        """The stored value, or None."""
        return self._entries.get(name)

    def delete(self, name: str) -> None:
        """Drop an entry if it is there."""
        self._entries.pop(name, None)
