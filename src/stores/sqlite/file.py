"""Opens the SQLite file: creates it for its owner alone, enables access by several processes, migrates the schema."""

import os
import sqlite3
import time
from pathlib import Path

from tollgate.gateway.errors import ConfigurationError
from tollgate.stores.sqlite.schema import MIGRATIONS

BUSY_TIMEOUT = 2.0  # seconds to wait for another process that is writing; a write takes about a millisecond


class StoreFileError(ConfigurationError):
    """A file cannot be used as a store. The message names the file and the reason."""


def open_file(path: Path) -> sqlite3.Connection:
    """A connection in autocommit mode, for use by one thread at a time. Raises StoreFileError."""
    if not path.parent.is_dir():
        raise StoreFileError(f"{path}: the folder {path.parent} does not exist.")
    try:
        # SQLite would create it with the mode of the umask; the -wal and -shm files get their mode from this file.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise StoreFileError(f"{path}: {error}") from error
    try:
        _use_wal(connection)
        _migrate(connection, path)
        _check(connection)
    except sqlite3.Error as error:
        connection.close()
        raise StoreFileError(file_hint(error, path) or f"{path}: {error}") from error
    except StoreFileError:
        connection.close()
        raise
    connection.row_factory = sqlite3.Row
    return connection


def _check(connection: sqlite3.Connection) -> None:
    """Read the first page of each table. Raises DatabaseError if one of them is damaged."""
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        connection.execute(f"SELECT * FROM {name} LIMIT 1").fetchone()  # noqa: S608 - a name from the schema


def file_hint(error: Exception, path: str | os.PathLike[str]) -> str | None:
    """What is wrong with the file at `path`, or None if the error has another cause."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code; the higher bits are the extended one
    if code == sqlite3.SQLITE_CORRUPT:
        return f"{path}: the file is corrupt. Restore a copy of it, or use another file."
    return f"{path}: the file is no SQLite database." if code == sqlite3.SQLITE_NOTADB else None


def _use_wal(connection: sqlite3.Connection) -> None:
    """Allow readers and a writer at the same time.

    Committed transactions survive a crash of the process. A power failure may lose the last ones, but does not damage
    the file.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError:
            # Two processes open a new file at the same time. SQLite does not apply its busy timeout to this statement.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    connection.execute("PRAGMA synchronous = NORMAL")


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    if _version(connection) == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        found = _version(connection)  # again, with the lock: another process may have migrated the file
        if found > len(MIGRATIONS):
            raise StoreFileError(f"{path}: a newer version of Tollgate wrote this file (schema version {found}).")
        for script in MIGRATIONS[found:]:
            # Not executescript(): it commits first, which releases the lock.
            for statement in script.split(";"):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def _version(connection: sqlite3.Connection) -> int:
    return connection.execute("PRAGMA user_version").fetchone()[0]
