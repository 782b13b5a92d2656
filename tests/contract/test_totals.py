"""Daily totals in both stores: the sums of the records at any time and with concurrent readers."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace

import pytest

from contract.examples import KEY_ID, hold, request_id, usage
from contract.store_state import FakeClock
from contract.wire import Wire
from tollgate.gateway.metering import NO_COST, Cost, UsageRecord
from tollgate.gateway.store_ports import Store
from tollgate.gateway.usage_totals import DAY_SECONDS, DailyTotal, daily_totals, day_of
from tollgate.stores.dynamodb.store import DynamoDBStore
from tollgate.stores.dynamodb.usage import FOLD_AFTER

TODAY = day_of(FakeClock().now)
NOON = TODAY * DAY_SECONDS + 43_200.0


def record(number: int, at: float, model: str = "fast", **changes: object) -> UsageRecord:
    return replace(usage(request_id(number, at - 0.004), usd=f"0.{number:06d}", started_at=at, model=model), **changes)  # pyright: ignore[reportArgumentType]


MIXED = [
    record(1, NOON - 2 * DAY_SECONDS),
    record(2, NOON - DAY_SECONDS, error_code="timeout", estimated=True),
    record(3, NOON - DAY_SECONDS + 1, "slow", usage=None, cost=NO_COST),
    record(4, NOON - DAY_SECONDS + 2, cost=Cost(None, "unknown")),
    record(5, NOON - FOLD_AFTER - 600),
    record(6, NOON - 60),
    record(7, NOON - 2 * DAY_SECONDS + 1, provider="elsewhere"),
    record(8, NOON - 30, provider=""),
]


async def settle(store: Store, records: Iterable[UsageRecord]) -> None:
    await asyncio.gather(*(store.settle(each, hold(each.request_id)) for each in records))


def in_order(totals: Iterable[DailyTotal]) -> list[DailyTotal]:
    return sorted(totals, key=lambda daily: (daily.key_id, daily.day, daily.model, daily.provider))


async def totals(store: Store, first: int = TODAY - 30, last: int = TODAY + 1) -> list[DailyTotal]:
    return in_order(await store.totals(KEY_ID, first, last))


async def test_key_without_records_has_no_totals(store: Store, clock: FakeClock) -> None:
    assert await totals(store) == []


async def test_totals_are_the_sums_of_the_records(store: Store, clock: FakeClock) -> None:
    clock.now = NOON
    await settle(store, MIXED)
    for _ in range(3):
        assert await totals(store) == in_order(daily_totals(MIXED))


async def test_records_between_two_reads_are_counted_once(store: Store, clock: FakeClock) -> None:
    """Half an hour passes between two reads, so that every record is first added up and later folded."""
    made: list[UsageRecord] = []
    clock.now = NOON
    for number in range(8):
        made.append(record(number, clock.now, "fast" if number % 3 else "slow"))
        await settle(store, made[-1:])
        assert await totals(store) == in_order(daily_totals(made))
        clock.now += 1800


async def test_concurrent_readers_count_records_once(store: Store, clock: FakeClock) -> None:
    clock.now = NOON
    await settle(store, MIXED)
    found = await asyncio.gather(*(totals(store) for _ in range(8)))
    assert found == [in_order(daily_totals(MIXED))] * 8


@pytest.mark.parametrize(("first", "last"), [(-1, -1), (-2, -1), (0, 0), (-40, -35), (1, 1)])
async def test_totals_have_only_the_requested_days(store: Store, clock: FakeClock, first: int, last: int) -> None:
    clock.now = NOON
    await settle(store, MIXED)
    expected = [each for each in daily_totals(MIXED) if TODAY + first <= each.day <= TODAY + last]
    for _ in range(2):
        assert await totals(store, TODAY + first, TODAY + last) == in_order(expected)


async def test_totals_exclude_other_keys(store: Store, clock: FakeClock) -> None:
    clock.now = NOON
    await settle(store, [replace(MIXED[0], key_id="ffffffffffff"), MIXED[1]])
    assert await totals(store) == in_order(daily_totals([MIXED[1]]))


@pytest.mark.usefixtures("concurrent_requests")
@pytest.mark.slow
async def test_many_records_are_folded_in_several_steps(dynamodb_store: DynamoDBStore, clock: FakeClock) -> None:
    clock.now = NOON
    made = [record(number, NOON - DAY_SECONDS + number, f"model {number % 200}") for number in range(1100)]
    await settle(dynamodb_store, made)
    assert await totals(dynamodb_store) == in_order(daily_totals(made))


async def test_folded_records_are_not_read_again(dynamodb_store: DynamoDBStore, clock: FakeClock, wire: Wire) -> None:
    clock.now = NOON
    await settle(dynamodb_store, [record(number, NOON - DAY_SECONDS + number) for number in range(50)])
    before = await totals(dynamodb_store)
    wire.requests.clear()
    assert await totals(dynamodb_store) == before
    assert set(wire.operations) == {"GetItem", "Query"}
    assert len(wire.operations) == 5  # the marker twice, records to fold, totals, records that are not folded
