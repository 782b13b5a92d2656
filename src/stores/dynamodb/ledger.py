"""Admission and settlement: optimistic conditional updates, and compare-and-set where their conditions fail."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from tollgate.gateway import admission, limits
from tollgate.gateway.admission import Account, Hold, RefusedError, refused_by_team, usage_of_hold
from tollgate.gateway.errors import AuthenticationError
from tollgate.gateway.limits import ExceededError
from tollgate.gateway.metering import UsageRecord
from tollgate.stores.bounded_cache import BoundedCache
from tollgate.stores.dynamodb import conditional_updates as updates
from tollgate.stores.dynamodb.attribute_values import Item
from tollgate.stores.dynamodb.base import TableStore, in_full
from tollgate.stores.dynamodb.client import DynamoDBClient
from tollgate.stores.dynamodb.conditional_updates import OpenHold
from tollgate.stores.dynamodb.items import KeyItem, read_key, read_usage_record, usage_item, usage_primary_key
from tollgate.stores.dynamodb.table import ConditionFailedError, compare_and_set
from tollgate.stores.key_state import (
    KeyState,
    cancelled,
    closed,
    combined_balance,
    multiplied_balance,
    overdue,
    settled,
)

MAX_CLOSED_HOLDS = 25  # ended holds that one admission closes; each costs it a read
FREED_BY_CLOSING = frozenset({"tokens", "concurrency", "open", "budget"})  # refusals that an ended hold may cause
SAME_FOR_ALL_SHARDS = frozenset({"model", "unpriced"})


class ShardRefusedError(Exception):
    """One shard refused a hold because of its share of the key's limits."""

    def __init__(self, cause: RefusedError, item: KeyItem) -> None:
        super().__init__(cause.kind)
        self.cause = cause
        self.item = item


