"""Admission and settlement on the table: one write and two, and what is done where these are refused."""

import random
from collections.abc import Sequence
from dataclasses import replace

from tollgate.gateway import admission as core
from tollgate.gateway import limits
from tollgate.gateway.admission import Account, Hold, RefusedError
from tollgate.gateway.errors import AuthenticationError
from tollgate.gateway.limits import Balance, ExceededError
from tollgate.gateway.metering import UsageRecord
from tollgate.stores.bounded_cache import BoundedCache, Opened
from tollgate.stores.dynamodb.items import KeyItem, read_key, read_usage, usage_item, usage_place
from tollgate.stores.dynamodb.table import ConditionFailedError, Table, attempts
from tollgate.stores.dynamodb.writes import (
    admission,
    backfill,
    difference,
    extension,
    informed_admission,
    informed_extension,
    release,
    settlement,
)
from tollgate.stores.key_state import KeyState, closed, combined_balance, overdue, settled

CLOSED_AT_ONCE = 25  # ended holds that one admission closes: each costs it a read
CURABLE = frozenset({"tokens", "concurrency", "open", "budget"})  # refusals that an ended hold may be the reason of
FINAL = frozenset({"model", "unpriced"})  # refusals that every shard would give


class ShardRefusedError(Exception):
    """One item refused, for its share of the key's limits."""

    def __init__(self, because: RefusedError, item: KeyItem) -> None:
        super().__init__(because.kind)
        self.because = because
        self.item = item


