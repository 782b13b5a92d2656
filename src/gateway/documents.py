"""Small documents that all instances of a gateway share, each until a time: a protocol of the stores."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

MAX_DOCUMENT_BYTES = 350_000
"""An item of DynamoDB has at most 400 kB, its names included (developer guide, "Quotas")."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it was read. `expires_at` is in Unix seconds; `revision` differs after each write."""

    body: bytes
    expires_at: float
    revision: str


class Documents(Protocol):
    """Documents by the name of their collection and their own. An expired document does not exist."""

    async def read(self, collection: str, name: str) -> Document | None:
        """One document. Raises StoreUnavailableError."""
        ...

    async def read_all(self, collection: str) -> Mapping[str, Document]:
        """All documents of a collection, by name; those written a moment ago may be missing."""
        ...

    async def write(
        self, collection: str, name: str, body: bytes, expires_at: float, replaces: Document | None
    ) -> bool:
        """Write a document in place of the one that was read, or of none.

        Returns False, and writes nothing, if another one is there by now.
        """
        ...