class DynamoDBLedger(TableStore):
    """`gateway.store_ports.Ledger` on the table. A team has an item like a key's, which is written after the key's.

    The number of shards of a key and the open holds are cached to save reads. A process without them reads the item.
    """

    def __init__(self, client: DynamoDBClient, table: str, now: Callable[[], float]) -> None:
        super().__init__(client, table, now)
        self._shard_counts = BoundedCache[int]()
        self._open_holds = BoundedCache[OpenHold]()

    @in_full
    async def admit(self, hold: Hold) -> Account:
        """See `Ledger.admit`. One UpdateItem, one for a team; more if a window begins, holds ended or one fails."""
        item = await self._admit(hold)
        account = self._account(item, hold)
        if item.record.team is None:
            return account
        return await self._admit_to_team(item.record.team, item, account, hold)

    async def _admit_to_team(self, team: str, item: KeyItem, account: Account, hold: Hold) -> Account:
        """Open the hold on the team's account too. If the team refuses it, the key gets back what it reserved.

        Both leases hold the same amount of money: what the team does not have, the key's lease gives back.
        """
        held = item.balance.leases.get(hold.hold_id, hold.lease).micro_usd
        of_team = hold.of_team(team, held)
        try:
            team_item = await self._admit(of_team)
        except RefusedError as refused:
            await self._cancel(item, hold)
            raise refused_by_team(refused, account, hold) from None
        except AuthenticationError:
            await self._cancel(item, hold)
            raise
        account = replace(account, team=self._account(team_item, of_team))
        available = team_item.balance.leases.get(of_team.hold_id, of_team.lease).micro_usd
        if available < held:
            item = await self._shrink(item, hold, available)
            account = replace(account, balance=self._account(item, hold).balance)
        return account

    async def _admit(self, hold: Hold) -> KeyItem:
        """Open a hold on one account. Returns the item that has it."""
        open_hold = self._open_holds.get(hold.hold_id)
        shards = self._shard_counts.get(hold.key.key_id) or 1
        shard = open_hold.shard if open_hold else random.randrange(shards)  # noqa: S311 - distribution, not a secret
        refusals: dict[int, ShardRefusedError] = {}
        while True:
            try:
                return await self._reserve(shard, hold)
            except AuthenticationError:
                if shard == 0 or refusals:
                    raise
                # The key was deleted and created again with fewer shards.
                self._shard_counts.delete(hold.key.key_id)
                shard = 0
            except ShardRefusedError as refused:
                refusals[shard] = refused
                untried = [other for other in range(refused.item.record.shards) if other not in refusals]
                if refused.cause.kind in SAME_FOR_ALL_SHARDS or not untried:
                    raise _combined_refusal(list(refusals.values()), hold) from None
                shard = random.choice(untried)  # noqa: S311

    @in_full
    async def extend(self, hold: Hold, amount: int, minimum: int) -> int:
        """See `Ledger.extend`. One UpdateItem, another one for the team, and one more for each of them whose budget has
        less left than is wanted.
        """
        item = await self._extend(hold, amount, minimum)
        held = item.balance.leases[hold.hold_id].micro_usd
        if hold.team is None:
            return held
        of_team = hold.of_team(hold.team, hold.micro_usd)
        try:
            team_item = await self._extend(of_team, held - hold.micro_usd, minimum)
        except (RefusedError, AuthenticationError):
            await self._shrink(item, hold, hold.micro_usd)
            raise
        available = team_item.balance.leases[of_team.hold_id].micro_usd
        if available < held:
            await self._shrink(item, hold, available)
        return min(available, held)

    async def _extend(self, hold: Hold, amount: int, minimum: int) -> KeyItem:
        """Extend a hold on one account. Returns the item that has it."""
        open_hold = self._open_holds.get(hold.hold_id) or OpenHold(0, hold.lease, "total")
        try:
            item = await self._table.update(updates.extend(hold.key.key_id, hold.hold_id, open_hold, amount))
        except ConditionFailedError as failed:
            item = await compare_and_set(
                lambda found: self._extend_after_read(found, hold, amount, minimum), failed.item
            )
        lease = item.balance.leases[hold.hold_id]
        self._open_holds.put(hold.hold_id, replace(open_hold, shard=item.shard, lease=lease))
        return item

    @in_full
    async def settle(self, record: UsageRecord, hold: Hold) -> bool:
        """See `Ledger.settle`. One PutItem for the record, one UpdateItem of the key's item, and one of the team's.

        If the record exists already, its usage counts. If a call ends between the writes, the next settlement, or
        the admission that closes the ended hold, makes the others.
        """
        existing = await self._table.put_if_absent(usage_item(record))
        used = record if existing is None else read_usage_record(existing)
        released = await self._release(hold, used)
        if hold.team is not None:
            released |= await self._release(hold.of_team(hold.team, hold.micro_usd), used)
        return existing is None or released

    async def _reserve(self, shard: int, hold: Hold) -> KeyItem:
        try:
            return await self._table.update(updates.reserve(shard, hold))
        except ConditionFailedError as failed:
            return await compare_and_set(lambda found: self._reserve_after_read(found, hold), failed.item)

    async def _reserve_after_read(self, found: Item | None, hold: Hold) -> KeyItem:
        if found is None:
            raise AuthenticationError
        item = read_key(found)
        self._shard_counts.put(hold.key.key_id, item.record.shards)
        try:
            if item.revision is None:
                item = await self._table.update(updates.backfill(item))
            item = await self._close_ended_holds(item, hold)
            after = admission.decide(item.account, hold).balance
        except RefusedError as refused:
            raise ShardRefusedError(refused, item) from None
        if _has_hold(item.state, hold.hold_id):
            return item  # written by an attempt whose response was lost
        return await self._table.update(updates.reserve_after_read(item, after, hold))

    async def _close_ended_holds(self, item: KeyItem, hold: Hold) -> KeyItem:
        """Close ended holds, unless `hold` is refused for a reason that closing them cannot change."""
        ended = overdue(item.state, hold.opened_at)[:MAX_CLOSED_HOLDS]
        if not ended:
            return item
        try:
            admission.decide(item.account, hold)
        except RefusedError as refused:
            if refused.kind not in FREED_BY_CLOSING:
                raise
        state = item.state
        for hold_id in ended:
            found = await self._table.get(usage_primary_key(*usage_of_hold(item.record.key_id, hold_id)))
            state = closed(state, hold_id, read_usage_record(found) if found else None)
        return await self._write_release(item, state)

    def _account(self, item: KeyItem, hold: Hold) -> Account:
        """The account after an admission. Of a key with shards, the others are assumed to have as much left."""
        budget = item.record.limits.budget
        lease = item.balance.leases.get(hold.hold_id, hold.lease)
        self._open_holds.put(hold.hold_id, OpenHold(item.shard, lease, budget.per if budget else "total"))
        self._shard_counts.put(item.record.key_id, item.record.shards)
        return Account(item.record, multiplied_balance(item.balance, item.record.shards))

    async def _extend_after_read(self, found: Item | None, hold: Hold, amount: int, minimum: int) -> KeyItem:
        item = await self._item_with_hold(found, hold)
        if item is None:
            raise AuthenticationError
        lease = item.balance.leases.get(hold.hold_id)
        if lease is not None and lease.micro_usd > hold.micro_usd:
            return item  # written by an attempt whose response was lost
        try:
            after = limits.extend(item.balance, item.account.record.limits, hold.hold_id, amount, minimum)
        except ExceededError as exceeded:
            raise RefusedError(exceeded.kind, item.account) from None
        return await self._table.update(updates.extend_after_read(item, after, hold.hold_id))

    async def _release(self, hold: Hold, used: UsageRecord) -> bool:
        """Release a settled hold. False if it was released before or the key is deleted."""
        open_hold = self._open_holds.get(hold.hold_id) or OpenHold(0, hold.lease, "total")
        release = updates.settled_release(hold.hold_id, open_hold, used)
        try:
            await self._table.update_unread(updates.apply_release(hold.key.key_id, open_hold.shard, release))
            released = True
        except ConditionFailedError as failed:

            def settle(state: KeyState) -> KeyState:
                return settled(state, hold.hold_id, used.tokens, used.cost.micro_usd)

            released = await compare_and_set(lambda found: self._release_after_read(found, hold, settle), failed.item)
        self._open_holds.delete(hold.hold_id)
        return released

    async def _cancel(self, item: KeyItem, hold: Hold) -> None:
        """Undo the admission of a hold that this item has."""

        def cancel(state: KeyState) -> KeyState:
            return cancelled(state, hold.hold_id)

        try:
            await self._write_release(item, cancel(item.state))
        except ConditionFailedError as failed:
            await compare_and_set(lambda found: self._release_after_read(found, hold, cancel), failed.item)
        self._open_holds.delete(hold.hold_id)

    async def _release_after_read(
        self, found: Item | None, hold: Hold, release: Callable[[KeyState], KeyState]
    ) -> bool:
        item = await self._item_with_hold(found, hold)
        if item is None or not _has_hold(item.state, hold.hold_id):
            return False
        await self._write_release(item, release(item.state))
        return True

    async def _shrink(self, item: KeyItem, hold: Hold, micro_usd: int) -> KeyItem:
        """Let the lease of a hold that this item has give back what it holds above this amount."""
        try:
            item = await self._write_shrunk(item, hold, micro_usd)
        except ConditionFailedError as failed:
            item = await compare_and_set(lambda found: self._shrink_after_read(found, hold, micro_usd), failed.item)
        open_hold, lease = self._open_holds.get(hold.hold_id), item.balance.leases.get(hold.hold_id)
        if open_hold is not None and lease is not None:
            self._open_holds.put(hold.hold_id, replace(open_hold, lease=lease))
        return item

    async def _shrink_after_read(self, found: Item | None, hold: Hold, micro_usd: int) -> KeyItem:
        item = await self._item_with_hold(found, hold)
        if item is None:
            raise AuthenticationError
        return await self._write_shrunk(item, hold, micro_usd)

    async def _write_shrunk(self, item: KeyItem, hold: Hold, micro_usd: int) -> KeyItem:
        after = limits.shrink(item.balance, item.account.record.limits, hold.hold_id, micro_usd)
        if after == item.balance:
            return item
        return await self._table.update(updates.extend_after_read(item, after, hold.hold_id))

    async def _write_release(self, item: KeyItem, after: KeyState) -> KeyItem:
        release = updates.release_between(item.state, after)
        return await self._table.update(updates.apply_release(item.record.key_id, item.shard, release))

    async def _item_with_hold(self, found: Item | None, hold: Hold) -> KeyItem | None:
        """The key's item that has the hold, or else the item that was found; None if none was found."""
        item = read_key(found) if found else None
        if item is None or item.record.shards == 1 or _has_hold(item.state, hold.hold_id):
            return item
        shards = await self._table.get_shards(hold.key.key_id)
        return next((shard for shard in shards if _has_hold(shard.state, hold.hold_id)), item)


def _has_hold(state: KeyState, hold_id: str) -> bool:
    return hold_id in state.balance.leases or hold_id in state.late


def _combined_refusal(refusals: Sequence[ShardRefusedError], hold: Hold) -> RefusedError:
    """The refusal of a key with the balance of all its shards, or with an estimate if some were not tried."""
    record, first = refusals[0].item.record, refusals[0].cause
    if len(refusals) < record.shards:
        return RefusedError(first.kind, Account(record, multiplied_balance(first.account.balance, record.shards)))
    balance = combined_balance([refusal.cause.account for refusal in refusals], record.limits, hold.opened_at)
    return RefusedError(first.kind, Account(record, balance))
