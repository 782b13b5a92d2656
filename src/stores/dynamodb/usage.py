"""Usage records in the table, and the daily totals that old records are folded into.

A record is folded, once, when no request that began as early can still be open, so that no older record can follow.
Younger records are added up at each read. Folding is one transaction with a marker of the last folded record: of
several concurrent readers one folds, and nothing is counted twice.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

from tollgate.gateway.metering import UsageRecord
from tollgate.gateway.usage_totals import DAY_SECONDS, DailyTotal, daily_totals, merge_totals
from tollgate.stores.dynamodb.attribute_values import Item, from_attribute, to_attribute
from tollgate.stores.dynamodb.base import TableStore, in_full
from tollgate.stores.dynamodb.items import (
    daily_total_primary_key,
    daily_total_sort_key,
    fold_marker_primary_key,
    read_daily_total,
    read_usage_record,
    total_counters,
    usage_partition,
    usage_primary_key,
    usage_sort_key,
)
from tollgate.stores.dynamodb.table import ConditionFailedError
from tollgate.stores.dynamodb.writes import Update
from tollgate.stores.retention import USAGE_KEPT, is_kept, request_ids

FOLD_AFTER = 3600
"""Seconds. A function runs 900 at most, and its last settlement is retried for some more."""
MAX_TOTALS = 90
"""Totals that one transaction changes; it may have 100 actions (API reference, "TransactWriteItems")."""
TOTALS_KEPT = USAGE_KEPT + 2 * DAY_SECONDS


class DynamoDBUsageStore(TableStore):
    """`gateway.store_ports.UsageStore` on the table."""

    async def usage(self, key_id: str, start: float, end: float) -> AsyncIterator[UsageRecord]:
        """See `UsageStore.usage`, in the order of request ids. A record written a moment ago may be missing."""
        first, last = map(usage_sort_key, request_ids(start, end))
        pages = self._table.query(usage_partition(key_id), first, last, consistent=False)
        while (page := await self.run(_next_page(pages))) is not None:
            for record in map(read_usage_record, page):
                if start <= record.started_at < end and is_kept(record, self._now()):
                    yield record

    @in_full
    async def usage_of(self, key_id: str, request_id: str) -> UsageRecord | None:
        """See `UsageStore.usage_of`."""
        item = await self._table.get(usage_primary_key(key_id, request_id))
        record = read_usage_record(item) if item else None
        return record if record and is_kept(record, self._now()) else None

    @in_full
    async def recent(self, key_id: str, before: str, limit: int) -> Sequence[UsageRecord]:
        """See `UsageStore.recent`."""
        first, _ = request_ids(self._now() - USAGE_KEPT, 0)
        last = usage_sort_key(before)
        items = await self._table.last_before(usage_partition(key_id), usage_sort_key(first), last, limit)
        return [record for record in map(read_usage_record, items) if is_kept(record, self._now())]

    @in_full
    async def totals(self, key_id: str, first: int, last: int) -> Sequence[DailyTotal]:
        """See `UsageStore.totals`. Folds the records that are old enough and adds up the others."""
        marker = await self._fold_marker(key_id)
        while (moved := await self._fold(key_id, marker)) != marker:
            marker = moved
        while True:
            sort_keys = daily_total_sort_key(first), daily_total_sort_key(last + 1)
            pages = self._table.query(usage_partition(key_id), *sort_keys, consistent=True)
            folded = [read_daily_total(item) async for page in pages for item in page]
            _, end = request_ids(0, (last + 1) * DAY_SECONDS)
            unfolded: Sequence[DailyTotal] = ()
            async for records in self._records(key_id, marker, end):
                unfolded = merge_totals([*unfolded, *daily_totals(records)])
            if (moved := await self._fold_marker(key_id)) == marker:
                return merge_totals([*folded, *(daily for daily in unfolded if first <= daily.day <= last)])
            marker = moved

    async def _fold_marker(self, key_id: str) -> str:
        """The id of the last folded request; empty if there is none."""
        item = await self._table.get(fold_marker_primary_key(key_id))
        return from_attribute(item["until"]) if item else ""

    async def _records(self, key_id: str, after: str, end: str) -> AsyncIterator[Sequence[UsageRecord]]:
        """Pages of the records of the requests with ids above `after` and up to `end`."""
        first, last = usage_sort_key(f"{after}~" if after else ""), usage_sort_key(end)
        if last < first:
            return  # DynamoDB rejects such a range
        async for page in self._table.query(usage_partition(key_id), first, last, consistent=True):
            yield [read_usage_record(item) for item in page]

    async def _fold(self, key_id: str, marker: str) -> str:
        """Fold the next page of records after the marker. Returns the new marker, or the same one if there are none."""
        _, end = request_ids(0, self._now() - FOLD_AFTER)
        records = await anext(self._records(key_id, marker, end), ())
        while len(totals := daily_totals(records)) > MAX_TOTALS:
            records = records[: len(records) // 2]
        if not records:
            return marker
        move = Update(fold_marker_primary_key(key_id))
        move.require("#until = :marker" if marker else "attribute_not_exists(pk)")
        move.set("#until = :until")
        move.values({":until": to_attribute(records[-1].request_id)})
        if marker:
            move.values({":marker": to_attribute(marker)})
        with suppress(ConditionFailedError):  # another reader has folded these records
            await self._table.transact(move, *map(_add_to_total, totals))
        return await self._fold_marker(key_id)


async def _next_page(pages: AsyncIterator[Sequence[Item]]) -> Sequence[Item] | None:
    return await anext(pages, None)


def _add_to_total(daily: DailyTotal) -> Update:
    update = Update(daily_total_primary_key(daily.key_id, daily.day, daily.model, daily.provider))
    update.set("#model = :model", "#provider = :provider", "#ttl = :ttl")
    update.values({":model": to_attribute(daily.model), ":provider": to_attribute(daily.provider)})
    update.values({":ttl": to_attribute((daily.day + 1) * DAY_SECONDS + TOTALS_KEPT)})
    for name, count in total_counters(daily.total).items():
        update.add(f"#{name} :{name}")
        update.values({f":{name}": to_attribute(count)})
    return update
