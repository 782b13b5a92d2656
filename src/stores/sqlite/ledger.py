"""Admission and settlement on the SQLite file: the core's arithmetic inside transactions."""

import sqlite3
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from tollgate.gateway import admission, limits
from tollgate.gateway.admission import Account, Hold, RefusedError
from tollgate.gateway.errors import AuthenticationError
from tollgate.gateway.limits import Balance, ExceededError
from tollgate.gateway.metering import UsageRecord
from tollgate.stores import key_changes, key_state
from tollgate.stores.blocking_executor import BlockingExecutor, in_executor
from tollgate.stores.key_state import KeyState
from tollgate.stores.record_fields import Scalar
from tollgate.stores.retention import expired_ids
from tollgate.stores.sqlite import rows


class SQLiteLedger:
    """`gateway.store_ports.Ledger` on the connection and the thread of the store that this is a part of."""

    executor: BlockingExecutor
    _db: sqlite3.Connection
    _now: Callable[[], float]

    @in_executor
    def admit(self, hold: Hold) -> Account:
        """See `Ledger.admit`."""
        with self._transaction():
            account = self._admit(hold)
            if account.record.team is not None:
                account = self._admit_to_team(account.record.team, account, hold)
        return account

    def _admit(self, hold: Hold) -> Account:
        """Open a hold on one account."""
        before = self._find(hold.key.key_id)
        if before is None:
            raise AuthenticationError
        after = before
        for hold_id in key_state.overdue(before, hold.opened_at):
            record = self._usage_record(*admission.usage_of_hold(hold.key.key_id, hold_id))
            after = key_state.closed(after, hold_id, record)
        admitted = admission.decide(after.account, hold)
        if hold.hold_id not in before.late:  # otherwise it was reserved and closed before, and may still be settled
            after = replace(after, account=admitted)
        self._write(before, after)
        return after.account

    def _admit_to_team(self, team: str, account: Account, hold: Hold) -> Account:
        """Open the hold on the team's account too. If the team refuses it, the transaction changes nothing.

        Both leases hold the same amount of money: what the team does not have, the key's lease gives back.
        """
        held = account.balance.leases.get(hold.hold_id, hold.lease).micro_usd
        of_team = hold.of_team(team, held)
        try:
            team_account = self._admit(of_team)
        except RefusedError as refused:
            raise admission.refused_by_team(refused, account, hold) from None
        available = team_account.balance.leases.get(of_team.hold_id, of_team.lease).micro_usd
        balance = limits.shrink(account.balance, account.record.limits, hold.hold_id, available)
        self._replace_balance(hold.key.key_id, balance)
        return replace(account, balance=balance, team=team_account)

    @in_executor
    def extend(self, hold: Hold, amount: int, minimum: int) -> int:
        """See `Ledger.extend`."""
        with self._transaction():
            account = self._extend(hold, amount, minimum)
            held = account.balance.leases[hold.hold_id].micro_usd
            if hold.team is None:
                return held
            of_team = hold.of_team(hold.team, hold.micro_usd)
            team_account = self._extend(of_team, held - hold.micro_usd, minimum)
            available = min(held, team_account.balance.leases[of_team.hold_id].micro_usd)
            balance = limits.shrink(account.balance, account.record.limits, hold.hold_id, available)
            self._replace_balance(hold.key.key_id, balance)
        return available

    def _extend(self, hold: Hold, amount: int, minimum: int) -> Account:
        """Extend a hold on one account."""
        before = self._find(hold.key.key_id)
        if before is None:
            raise AuthenticationError
        try:
            balance = limits.extend(before.balance, before.account.record.limits, hold.hold_id, amount, minimum)
        except ExceededError as exceeded:
            raise RefusedError(exceeded.kind, before.account) from None
        after = replace(before.account, balance=balance)
        self._write(before, replace(before, account=after))
        return after

    @in_executor
    def settle(self, record: UsageRecord, hold: Hold) -> bool:
        """See `Ledger.settle`."""
        with self._transaction():
            row = rows.usage_row(record)
            is_new = self._execute(f"{insert_sql('usage', row)} ON CONFLICT DO NOTHING", row).rowcount == 1
            self._delete_expired(record.key_id)
            used = record if is_new else self._usage_record(record.key_id, record.request_id) or record
            released = self._release(hold, used)
            if hold.team is not None:
                released |= self._release(hold.of_team(hold.team, hold.micro_usd), used)
        return is_new or released

    def _release(self, hold: Hold, used: UsageRecord) -> bool:
        """Release a settled hold of one account. False if it was released before or the account is deleted."""
        before = self._find(hold.key.key_id)
        if before is None:
            return False
        after = key_state.settled(before, hold.hold_id, used.tokens, used.cost.micro_usd)
        self._write(before, after)
        return after != before

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

    def _replace_balance(self, key_id: str, balance: Balance) -> None:
        before = self._get(key_id)
        self._write(before, replace(before, account=replace(before.account, balance=balance)))

    def _write(self, before: KeyState, after: KeyState) -> None:
        """Write what has changed of a balance and its holds."""
        key_id = after.account.record.key_id
        if after.balance != before.balance:
            row = rows.balance_row(after.balance)
            self._execute(f"{update_sql('keys', row)} WHERE key_id = :key_id", {**row, "key_id": key_id})
        old, new = rows.hold_rows(before), rows.hold_rows(after)
        for hold_id in old.keys() - new.keys():
            self._db.execute("DELETE FROM holds WHERE key_id = ? AND hold_id = ?", (key_id, hold_id))
        changed = (row for hold_id, row in new.items() if row != old.get(hold_id))
        self._db.executemany("INSERT OR REPLACE INTO holds VALUES (?, ?, ?, ?, ?, ?, ?)", changed)

    def _execute(self, query: str, values: Mapping[str, Scalar] | None = None) -> sqlite3.Cursor:
        return self._db.execute(query, values or {})

    @contextmanager
    def _transaction(self) -> Generator[None]:
        """A transaction that takes the write lock when it begins, so that no other process changes what it reads."""
        self._db.execute("BEGIN IMMEDIATE")
        with self._db:
            yield


def insert_sql(table: str, row: Mapping[str, Scalar]) -> str:
    """The statement that inserts a row, with its columns as parameters."""
    return f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(f':{name}' for name in row)})"  # noqa: S608


def update_sql(table: str, row: Mapping[str, Scalar]) -> str:
    """The statement that updates rows to these columns; a WHERE clause has to follow."""
    return f"UPDATE {table} SET {', '.join(f'{name} = :{name}' for name in row)}"  # noqa: S608
