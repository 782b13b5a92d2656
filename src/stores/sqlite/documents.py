"""Shared documents as rows of the SQLite file."""

import secrets
import sqlite3
from collections.abc import Callable, Mapping

from tollgate.gateway.documents import Document
from tollgate.stores.blocking_executor import BlockingExecutor, in_executor


class SQLiteDocuments:
    """`gateway.documents.Documents` on the connection and the thread of the store that this is a part of."""

    executor: BlockingExecutor
    _db: sqlite3.Connection
    _now: Callable[[], float]

    @in_executor
    def read(self, collection: str, name: str) -> Document | None:
        """See `Documents.read`."""
        return self._documents("collection = ? AND name = ?", collection, name).get(name)

    @in_executor
    def read_all(self, collection: str) -> Mapping[str, Document]:
        """See `Documents.read_all`."""
        return self._documents("collection = ?", collection)

    @in_executor
    def write(self, collection: str, name: str, body: bytes, expires_at: float, replaces: Document | None) -> bool:
        """See `Documents.write`. It deletes what has expired."""
        revision = secrets.token_hex(8)
        with self._db:
            self._db.execute("DELETE FROM documents WHERE expires_at <= ?", (int(self._now()),))
            if replaces is None:
                values = (collection, name, body, int(expires_at), revision)
                written = self._db.execute("INSERT OR IGNORE INTO documents VALUES (?, ?, ?, ?, ?)", values)
            else:
                written = self._db.execute(
                    "UPDATE documents SET body = ?, expires_at = ?, revision = ?"
                    " WHERE collection = ? AND name = ? AND revision = ?",
                    (body, int(expires_at), revision, collection, name, replaces.revision),
                )
        return written.rowcount == 1

    def _documents(self, condition: str, *values: str) -> dict[str, Document]:
        found = self._db.execute(
            f"SELECT * FROM documents WHERE {condition} AND expires_at > ?",  # noqa: S608
            (*values, int(self._now())),
        )
        return {row["name"]: Document(row["body"], row["expires_at"], row["revision"]) for row in found}
