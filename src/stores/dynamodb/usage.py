"""Usage on the table: records as they are read back, and daily totals, into which old records are folded once.

A record is folded when no request can be open any more that began as early: then no older one can come after it. What
is younger is added up anew for each reader. Folding is one transaction with a mark of how far it has come, so that of
several readers at once one folds, and nothing is counted twice.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from tollgate.gateway.metering import UsageRecord
from tollgate.gateway.usage_totals import DAY_SECONDS, DailyTotal, daily_totals, merge_totals
from tollgate.stores.dynamodb.expressions import Update
from tollgate.stores.dynamodb.items import (
    attribute,
    counts_of,
    daily_place,
    folded_place,
    plain,
    read_daily,
    read_usage,
    usage_partition,
)
from tollgate.stores.dynamodb.table import Table
from tollgate.stores.retention import USAGE_KEPT, request_ids

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

FOLDED_AFTER = 3600
"""Seconds. A function lives 900 at the most, and its last settlement is tried for some more."""
FOLDED_AT_ONCE = 1000
MAX_TOTALS = 90
"""Totals that one transaction changes; it may have 100 actions (API reference, "TransactWriteItems")."""
TOTALS_KEPT = USAGE_KEPT + 2 * DAY_SECONDS


class TableUsage:
    """See `gateway.ports.UsageStore`; these are its blocking calls."""

    def __init__(self, table: Table, now: Callable[[], float]) -> None:
        self._table = table
        self._now = now

    def totals(self, key_id: str, first: int, last: int) -> Sequence[DailyTotal]:
        """See `UsageStore.totals`. Folds what is old enough, and reads the rest."""
        mark = self._mark(key_id)
        while (further := self._fold(key_id, mark)) != mark:
            mark = further
        while True:
            first_place, last_place = (plain(daily_place(key_id, day)["sk"]) for day in (first, last + 1))
            items = self._table.query(usage_partition(key_id), first_place, last_place, consistent=True)
            kept = [read_daily(item) for item in items]
            _, end = request_ids(0, (last + 1) * DAY_SECONDS)
            young = daily_totals(self._records(key_id, mark, end))
            if (further := self._mark(key_id)) == mark:
                return merge_totals([*kept, *(daily for daily in young if first <= daily.day <= last)])
            mark = further

    def _mark(self, key_id: str) -> str:
        """The id of the last request that was folded; empty before the first."""
        item = self._table.get(folded_place(key_id))
        return plain(item["until"]) if item else ""

    def _records(self, key_id: str, after: str, end: str) -> Iterator[UsageRecord]:
        """The records of the requests with ids above `after`, and up to `end`."""
        first, last = f"REQ#{after}~" if after else "REQ#", f"REQ#{end}"
        if last < first:
            return iter(())  # DynamoDB takes such a range for a fault
        items = self._table.query(usage_partition(key_id), first, last, consistent=True)
        return (read_usage(item) for item in items)

    def _fold(self, key_id: str, mark: str) -> str:
        """Fold the next records behind the mark. The new mark, or the old one where there is nothing to be done."""
        _, end = request_ids(0, self._now() - FOLDED_AFTER)
        records = list(islice(self._records(key_id, mark, end), FOLDED_AT_ONCE))
        while len(totals := daily_totals(records)) > MAX_TOTALS:
            records = records[: len(records) // 2]
        if not records:
            return mark
        moved = Update(self._table.name, folded_place(key_id))
        moved.only_if("#until = :mark" if mark else "attribute_not_exists(pk)")
        moved.set("#until = :until")
        moved.values({":until": attribute(records[-1].request_id), **({":mark": attribute(mark)} if mark else {})})
        changes: list[TransactWriteItemTypeDef] = [{"Update": self._added(total).action()} for total in totals]
        self._table.transact({"Update": moved.action()}, *changes)
        return self._mark(key_id)

    def _added(self, daily: DailyTotal) -> Update:
        update = Update(self._table.name, daily_place(daily.key_id, daily.day, daily.model))
        update.set("#model = :model", "#ttl = :ttl")
        update.values({":model": attribute(daily.model)})
        update.values({":ttl": attribute((daily.day + 1) * DAY_SECONDS + TOTALS_KEPT)})
        for name, count in counts_of(daily.total).items():
            update.add(f"#{name} :{name}")
            update.values({f":{name}": attribute(count)})
        return update
