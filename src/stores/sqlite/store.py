"""The stores on a laptop: keys, their limits and open holds, usage records and audit in one SQLite file."""

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
from tollgate.stores.blocking import BlockingCalls
from tollgate.stores.key_state import KeyState
from tollgate.stores.record_fields import Plain
from tollgate.stores.retention import DELETED_KEPT, USAGE_KEPT, is_kept, no_longer_kept, request_ids
from tollgate.stores.sqlite import rows
from tollgate.stores.sqlite.file import advice, open_file

READ_AT_ONCE = 500  # usage records that one call brings; other calls come between two of them


class SQLiteStore:
    """`gateway.ports.Store` on one file, which several processes may use at once.

    `known` keys are stored at once, unless they are there already. One thread with one connection does all the work:
    SQLite lets one writer in at a time anyway. Raises StoreFileError where the file cannot be used.
    """

    def __init__(
        self, path: str | os.PathLike[str], known: Sequence[KeyRecord] = (), *, now: Callable[[], float] = time.time
    ) -> None:
        self._now = now
        self._db = open_file(Path(path))
        if known:
            with self._writing():
                for record in known:
                    self._insert(record, "tollgate")
        self._calls = BlockingCalls("sqlite", 1, (sqlite3.Error,), lambda cause: advice(cause, path))

    async def admit(self, hold: Hold) -> Account:
        """See `Ledger.admit`."""
        return await self._calls.run(self._admit, hold)

    async def extend(self, hold: Hold, wanted: int, least: int) -> int:
        """See `Ledger.extend`."""
        return await self._calls.run(self._extend, hold, wanted, least)

    async def settle(self, record: UsageRecord, hold: Hold) -> bool:
        """See `Ledger.settle`."""
        return await self._calls.run(self._settle, record, hold)

    async def create(self, record: KeyRecord, by: str) -> None:
        """See `KeyStore.create`."""
        await self._calls.run(self._create, record, by)

    async def get(self, key_id: str) -> Account | None:
        """See `KeyStore.get`."""
        found = await self._calls.run(self._read, key_id)
        return found and found.account

    async def list(self) -> Sequence[KeyRecord]:
        """See `KeyStore.list`."""
        return await self._calls.run(self._list)

    async def key_ids(self) -> Set[str]:
        """See `KeyStore.key_ids`."""
        return await self._calls.run(self._key_ids)

    async def update(self, key_id: str, change: Change, by: str) -> KeyRecord:
        """See `KeyStore.update`."""
        return await self._calls.run(self._update, key_id, change, by)

    async def reset(self, key_id: str, by: str) -> None:
        """See `KeyStore.reset`."""
        await self._calls.run(self._reset, key_id, by)

    async def delete(self, key_id: str, by: str) -> None:
        """See `KeyStore.delete`."""
        await self._calls.run(self._delete, key_id, by)

    async def audit(self, key_id: str) -> Sequence[AuditEntry]:
        """See `KeyStore.audit`."""
        return await self._calls.run(self._audit, key_id)

    async def usage(self, key_id: str, start: float, end: float) -> AsyncIterator[UsageRecord]:
        """See `UsageStore.usage`, in the order of request ids."""
        after, last = request_ids(start, end)
        while some := await self._calls.run(self._usage, key_id, after, last):
            for record in some:
                if start <= record.started_at < end and is_kept(record, self._now()):
                    yield record
            after = some[-1].request_id

    async def totals(self, key_id: str, first: int, last: int) -> Sequence[DailyTotal]:
        """See `UsageStore.totals`; SQLite adds up so fast that none are kept."""
        return await self._calls.run(self._totals, key_id, first, last)

    async def usage_of(self, key_id: str, request_id: str) -> UsageRecord | None:
        """See `UsageStore.usage_of`."""
        record = await self._calls.run(self._usage_of, key_id, request_id)
        return record if record and is_kept(record, self._now()) else None

    def close(self) -> None:
        """Wait for calls under way and close the file. Closing again is no error."""
        self._calls.close()
        self._db.close()

    def _admit(self, hold: Hold) -> Account:
        with self._writing():
            before = self._read(hold.key.key_id)
            if before is None:
                raise AuthenticationError
            after = before
            for hold_id in key_state.overdue(before, hold.opened_at):
                after = key_state.closed(after, hold_id, self._usage_of(hold.key.key_id, hold_id))
            decided = admission.decide(after.account, hold)
            if hold.hold_id not in before.late:  # else it was taken, ended, and may still be settled
                after = replace(after, account=decided)
            self._write(before, after)
        return after.account

    def _extend(self, hold: Hold, wanted: int, least: int) -> int:
        with self._writing():
            before = self._read(hold.key.key_id)
            if before is None:
                raise AuthenticationError
            try:
                balance = limits.extend(before.balance, before.account.record.limits, hold.hold_id, wanted, least)
            except ExceededError as exceeded:
                raise RefusedError(exceeded.kind, before.account) from None
            self._write(before, replace(before, account=replace(before.account, balance=balance)))
        return balance.leases[hold.hold_id].micro_usd

    def _settle(self, record: UsageRecord, hold: Hold) -> bool:
        with self._writing():
            row = rows.usage_row(record)
            is_new = self._execute(f"{_insert('usage', row)} ON CONFLICT DO NOTHING", row).rowcount == 1
            self._forget_old(record.key_id)
            used = record if is_new else self._usage_of(record.key_id, record.request_id) or record
            before = self._read(record.key_id)
            if before is None:
                return is_new
            after = key_state.settled(before, hold.hold_id, used.tokens, used.cost.micro_usd)
            self._write(before, after)
        return is_new or after != before

    def _create(self, record: KeyRecord, by: str) -> None:
        key_changes.checked(None, record)
        with self._writing():
            if not self._insert(record, by):
                raise key_changes.taken(record.key_id)

    def _list(self) -> Sequence[KeyRecord]:
        return [rows.read_key(row) for row in self._execute("SELECT * FROM keys ORDER BY created_at, key_id")]

    def _key_ids(self) -> Set[str]:
        found = self._execute(
            "SELECT key_id FROM keys UNION SELECT key_id FROM audit WHERE action = 'delete' AND at >= :since",
            {"since": self._now() - DELETED_KEPT},
        )
        return {row["key_id"] for row in found}

    def _update(self, key_id: str, change: Change, by: str) -> KeyRecord:
        with self._writing():
            before = self._read(key_id)
            if before is None:
                raise key_changes.missing(key_id)
            old = before.account.record
            new = key_changes.checked(old, change(old))
            if new == old:
                return old
            balance = limits.changed(before.balance, old.limits, new.limits, self._now())
            row = rows.key_row(new)
            self._execute(f"{_update('keys', row)} WHERE key_id = :key_id", row)
            self._write(before, replace(before, account=Account(new, balance)))
            self._log(key_id, key_changes.entry(old, new, by, self._now()))
        return new

    def _reset(self, key_id: str, by: str) -> None:
        with self._writing():
            before = self._read(key_id)
            if before is None:
                raise key_changes.missing(key_id)
            record = before.account.record
            self._write(before, KeyState(Account(record, limits.full(record.limits, self._now()))))
            self._log(key_id, key_changes.reset(by, self._now()))

    def _delete(self, key_id: str, by: str) -> None:
        with self._writing():
            found = self._read(key_id)
            if found is None:
                raise key_changes.missing(key_id)
            for table in ("keys", "holds"):
                self._execute(f"DELETE FROM {table} WHERE key_id = :key_id", {"key_id": key_id})  # noqa: S608
            self._log(key_id, key_changes.entry(found.account.record, None, by, self._now()))

    def _audit(self, key_id: str) -> Sequence[AuditEntry]:
        found = self._execute("SELECT * FROM audit WHERE key_id = :key_id ORDER BY at, rowid", {"key_id": key_id})
        return [rows.read_audit(row) for row in found]

    def _usage(self, key_id: str, after: str, last: str) -> Sequence[UsageRecord]:
        found = self._execute(
            "SELECT * FROM usage WHERE key_id = :key_id AND request_id > :after AND request_id <= :last"
            " ORDER BY request_id LIMIT :limit",
            {"key_id": key_id, "after": after, "last": last, "limit": READ_AT_ONCE},
        )
        return [rows.read_usage(row) for row in found]

    def _totals(self, key_id: str, first: int, last: int) -> Sequence[DailyTotal]:
        found = self._execute(
            rows.TOTALS,
            {
                "key_id": key_id,
                "first": max(first * DAY_SECONDS, int(self._now()) - USAGE_KEPT + 1),
                "end": (last + 1) * DAY_SECONDS,
            },
        )
        return [record_fields.total_of(row) for row in found]

    def _usage_of(self, key_id: str, request_id: str) -> UsageRecord | None:
        row = self._execute(
            "SELECT * FROM usage WHERE key_id = :key_id AND request_id = :request_id",
            {"key_id": key_id, "request_id": request_id},
        ).fetchone()
        return rows.read_usage(row) if row else None

    def _forget_old(self, key_id: str) -> None:
        old = (key_id, *no_longer_kept(self._now()))
        self._db.execute("DELETE FROM usage WHERE key_id = ? AND request_id BETWEEN ? AND ?", old)

    def _read(self, key_id: str) -> KeyState | None:
        row = self._execute("SELECT * FROM keys WHERE key_id = :key_id", {"key_id": key_id}).fetchone()
        if row is None:
            return None
        held = self._execute("SELECT * FROM holds WHERE key_id = :key_id", {"key_id": key_id})
        leases, late = rows.read_holds(held)
        return KeyState(Account(rows.read_key(row), rows.read_balance(row, leases)), late)

    def _write(self, before: KeyState, after: KeyState) -> None:
        """Write a balance and its holds, as far as they changed."""
        key_id = after.account.record.key_id
        if after.balance != before.balance:
            row = rows.balance_row(after.balance)
            self._execute(f"{_update('keys', row)} WHERE key_id = :key_id", {**row, "key_id": key_id})
        old, new = rows.hold_rows(before), rows.hold_rows(after)
        for hold_id in old.keys() - new.keys():
            self._db.execute("DELETE FROM holds WHERE key_id = ? AND hold_id = ?", (key_id, hold_id))
        changed = (row for hold_id, row in new.items() if row != old.get(hold_id))
        self._db.executemany("INSERT OR REPLACE INTO holds VALUES (?, ?, ?, ?, ?, ?, ?)", changed)

    def _insert(self, record: KeyRecord, by: str) -> bool:
        row = rows.key_row(record) | rows.balance_row(limits.full(record.limits, record.created_at))
        if self._execute(f"{_insert('keys', row)} ON CONFLICT DO NOTHING", row).rowcount != 1:
            return False
        self._log(record.key_id, key_changes.entry(None, record, by, self._now()))
        return True

    def _log(self, key_id: str, entry: AuditEntry) -> None:
        row = (key_id, entry.at, entry.by, entry.action, json.dumps(dict(entry.changed)))
        self._db.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?)", row)

    def _execute(self, query: str, values: Mapping[str, Plain] | None = None) -> sqlite3.Cursor:
        return self._db.execute(query, values or {})

    @contextmanager
    def _writing(self) -> Generator[None]:
        """A transaction that has the write lock from its beginning, so that what it reads stays true until it ends."""
        self._db.execute("BEGIN IMMEDIATE")
        with self._db:
            yield


def _insert(table: str, row: Mapping[str, Plain]) -> str:
    return f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(f':{name}' for name in row)})"  # noqa: S608


def _update(table: str, row: Mapping[str, Plain]) -> str:
    return f"UPDATE {table} SET {', '.join(f'{name} = :{name}' for name in row)}"  # noqa: S608
