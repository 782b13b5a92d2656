"""Usage records, in both stores, as they are read back."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from contract.bench import Time, records
from contract.examples import KEY_ID, MINUTE, hold, request_id, usage
from tollgate.gateway.metering import UsageRecord
from tollgate.gateway.ports import Store
from tollgate.stores.retention import USAGE_KEPT


def at(seconds: float, number: int = 0) -> UsageRecord:
    """A record of a request that began then, and whose id was made some milliseconds before."""
    return usage(request_id(number, seconds - 0.004), started_at=seconds)


async def settled(store: Store, *of: UsageRecord) -> None:
    await asyncio.gather(*(store.settle(record, hold(record.request_id)) for record in of))


async def test_a_key_without_records_has_none(store: Store) -> None:
    assert await records(store) == []
    assert await store.usage_of(KEY_ID, request_id(1)) is None


async def test_records_come_oldest_first(store: Store) -> None:
    first, second, third = at(MINUTE + 0.5), at(MINUTE + 1.5), at(MINUTE + 7000.0)
    await settled(store, third, first, second)
    assert await records(store) == [first, second, third]


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [(0, 100, [0, 1, 2]), (10, 20, [1]), (10.001, 20.001, [2]), (5, 10, []), (20, 20, []), (-1000, -900, [])],
)
async def test_they_are_found_by_when_their_requests_began(
    store: Store, start: float, end: float, found: list[int]
) -> None:
    made = [at(MINUTE + 0.0), at(MINUTE + 10.0), at(MINUTE + 20.0)]
    await settled(store, *made)
    assert await records(store, start=MINUTE + start, end=MINUTE + end) == [made[i] for i in found]


async def test_records_of_other_keys_are_not_among_them(store: Store) -> None:
    await settled(store, usage(request_id(1), key_id="ffffffffffff"), usage(request_id(2)))
    assert await records(store) == [usage(request_id(2))]
    assert await records(store, "ffffffffffff") == [usage(request_id(1), key_id="ffffffffffff")]
    assert await store.usage_of(KEY_ID, request_id(1)) is None


@pytest.mark.usefixtures("crowded")
async def test_more_records_than_are_read_at_once_all_come(store: Store) -> None:
    made = [at(MINUTE + i, i) for i in range(1100)]
    await settled(store, *made)
    assert await records(store, start=MINUTE, end=MINUTE + 1100) == made


async def test_a_reader_may_stop(store: Store) -> None:
    await settled(store, *[at(MINUTE + i, i) for i in range(5)])
    async for record in store.usage(KEY_ID, MINUTE, MINUTE + 10):
        assert record == at(MINUTE, 0)
        break


async def test_records_are_kept_for_thirty_days(store: Store, time: Time) -> None:
    old, young = at(MINUTE + 0.0), at(MINUTE + 100.0)
    await settled(store, old, young)
    time.now = old.started_at + USAGE_KEPT - 1
    assert await records(store) == [old, young]
    time.now = old.started_at + USAGE_KEPT
    assert await records(store) == [young]
    assert await store.usage_of(KEY_ID, old.request_id) is None
    assert await store.usage_of(KEY_ID, young.request_id) == young


async def test_a_file_does_not_grow_for_ever(sqlite: Store, time: Time, database: Path) -> None:
    await settled(sqlite, *[at(MINUTE + i, i) for i in range(5)])
    time.now = MINUTE + 2 * USAGE_KEPT
    new = at(time.now, 9)
    await settled(sqlite, new)
    with closing(sqlite3.connect(database)) as file:
        assert file.execute("SELECT request_id FROM usage").fetchall() == [(new.request_id,)]
