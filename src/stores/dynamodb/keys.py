"""API keys and teams in the table. Every change is one transaction of the items and an audit entry.

The first item of a team counts its keys: the count changes in the transaction that moves a key, so that a team with
keys cannot be deleted.
"""

from collections.abc import Sequence, Set

from tollgate.gateway import limits
from tollgate.gateway.admission import Account
from tollgate.gateway.keys import AuditEntry, Change, KeyRecord, is_team_id
from tollgate.stores import key_changes
from tollgate.stores.dynamodb.attribute_values import to_attribute
from tollgate.stores.dynamodb.base import TableStore, in_full
from tollgate.stores.dynamodb.conditional_updates import backfill, change_balance, replace_balance, require_unchanged
from tollgate.stores.dynamodb.items import (
    LISTED_DELETED,
    LISTED_KEY,
    LISTED_TEAM,
    KeyItem,
    audit_item,
    deleted_marker,
    key_attributes,
    key_id_of,
    key_item,
    key_primary_key,
    leases_attribute,
    read_audit_entry,
    read_key,
)
from tollgate.stores.dynamodb.table import MAX_BATCH_KEYS, ConditionFailedError, compare_and_set
from tollgate.stores.dynamodb.writes import Delete, Put, Update, Write
from tollgate.stores.key_state import combined_balance, shard_limits
from tollgate.stores.retention import DELETED_KEPT


