"""The store on one machine: keys, their limits and open holds, usage records and audit in one SQLite file."""

import json
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Generator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tollgate.gateway import admission, limits
from tollgate.gateway.admission import Account, Hold, RefusedError
from tollgate.gateway.errors import AuthenticationError
from tollgate.gateway.keys import AuditEntry, Change, KeyRecord
from tollgate.gateway.limits import ExceededError
from tollgate.gateway.metering import UsageRecord
from tollgate.gateway.usage_totals import DAY_SECONDS, DailyTotal
from tollgate.stores import key_changes, key_state, record_fields
from tollgate.stores.blocking_executor import BlockingExecutor, in_executor
from tollgate.stores.calls import StoreErrors
from tollgate.stores.key_state import KeyState
from tollgate.stores.record_fields import Scalar
from tollgate.stores.retention import DELETED_KEPT, USAGE_KEPT, expired_ids, is_kept, request_ids
from tollgate.stores.sqlite import rows
from tollgate.stores.sqlite.documents import SQLiteDocuments
from tollgate.stores.sqlite.file import file_hint, open_file

READ_BATCH = 500  # usage records that one blocking call reads; other calls run between two of them


class SQLiteStore(SQLiteDocuments):
    """`gateway.ports.Store` on one file, which several processes may use at the same time.

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
    def admit(self, hold: Hold) -> Account:
        """See `Ledger.admit`."""
        with self._transaction():
            before = self._find(hold.key.key_id)
            if before is None:
                raise AuthenticationError
            after = before
            for hold_id in key_state.overdue(before, hold.opened_at):
                after = key_state.closed(after, hold_id, self._usage_record(hold.key.key_id, hold_id))
            admitted = admission.decide(after.account, hold)
            if hold.hold_id not in before.late:  # otherwise it was reserved and closed before, and may still be settled
                after = replace(after, account=admitted)
            self._write(before, after)
        return after.account

    @in_executor
    def extend(self, hold: Hold, amount: int, minimum: int) -> int:
        """See `Ledger.extend`."""
        with self._transaction():
            before = self._find(hold.key.key_id)
            if before is None:
                raise AuthenticationError
            try:
                balance = limits.extend(before.balance, before.account.record.limits, hold.hold_id, amount, minimum)
            except ExceededError as exceeded:
                raise RefusedError(exceeded.kind, before.account) from None
            self._write(before, replace(before, account=replace(before.account, balance=balance)))
        return balance.leases[hold.hold_id].micro_usd

    @in_executor
    def settle(self, record: UsageRecord, hold: Hold) -> bool:
        """See `Ledger.settle`."""
        with self._transaction():
            row = rows.usage_row(record)
            is_new = self._execute(f"{_insert_sql('usage', row)} ON CONFLICT DO NOTHING", row).rowcount == 1
            self._delete_expired(record.key_id)
            used = record if is_new else self._usage_record(record.key_id, record.request_id) or record
            before = self._find(record.key_id)
            if before is None:
                return is_new
            after = key_state.settled(before, hold.hold_id, used.tokens, used.cost.micro_usd)
            self._write(before, after)
        return is_new or after != before

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
        return [rows.read_key(row) for row in self._execute("SELECT * FROM keys ORDER BY created_at, key_id")]

    @in_executor
    def key_ids(self) -> Set[str]:
        """See `KeyStore.key_ids`."""
        found = self._execute(
            "SELECT key_id FROM keys UNION SELECT key_id FROM audit WHERE action = 'delete' AND at >= :since",
            {"since": self._now() - DELETED_KEPT},
        )
        return {row["key_id"] for row in found}

    @in_executor
    def update(self, key_id: str, change: Change, by: str) -> KeyRecord:
        """See `KeyStore.update`."""
        with self._transaction():
            before = self._get(key_id)
            old = before.account.record
            new = key_changes.check(old, change(old))
            if new == old:
                return old
            balance = limits.changed(before.balance, old.limits, new.limits, self._now())
            row = rows.key_row(new)
            self._execute(f"{_update_sql('keys', row)} WHERE key_id = :key_id", row)
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
        return [record_fields.read_total(row) for row in found]

    @in_executor
    def usage_of(self, key_id: str, request_id: str) -> UsageRecord | None:
        """See `UsageStore.usage_of`."""
        record = self._usage_record(key_id, request_id)
        return record if record and is_kept(record, self._now()) else None

    def _usage_batch(self, key_id: str, after: str, last: str) -> Sequence[UsageRecord]:
        found = self._execute(
            "SELECT * FROM usage WHERE key_id = :key_id AND request_id > :after AND request_id <= :last"
            " ORDER BY request_id LIMIT :limit",
            {"key_id": key_id, "after": after, "last": last, "limit": READ_BATCH},
        )
        return [rows.read_usage_record(row) for row in found]

    def _usage_record(self, key_id: str, request_id: str) -> UsageRecord | None:
        row = self._execute(
            "SELECT * FROM usage WHERE key_id = :key_id AND request_id = :request_id",
            {"key_id": key_id, "request_id": request_id},
        ).fetchone()
        return rows.read_usage_record(row) if row else None

    def _delete_expired(self, key_id: str) -> None:
        expired = (key_id, *expired_ids(self._now()))
        self._db.execute("DELETE FROM usage WHERE key_id = ? AND request_id BETWEEN ? AND ?", expired)

    def _get(self, key_id: str) -> KeyState:
        """The state of a key. Raises KeyNotFoundError."""
        state = self._find(key_id)
        if state is None:
            raise key_changes.key_not_found(key_id)
        return state

    def _find(self, key_id: str) -> KeyState | None:
        row = self._execute("SELECT * FROM keys WHERE key_id = :key_id", {"key_id": key_id}).fetchone()
        if row is None:
            return None
        holds = self._execute("SELECT * FROM holds WHERE key_id = :key_id", {"key_id": key_id})
        leases, late = rows.read_holds(holds)
        return KeyState(Account(rows.read_key(row), rows.read_balance(row, leases)), late)

    def _write(self, before: KeyState, after: KeyState) -> None:
        """Write what has changed of a balance and its holds."""
        key_id = after.account.record.key_id
        if after.balance != before.balance:
            row = rows.balance_row(after.balance)
            self._execute(f"{_update_sql('keys', row)} WHERE key_id = :key_id", {**row, "key_id": key_id})
        old, new = rows.hold_rows(before), rows.hold_rows(after)
        for hold_id in old.keys() - new.keys():
            self._db.execute("DELETE FROM holds WHERE key_id = ? AND hold_id = ?", (key_id, hold_id))
        changed = (row for hold_id, row in new.items() if row != old.get(hold_id))
        self._db.executemany("INSERT OR REPLACE INTO holds VALUES (?, ?, ?, ?, ?, ?, ?)", changed)

    def _insert_key(self, record: KeyRecord, by: str) -> bool:
        row = rows.key_row(record) | rows.balance_row(limits.full(record.limits, record.created_at))
        if self._execute(f"{_insert_sql('keys', row)} ON CONFLICT DO NOTHING", row).rowcount != 1:
            return False
        self._add_audit_entry(record.key_id, key_changes.change_entry(None, record, by, self._now()))
        return True

    def _add_audit_entry(self, key_id: str, entry: AuditEntry) -> None:
        row = (key_id, entry.at, entry.by, entry.action, json.dumps(dict(entry.changed)))
        self._db.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?)", row)

    def _execute(self, query: str, values: Mapping[str, Scalar] | None = None) -> sqlite3.Cursor:
        return self._db.execute(query, values or {})

    @contextmanager
    def _transaction(self) -> Generator[None]:
        """A transaction that takes the write lock when it begins, so that no other process changes what it reads."""
        self._db.execute("BEGIN IMMEDIATE")
        with self._db:
            yield


def _insert_sql(table: str, row: Mapping[str, Scalar]) -> str:
    return f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(f':{name}' for name in row)})"  # noqa: S608


def _update_sql(table: str, row: Mapping[str, Scalar]) -> str:
    return f"UPDATE {table} SET {', '.join(f'{name} = :{name}' for name in row)}"  # noqa: S608
