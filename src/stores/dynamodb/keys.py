"""Keys on the table: every change is one transaction of the key's items and a line of its audit."""

import time
from collections.abc import Callable, Iterator, Sequence, Set
from typing import TYPE_CHECKING, Any

from tollgate.gateway import limits
from tollgate.gateway.admission import Account
from tollgate.gateway.keys import AuditEntry, Change, KeyRecord
from tollgate.stores import key_changes
from tollgate.stores.dynamodb.expressions import Update
from tollgate.stores.dynamodb.items import (
    DELETED,
    LISTED,
    Answer,
    KeyItem,
    attribute,
    audit_item,
    deleted_item,
    key_attributes,
    key_id_at,
    key_item,
    key_place,
    leases,
    read_audit,
    read_key,
)
from tollgate.stores.dynamodb.table import PAUSES, ConditionFailedError, ContentionError, Table, attempts
from tollgate.stores.dynamodb.writes import backfill, rebalance, refill, unchanged
from tollgate.stores.key_state import combined_balance, shard_limits
from tollgate.stores.retention import DELETED_KEPT

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

BATCH = 100  # the most keys that one BatchGetItem takes


class TableKeys:
    """See `gateway.ports.KeyStore`; these are its blocking calls."""

    def __init__(self, table: Table, now: Callable[[], float]) -> None:
        self._table = table
        self._now = now

    def create(self, record: KeyRecord, by: str) -> None:
        key_changes.checked(None, record)
        items = [self._put(key_item(record, shard)) for shard in range(record.shards)]
        if not self._table.transact(*items, self._audited(None, record, record.key_id, by)):
            raise key_changes.taken(record.key_id)

    def get(self, key_id: str) -> Account | None:
        items = self._table.key(key_id)
        if not items:
            return None
        record = items[0].record
        return Account(record, combined_balance([item.account for item in items], record.limits, self._now()))

    def list(self) -> Sequence[KeyRecord]:
        places = list(self._listed(LISTED))
        batches = (places[start : start + BATCH] for start in range(0, len(places), BATCH))
        records = [read_key(item).record for batch in batches for item in self._items(batch)]
        return sorted(records, key=lambda record: (record.created_at, record.key_id))

    def key_ids(self) -> Set[str]:
        deleted = self._listed(DELETED, since=self._now() - DELETED_KEPT)
        return {key_id_at(place) for place in (*self._listed(LISTED), *deleted)}

    def update(self, key_id: str, change: Change, by: str) -> KeyRecord:
        tries = attempts()
        while True:
            next(tries)
            items = self._seen(key_id)
            old = items[0].record
            new = key_changes.checked(old, change(old))
            if new == old:
                return old
            writes = [self._rewritten(item, new) for item in items]
            if self._table.transact(*writes, self._audited(items[0], new, key_id, by)):
                return new

    def reset(self, key_id: str, by: str) -> None:
        tries = attempts()
        while True:
            next(tries)
            items = self._seen(key_id)
            entry = self._put(audit_item(key_id, key_changes.reset(by, self._now()), _next(items[0])))
            if self._table.transact(*map(self._refilled, items), entry):
                return

    def delete(self, key_id: str, by: str) -> None:
        tries = attempts()
        while True:
            next(tries)
            items = self._seen(key_id)
            writes = [*map(self._deleted, items), self._remembered(key_id)]
            if self._table.transact(*writes, self._audited(items[0], None, key_id, by)):
                return

    def audit(self, key_id: str) -> Sequence[AuditEntry]:
        return [read_audit(item) for item in self._table.query(f"AUDIT#{key_id}", "0", ":", consistent=True)]

    def _seen(self, key_id: str) -> Sequence[KeyItem]:
        """The key's items, as this version writes them. Raises KeyNotFoundError."""
        items = self._table.key(key_id)
        if not items:
            raise key_changes.missing(key_id)
        try:
            return [
                item if item.revision is not None else self._table.update(backfill(self._table.name, item))
                for item in items
            ]
        except ConditionFailedError:
            return self._seen(key_id)  # an admission was faster

    def _rewritten(self, item: KeyItem, new: KeyRecord) -> "TransactWriteItemTypeDef":
        before = item.balance
        own = shard_limits(new.limits, new.shards, item.shard)
        after = limits.changed(before, item.account.record.limits, own, self._now())
        update = Update(self._table.name, key_place(new.key_id, item.shard))
        unchanged(update, item)
        rebalance(update, before, after, even_below_zero=True)
        if after.budget_until != before.budget_until:
            update.only_if("#leases = :leases")  # what they hold was taken from the new budget
            update.values({":leases": leases(before.leases)})
        wanted, present = key_attributes(new, item.shard), key_attributes(item.record, item.shard)
        for name, value in wanted.items():
            update.set(f"#{name} = :{name}")
            update.values({f":{name}": value})
        gone = [f"#{name}" for name in present if name not in wanted]
        if new.models != item.record.models:
            gone.append("#known_models")
        update.remove(*gone)
        update.set("#revision = :next")
        update.values({":next": attribute(_next(item))})
        return {"Update": update.action()}

    def _refilled(self, item: KeyItem) -> "TransactWriteItemTypeDef":
        full = limits.full(item.account.record.limits, self._now())
        update = Update(self._table.name, key_place(item.record.key_id, item.shard))
        unchanged(update, item)
        refill(update, full, _next(item))
        return {"Update": update.action()}

    def _deleted(self, item: KeyItem) -> "TransactWriteItemTypeDef":
        return {
            "Delete": {
                "TableName": self._table.name,
                "Key": key_place(item.record.key_id, item.shard),
                "ConditionExpression": "revision = :revision",
                "ExpressionAttributeValues": {":revision": attribute(item.revision or 0)},
            }
        }

    def _remembered(self, key_id: str) -> "TransactWriteItemTypeDef":
        return {"Put": {"TableName": self._table.name, "Item": deleted_item(key_id, self._now())}}

    def _audited(self, old: KeyItem | None, new: KeyRecord | None, key_id: str, by: str) -> "TransactWriteItemTypeDef":
        entry = key_changes.entry(old and old.record, new, by, self._now())
        return self._put(audit_item(key_id, entry, _next(old)))

    def _put(self, item: Any) -> "TransactWriteItemTypeDef":
        return {"Put": {"TableName": self._table.name, "Item": item, "ConditionExpression": "attribute_not_exists(pk)"}}

    def _listed(self, what: str, since: float = 0) -> Iterator[Answer]:
        """The primary keys of what the index lists as that, of those made since then, read page by page."""
        pages = self._table.client.get_paginator("query").paginate(
            TableName=self._table.name,
            IndexName="listed",
            KeyConditionExpression="listed = :listed AND created_at >= :since",
            ExpressionAttributeValues={":listed": attribute(what), ":since": attribute(since)},
            ProjectionExpression="pk, sk",
        )
        return (place for page in pages for place in page["Items"])

    def _items(self, places: Sequence[Answer]) -> Iterator[Answer]:
        """The items at up to BATCH places. Of large items, or of a busy table, DynamoDB leaves some for later."""
        name = self._table.name
        wanted: Any = {name: {"Keys": places, "ConsistentRead": True}}
        for pause in (0, *PAUSES):
            time.sleep(pause)
            answer = self._table.client.batch_get_item(RequestItems=wanted)
            yield from answer["Responses"].get(name, ())
            wanted = answer.get("UnprocessedKeys")
            if not wanted:
                return
        raise ContentionError


def _next(item: KeyItem | None) -> int:
    return 1 + (item.revision or 0 if item else 0)
