"""The SQLite file itself: made for its owner's eyes only, opened for several processes at once, brought up to date."""

import os
import sqlite3
import time
from pathlib import Path

from tollgate.gateway.errors import ConfigurationError
from tollgate.stores.sqlite.schema import MIGRATIONS

BUSY_TIMEOUT = 2.0  # seconds to wait for another process that is writing; a write takes about a millisecond


class StoreFileError(ConfigurationError):
    """A file cannot serve as a store; the message names it and says why."""


def open_file(path: Path) -> sqlite3.Connection:
    """A connection in autocommit mode, to be used by one thread at a time. Raises StoreFileError."""
    if not path.parent.is_dir():
        raise StoreFileError(f"{path}: there is no folder {path.parent} to keep the store in.")
    try:
        # SQLite would make it with the umask's mode; its -wal and -shm files take their mode from this one.
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
        raise StoreFileError(advice(error, path) or f"{path}: {error}") from error
    except StoreFileError:
        connection.close()
        raise
    connection.row_factory = sqlite3.Row
    return connection


def _check(connection: sqlite3.Connection) -> None:
    """Raises DatabaseError where the file is damaged, as far as a look at each table's first page tells."""
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        connection.execute(f"SELECT * FROM {name} LIMIT 1").fetchone()  # noqa: S608 - a name of our own


def advice(error: Exception, path: str | os.PathLike[str]) -> str | None:
    """What is wrong with the file at `path`, where it is the file that is at fault."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest of it says where in SQLite
    if code == sqlite3.SQLITE_CORRUPT:
        return f"{path}: the file is corrupt. Put a copy back in its place, or begin with another file."
    return f"{path}: the file is no SQLite database." if code == sqlite3.SQLITE_NOTADB else None


def _use_wal(connection: sqlite3.Connection) -> None:
    """Readers and a writer at the same time. What is committed survives the process; the last moments before a power
    cut may be lost, never the file.
    """
    give_up = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError:
            # Two processes that open a new file together: SQLite does not wait for its busy timeout in this one place.
            if time.monotonic() > give_up:
                raise
            time.sleep(0.01)
    connection.execute("PRAGMA synchronous = NORMAL")


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    if _version(connection) == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        found = _version(connection)  # again, under the lock: another process may have been faster
        if found > len(MIGRATIONS):
            raise StoreFileError(f"{path}: a newer Tollgate made this file (version {found}); this one cannot read it.")
        for script in MIGRATIONS[found:]:
            # Not executescript(): that one commits first, and lets the others in.
            for statement in script.split(";"):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def _version(connection: sqlite3.Connection) -> int:
    return connection.execute("PRAGMA user_version").fetchone()[0]