class DynamoDBKeyStore(TableStore):
    """`gateway.store_ports.KeyStore` on the table."""

    @in_full
    async def create(self, record: KeyRecord, by: str) -> None:
        """See `KeyStore.create`."""
        key_changes.check(None, record)
        items = [Put(key_item(record, shard)) for shard in range(record.shards)]
        moves = _moves(None, record)
        try:
            await self._table.transact(*items, *moves, self._audit_entry(None, record, record.key_id, by))
        except ConditionFailedError:
            await self._check_team(record.team)
            raise key_changes.key_exists(record.key_id) from None

    @in_full
    async def get(self, key_id: str) -> Account | None:
        """See `KeyStore.get`."""
        items = await self._table.get_shards(key_id)
        if not items:
            return None
        record = items[0].record
        return Account(record, combined_balance([item.account for item in items], record.limits, self._now()))

    @in_full
    async def list(self) -> Sequence[KeyRecord]:
        """See `KeyStore.list`. A key created a moment ago may be missing: the index is eventually consistent."""
        return await self._listed_records(LISTED_KEY)

    @in_full
    async def teams(self) -> Sequence[KeyRecord]:
        """See `KeyStore.teams`. A team created a moment ago may be missing, as in `list`."""
        return await self._listed_records(LISTED_TEAM)

    async def _listed_records(self, listed: str) -> Sequence[KeyRecord]:
        keys = await self._table.query_index(listed)
        batches = (keys[start : start + MAX_BATCH_KEYS] for start in range(0, len(keys), MAX_BATCH_KEYS))
        records = [read_key(item).record for batch in batches for item in await self._table.get_batch(batch)]
        return sorted(records, key=lambda record: (record.created_at, record.key_id))

    @in_full
    async def key_ids(self) -> Set[str]:
        """See `KeyStore.key_ids`. A key created a moment ago may be missing, as in `list`."""
        deleted = await self._table.query_index(LISTED_DELETED, created_since=self._now() - DELETED_KEPT)
        return {key_id_of(key) for key in [*await self._table.query_index(LISTED_KEY), *deleted]}

    @in_full
    async def update(self, key_id: str, change: Change, by: str) -> KeyRecord:
        """See `KeyStore.update`. `change` may be called more than once."""

        async def write(_: object) -> KeyRecord:
            items = await self._read(key_id)
            old = items[0].record
            new = key_changes.check(old, change(old))
            if new.team != old.team:
                await self._check_team(new.team)
            if new != old:
                updates = [self._update_record(item, new) for item in items]
                await self._table.transact(*updates, *_moves(old, new), self._audit_entry(items[0], new, key_id, by))
            return new

        return await compare_and_set(write)

    @in_full
    async def reset(self, key_id: str, by: str) -> None:
        """See `KeyStore.reset`."""

        async def write(_: object) -> None:
            items = await self._read(key_id)
            entry = Put(audit_item(key_id, key_changes.reset_entry(by, self._now()), _next_revision(items[0])))
            await self._table.transact(*map(self._reset_balance, items), entry)

        await compare_and_set(write)

    @in_full
    async def delete(self, key_id: str, by: str) -> None:
        """See `KeyStore.delete`."""

        async def write(_: object) -> None:
            items = await self._read(key_id)
            if items[0].members:
                raise key_changes.team_in_use(key_id, items[0].members)
            writes: list[Write] = [Delete(key_primary_key(key_id, item.shard), item.revision or 0) for item in items]
            writes += _moves(items[0].record, None)
            if not is_team_id(key_id):
                writes.append(Put(deleted_marker(key_id, self._now()), if_absent=False))
            await self._table.transact(*writes, self._audit_entry(items[0], None, key_id, by))

        await compare_and_set(write)

    @in_full
    async def audit(self, key_id: str) -> Sequence[AuditEntry]:
        """See `KeyStore.audit`."""
        pages = self._table.query(f"AUDIT#{key_id}", "0", ":", consistent=True)
        return [read_audit_entry(item) async for page in pages for item in page]

    async def _read(self, key_id: str) -> Sequence[KeyItem]:
        """The key's items, backfilled. Raises KeyNotFoundError, and ConditionFailedError if an admission interferes."""
        items = await self._table.get_shards(key_id)
        if not items:
            raise key_changes.key_not_found(key_id)
        return [item if item.revision is not None else await self._table.update(backfill(item)) for item in items]

    async def _check_team(self, team: str | None) -> None:
        """Raises KeyNotFoundError if there is no such team."""
        if team is not None and await self._table.get(key_primary_key(team)) is None:
            raise key_changes.key_not_found(team)

    def _update_record(self, item: KeyItem, new: KeyRecord) -> Update:
        before = item.balance
        share = shard_limits(new.limits, new.shards, item.shard)
        after = limits.changed(before, item.account.record.limits, share, self._now())
        update = Update(key_primary_key(new.key_id, item.shard))
        require_unchanged(update, item)
        change_balance(update, before, after, allow_negative=True)
        if after.budget_until != before.budget_until:
            update.require("#leases = :leases")  # what they hold was taken from the new budget
            update.values({":leases": leases_attribute(before.leases)})
        attributes, previous = key_attributes(new, item.shard), key_attributes(item.record, item.shard)
        for name, value in attributes.items():
            update.set(f"#{name} = :{name}")
            update.values({f":{name}": value})
        update.remove(*(f"#{name}" for name in previous if name not in attributes))
        if new.models != item.record.models:
            update.remove("#known_models")
        update.set("#revision = :next")
        update.values({":next": to_attribute(_next_revision(item))})
        return update

    def _reset_balance(self, item: KeyItem) -> Update:
        full = limits.full(item.account.record.limits, self._now())
        update = Update(key_primary_key(item.record.key_id, item.shard))
        require_unchanged(update, item)
        replace_balance(update, full, _next_revision(item))
        return update

    def _audit_entry(self, old: KeyItem | None, new: KeyRecord | None, key_id: str, by: str) -> Put:
        entry = key_changes.change_entry(old and old.record, new, by, self._now())
        return Put(audit_item(key_id, entry, _next_revision(old)))


def _moves(old: KeyRecord | None, new: KeyRecord | None) -> list[Write]:
    """The changes of how many keys the teams have, if a key moves between them."""
    left, joined = old and old.team, new and new.team
    return [] if left == joined else [_add_members(team, n) for team, n in ((left, -1), (joined, 1)) if team]


def _add_members(team: str, number: int) -> Update:
    update = Update(key_primary_key(team))
    update.require("attribute_exists(#revision)")
    update.add("#members :number")
    update.values({":number": to_attribute(number)})
    return update


def _next_revision(item: KeyItem | None) -> int:
    return 1 + (item.revision or 0 if item else 0)
