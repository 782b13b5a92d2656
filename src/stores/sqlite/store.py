"""The store on one machine: keys, their limits and open holds, usage records and audit in one SQLite file."""

import json
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence, Set
from dataclasses import replace
from pathlib import Path

from tollgate.gateway import limits
from tollgate.gateway.admission import Account
from tollgate.gateway.keys import AuditEntry, Change, KeyRecord, is_team_id
from tollgate.gateway.metering import UsageRecord
from tollgate.gateway.usage_totals import DAY_SECONDS, DailyTotal
from tollgate.stores import key_changes, record_fields
from tollgate.stores.blocking_executor import BlockingExecutor, in_executor
from tollgate.stores.calls import StoreErrors
from tollgate.stores.key_state import KeyState
from tollgate.stores.retention import DELETED_KEPT, USAGE_KEPT, is_kept, request_ids
from tollgate.stores.sqlite import rows
from tollgate.stores.sqlite.documents import SQLiteDocuments
from tollgate.stores.sqlite.file import file_hint, open_file
from tollgate.stores.sqlite.ledger import SQLiteLedger, insert_sql, update_sql

READ_BATCH = 500  # usage records that one blocking call reads; other calls run between two of them


class SQLiteStore(SQLiteLedger, SQLiteDocuments):
    """`gateway.store_ports.Store` on one file, which several processes may use at the same time.

    The `initial_keys` are stored unless they exist. All calls run on one thread with one connection, because SQLite
    allows one writer at a time. Raises StoreFileError if the file cannot be used.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        initial_keys: Sequence[KeyRecord] = (),
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._now = now
        self._db = open_file(Path(path))
        if initial_keys:
            with self._transaction():
                for record in initial_keys:
                    self._insert_key(record, "tollgate")
        errors = StoreErrors((sqlite3.Error,), lambda error: file_hint(error, path))
        self.executor = BlockingExecutor("sqlite", errors)

    def close(self) -> None:
        """Wait for pending calls and close the file. May be called more than once."""
        self.executor.close()
        self._db.close()

    @in_executor
    def create(self, record: KeyRecord, by: str) -> None:
        """See `KeyStore.create`."""
        key_changes.check(None, record)
        with self._transaction():
            if not self._insert_key(record, by):
                raise key_changes.key_exists(record.key_id)

    @in_executor
    def get(self, key_id: str) -> Account | None:
        """See `KeyStore.get`."""
        state = self._find(key_id)
        return state and state.account

    @in_executor
    def list(self) -> Sequence[KeyRecord]:
        """See `KeyStore.list`."""
        return [record for record in self._records() if not is_team_id(record.key_id)]

    @in_executor
    def teams(self) -> Sequence[KeyRecord]:
        """See `KeyStore.teams`."""
        return [record for record in self._records() if is_team_id(record.key_id)]

    @in_executor
    def key_ids(self) -> Set[str]:
        """See `KeyStore.key_ids`."""
        found = self._execute(
            "SELECT key_id FROM keys UNION SELECT key_id FROM audit WHERE action = 'delete' AND at >= :since",
            {"since": self._now() - DELETED_KEPT},
        )
        return {row["key_id"] for row in found if not is_team_id(row["key_id"])}

    @in_executor
    def update(self, key_id: str, change: Change, by: str) -> KeyRecord:
        """See `KeyStore.update`."""
        with self._transaction():
            before = self._get(key_id)
            old = before.account.record
            new = key_changes.check(old, change(old))
            if new == old:
                return old
            if new.team is not None and new.team != old.team:
                self._get(new.team)
            balance = limits.changed(before.balance, old.limits, new.limits, self._now())
            row = rows.key_row(new)
            self._execute(f"{update_sql('keys', row)} WHERE key_id = :key_id", row)
            self._write(before, replace(before, account=Account(new, balance)))
            self._add_audit_entry(key_id, key_changes.change_entry(old, new, by, self._now()))
        return new

    @in_executor
    def reset(self, key_id: str, by: str) -> None:
        """See `KeyStore.reset`."""
        with self._transaction():
            before = self._get(key_id)
            record = before.account.record
            self._write(before, KeyState(Account(record, limits.full(record.limits, self._now()))))
            self._add_audit_entry(key_id, key_changes.reset_entry(by, self._now()))

    @in_executor
    def delete(self, key_id: str, by: str) -> None:
        """See `KeyStore.delete`."""
        with self._transaction():
            record = self._get(key_id).account.record
            (members,) = self._execute("SELECT count(*) FROM keys WHERE team = :team", {"team": key_id}).fetchone()
            if members:
                raise key_changes.team_in_use(key_id, members)
            for table in ("keys", "holds"):
                self._execute(f"DELETE FROM {table} WHERE key_id = :key_id", {"key_id": key_id})  # noqa: S608
            self._add_audit_entry(key_id, key_changes.change_entry(record, None, by, self._now()))

    @in_executor
    def audit(self, key_id: str) -> Sequence[AuditEntry]:
        """See `KeyStore.audit`."""
        found = self._execute("SELECT * FROM audit WHERE key_id = :key_id ORDER BY at, rowid", {"key_id": key_id})
        return [rows.read_audit_entry(row) for row in found]

    async def usage(self, key_id: str, start: float, end: float) -> AsyncIterator[UsageRecord]:
        """See `UsageStore.usage`, in the order of request ids."""
        after, last = request_ids(start, end)
        while batch := await self.executor.run(self._usage_batch, key_id, after, last):
            for record in batch:
                if start <= record.started_at < end and is_kept(record, self._now()):
                    yield record
            after = batch[-1].request_id

    @in_executor
    def totals(self, key_id: str, first: int, last: int) -> Sequence[DailyTotal]:
        """See `UsageStore.totals`. Totals are computed at each read, because SQLite is fast enough."""
        found = self._execute(
            rows.TOTALS,
            {
                "key_id": key_id,
                "first": max(first * DAY_SECONDS, int(self._now()) - USAGE_KEPT + 1),
                "end": (last + 1) * DAY_SECONDS,
            },
        )
        return [record_fields.read_total(dict(row)) for row in found]

    @in_executor
    def usage_of(self, key_id: str, request_id: str) -> UsageRecord | None:
        """See `UsageStore.usage_of`."""
        record = self._usage_record(key_id, request_id)
        return record if record and is_kept(record, self._now()) else None

    @in_executor
    def recent(self, key_id: str, before: str, limit: int) -> Sequence[UsageRecord]:
        """See `UsageStore.recent`."""
        found = self._execute(
            "SELECT * FROM usage WHERE key_id = :key_id AND request_id < :before ORDER BY request_id DESC LIMIT :limit",
            {"key_id": key_id, "before": before, "limit": limit},
        )
        records = map(rows.read_usage_record, found)
        return [record for record in records if is_kept(record, self._now())]

    def _usage_batch(self, key_id: str, after: str, last: str) -> Sequence[UsageRecord]:
        found = self._execute(
            "SELECT * FROM usage WHERE key_id = :key_id AND request_id > :after AND request_id <= :last"
            " ORDER BY request_id LIMIT :limit",
            {"key_id": key_id, "after": after, "last": last, "limit": READ_BATCH},
        )
        return [rows.read_usage_record(row) for row in found]

    def _records(self) -> Sequence[KeyRecord]:
        return [rows.read_key(row) for row in self._execute("SELECT * FROM keys ORDER BY created_at, key_id")]

    def _insert_key(self, record: KeyRecord, by: str) -> bool:
        if record.team is not None:
            self._get(record.team)
        row = rows.key_row(record) | rows.balance_row(limits.full(record.limits, record.created_at))
        if self._execute(f"{insert_sql('keys', row)} ON CONFLICT DO NOTHING", row).rowcount != 1:
            return False
        self._add_audit_entry(record.key_id, key_changes.change_entry(None, record, by, self._now()))
        return True

    def _add_audit_entry(self, key_id: str, entry: AuditEntry) -> None:
        row = (key_id, entry.at, entry.by, entry.action, json.dumps(dict(entry.changed)))
        self._db.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?)", row)