class TableLedger:
    """See `gateway.ports.Ledger`; these are its blocking calls."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._shards = BoundedCache[int]()
        self._opened = BoundedCache[Opened]()

    def admit(self, hold: Hold) -> Account:
        """The usual path is one write, to one item; a refusal costs no second one, but each other shard is asked."""
        opened = self._opened.get(hold.hold_id)
        shards = self._shards.get(hold.key.key_id) or 1
        shard = opened.shard if opened else random.randrange(shards)  # noqa: S311 - no secret, only evenly spread
        refusals: dict[int, ShardRefusedError] = {}
        while True:
            try:
                return self._account(self._admit_at(shard, hold), hold)
            except AuthenticationError:
                if shard == 0 or refusals:
                    raise
                # The key was made anew, with fewer shards.
                self._shards.delete(hold.key.key_id)
                shard = 0
            except ShardRefusedError as refused:
                refusals[shard] = refused
                left = [other for other in range(refused.item.record.shards) if other not in refusals]
                if refused.because.kind in FINAL or not left:
                    raise _of_all(list(refusals.values()), hold) from None
                shard = random.choice(left)  # noqa: S311

    def extend(self, hold: Hold, wanted: int, least: int) -> int:
        """One write on the usual path; where the budget has less than is wanted, a second one."""
        opened = self._opened.get(hold.hold_id) or Opened(0, hold.lease, "total")
        try:
            item = self._table.update(extension(self._table.name, hold.key.key_id, opened, hold.hold_id, wanted))
        except ConditionFailedError as unmet:
            item = self._extend_after_a_look(unmet, hold, wanted, least)
        lease = item.balance.leases[hold.hold_id]
        self._opened.put(hold.hold_id, replace(opened, shard=item.shard, lease=lease))
        return lease.micro_usd

    def _extend_after_a_look(self, met: ConditionFailedError, hold: Hold, wanted: int, least: int) -> KeyItem:
        tries = attempts()
        while True:
            next(tries)
            item = self._holder(met, hold)
            if item is None:
                raise AuthenticationError from met
            held = item.balance.leases.get(hold.hold_id)
            if held is not None and held.micro_usd > hold.micro_usd:
                return item  # a write of ours whose answer was lost
            try:
                after = limits.extend(item.balance, item.account.record.limits, hold.hold_id, wanted, least)
                return self._table.update(informed_extension(self._table.name, item, after, hold.hold_id))
            except ExceededError as exceeded:
                raise RefusedError(exceeded.kind, item.account) from None
            except ConditionFailedError as unmet:
                met = unmet

    def settle(self, record: UsageRecord, hold: Hold) -> bool:
        """Two writes: the record first, then the key's item. Where the record is there already, it says what was used.

        Whatever breaks off between the two is put right by whoever settles again or closes the hold when it has ended.
        """
        there = self._table.put_if_absent(usage_item(record))
        released = self._release(hold, record if there is None else read_usage(there))
        self._opened.delete(hold.hold_id)
        return there is None or released

    def _admit_at(self, shard: int, hold: Hold) -> KeyItem:
        try:
            return self._table.update(admission(self._table.name, shard, hold))
        except ConditionFailedError as unmet:
            met = unmet
        tries = attempts()
        while True:
            next(tries)
            if met.item is None:
                raise AuthenticationError from met
            item = read_key(met.item)
            self._shards.put(hold.key.key_id, item.record.shards)
            try:
                return self._after_a_look(item, hold)
            except ConditionFailedError as unmet:
                met = unmet
            except RefusedError as refused:
                raise ShardRefusedError(refused, item) from None

    def _after_a_look(self, item: KeyItem, hold: Hold) -> KeyItem:
        """The item with the hold in it. Raises ConditionFailedError where the item has changed since it was read."""
        if item.revision is None:
            item = self._table.update(backfill(self._table.name, item))
        item = self._without_ended(item, hold)
        after = core.decide(item.account, hold).balance
        if _is_in(item.state, hold.hold_id):
            return item  # a write of ours whose answer was lost
        return self._table.update(informed_admission(self._table.name, item, after, hold))

    def _without_ended(self, item: KeyItem, hold: Hold) -> KeyItem:
        """Close ended holds, unless the request is refused for a reason that this cannot change."""
        ended = overdue(item.state, hold.opened_at)[:CLOSED_AT_ONCE]
        if not ended:
            return item
        try:
            core.decide(item.account, hold)
        except RefusedError as refused:
            if refused.kind not in CURABLE:
                raise
        state = item.state
        for hold_id in ended:
            found = self._table.get(usage_place(item.record.key_id, hold_id))
            state = closed(state, hold_id, read_usage(found) if found else None)
        return self._let_go(item, state)

    def _account(self, item: KeyItem, hold: Hold) -> Account:
        """How the key stands. Of a key with shards one was seen; the others are taken to stand alike."""
        budget = item.record.limits.budget
        lease = item.balance.leases.get(hold.hold_id, hold.lease)
        self._opened.put(hold.hold_id, Opened(item.shard, lease, budget.per if budget else "total"))
        self._shards.put(item.record.key_id, item.record.shards)
        return Account(item.record, _times(item.balance, item.record.shards))

    def _release(self, hold: Hold, used: UsageRecord) -> bool:
        opened = self._opened.get(hold.hold_id) or Opened(0, hold.lease, "total")
        change = settlement(hold.hold_id, opened.lease, used, opened.per)
        try:
            self._table.update(release(self._table.name, hold.key.key_id, opened.shard, change))
        except ConditionFailedError as unmet:
            met = unmet
        else:
            return True
        tries = attempts()
        while True:
            next(tries)
            item = self._holder(met, hold)
            if item is None or not _is_in(item.state, hold.hold_id):
                return False  # closed already, or the key is gone
            try:
                self._let_go(item, settled(item.state, hold.hold_id, used.tokens, used.cost.micro_usd))
            except ConditionFailedError as unmet:
                met = unmet
            else:
                return True

    def _holder(self, met: ConditionFailedError, hold: Hold) -> KeyItem | None:
        """The key's item that has the hold, or else the one that was met; None where there is none of these."""
        item = read_key(met.item) if met.item else None
        if item is None or item.record.shards == 1 or _is_in(item.state, hold.hold_id):
            return item
        items = self._table.key(hold.key.key_id)
        return next((other for other in items if _is_in(other.state, hold.hold_id)), item)

    def _let_go(self, item: KeyItem, after: KeyState) -> KeyItem:
        change = difference(item.state, after)
        return self._table.update(release(self._table.name, item.record.key_id, item.shard, change))


def _is_in(state: KeyState, hold_id: str) -> bool:
    return hold_id in state.balance.leases or hold_id in state.late


def _of_all(refusals: Sequence[ShardRefusedError], hold: Hold) -> RefusedError:
    """The refusal of a key all of whose shards have refused, or of whom one speaks for all."""
    record, first = refusals[0].item.record, refusals[0].because
    if len(refusals) < record.shards:
        return RefusedError(first.kind, Account(record, _times(first.account.balance, record.shards)))
    balance = combined_balance([refusal.because.account for refusal in refusals], record.limits, hold.opened_at)
    return RefusedError(first.kind, Account(record, balance))


def _times(balance: Balance, shards: int) -> Balance:
    return replace(
        balance,
        requests_left=balance.requests_left * shards,
        tokens_left=balance.tokens_left * shards,
        budget_left=balance.budget_left * shards,
    )
