"""Usage records in both stores: range queries and retention."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from contract.examples import KEY_ID, MINUTE, hold, request_id, usage
from contract.store_state import FakeClock, records
from tollgate.gateway.metering import UsageRecord
from tollgate.gateway.store_ports import Store
from tollgate.stores.retention import USAGE_KEPT


def at(seconds: float, number: int = 0) -> UsageRecord:
    """The record of a request that started then; its id was made some milliseconds before."""
    return usage(request_id(number, seconds - 0.004), started_at=seconds)


async def settle(store: Store, *usage_records: UsageRecord) -> None:
    await asyncio.gather(*(store.settle(record, hold(record.request_id)) for record in usage_records))


async def test_key_without_records_has_none(store: Store) -> None:
    assert await records(store) == []
    assert await store.usage_of(KEY_ID, request_id(1)) is None


async def test_records_are_read_oldest_first(store: Store) -> None:
    first, second, third = at(MINUTE + 0.5), at(MINUTE + 1.5), at(MINUTE + 7000.0)
    await settle(store, third, first, second)
    assert await records(store) == [first, second, third]


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [(0, 100, [0, 1, 2]), (10, 20, [1]), (10.001, 20.001, [2]), (5, 10, []), (20, 20, []), (-1000, -900, [])],
)
async def test_records_are_found_by_the_start_of_their_request(
    store: Store, start: float, end: float, found: list[int]
) -> None:
    made = [at(MINUTE + 0.0), at(MINUTE + 10.0), at(MINUTE + 20.0)]
    await settle(store, *made)
    assert await records(store, start=MINUTE + start, end=MINUTE + end) == [made[i] for i in found]


async def test_records_of_other_keys_are_excluded(store: Store) -> None:
    await settle(store, usage(request_id(1), key_id="ffffffffffff"), usage(request_id(2)))
    assert await records(store) == [usage(request_id(2))]
    assert await records(store, "ffffffffffff") == [usage(request_id(1), key_id="ffffffffffff")]
    assert await store.usage_of(KEY_ID, request_id(1)) is None


async def test_recent_records_are_read_newest_first_in_pages(store: Store) -> None:
    made = [at(MINUTE + i, i) for i in range(5)]
    await settle(store, *made, usage(request_id(9), key_id="ffffffffffff"))
    assert await store.recent(KEY_ID, "req_~", 2) == [made[4], made[3]]
    assert await store.recent(KEY_ID, made[3].request_id, 3) == [made[2], made[1], made[0]]
    assert await store.recent(KEY_ID, made[0].request_id, 3) == []


async def test_expired_records_are_not_recent(store: Store, clock: FakeClock) -> None:
    await settle(store, at(MINUTE), at(MINUTE + 100, 1))
    clock.now = MINUTE + USAGE_KEPT + 50
    assert await store.recent(KEY_ID, "req_~", 5) == [at(MINUTE + 100, 1)]


@pytest.mark.usefixtures("concurrent_requests")
@pytest.mark.slow
async def test_more_records_than_one_batch_are_read(store: Store) -> None:
    made = [at(MINUTE + i, i) for i in range(1100)]
    await settle(store, *made)
    assert await records(store, start=MINUTE, end=MINUTE + 1100) == made


async def test_reader_can_stop_early(store: Store) -> None:
    await settle(store, *[at(MINUTE + i, i) for i in range(5)])
    async for record in store.usage(KEY_ID, MINUTE, MINUTE + 10):
        assert record == at(MINUTE, 0)
        break


async def test_records_are_kept_for_thirty_days(store: Store, clock: FakeClock) -> None:
    old, recent = at(MINUTE + 0.0), at(MINUTE + 100.0)
    await settle(store, old, recent)
    clock.now = old.started_at + USAGE_KEPT - 1
    assert await records(store) == [old, recent]
    clock.now = old.started_at + USAGE_KEPT
    assert await records(store) == [recent]
    assert await store.usage_of(KEY_ID, old.request_id) is None
    assert await store.usage_of(KEY_ID, recent.request_id) == recent


async def test_expired_records_are_deleted_from_the_file(sqlite: Store, clock: FakeClock, database: Path) -> None:
    await settle(sqlite, *[at(MINUTE + i, i) for i in range(5)])
    clock.now = MINUTE + 2 * USAGE_KEPT
    new = at(clock.now, 9)
    await settle(sqlite, new)
    with closing(sqlite3.connect(database)) as file:
        assert file.execute("SELECT request_id FROM usage").fetchall() == [(new.request_id,)]
