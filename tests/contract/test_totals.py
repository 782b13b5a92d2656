"""Daily totals, in both stores: what the records add up to, whenever and by however many they are read."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace

import pytest

from contract.bench import Time
from contract.examples import KEY_ID, hold, request_id, usage
from contract.wire import Wire
from tollgate.gateway.metering import NO_COST, Cost, UsageRecord
from tollgate.gateway.ports import Store
from tollgate.gateway.usage_totals import DAY_SECONDS, DailyTotal, daily_totals, day_of
from tollgate.stores.dynamodb.store import DynamoDBStore
from tollgate.stores.dynamodb.usage import FOLD_AFTER, FOLD_BATCH

TODAY = day_of(Time().now)
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
]


async def settle(store: Store, records: Iterable[UsageRecord]) -> None:
    await asyncio.gather(*(store.settle(each, hold(each.request_id)) for each in records))


def in_order(totals: Iterable[DailyTotal]) -> list[DailyTotal]:
    return sorted(totals, key=lambda daily: (daily.key_id, daily.day, daily.model))


async def totals(store: Store, first: int = TODAY - 30, last: int = TODAY + 1) -> list[DailyTotal]:
    return in_order(await store.totals(KEY_ID, first, last))


async def test_nothing_used_adds_up_to_nothing(store: Store, time: Time) -> None:
    assert await totals(store) == []


async def test_totals_are_what_the_records_add_up_to(store: Store, time: Time) -> None:
    time.now = NOON
    await settle(store, MIXED)
    for _ in range(3):
        assert await totals(store) == in_order(daily_totals(MIXED))


async def test_records_that_come_between_two_readers_are_counted_once(store: Store, time: Time) -> None:
    """Time goes on by half an hour at each look, so that every record is young first and folded later."""
    made: list[UsageRecord] = []
    time.now = NOON
    for number in range(8):
        made.append(record(number, time.now, "fast" if number % 3 else "slow"))
        await settle(store, made[-1:])
        assert await totals(store) == in_order(daily_totals(made))
        time.now += 1800


async def test_several_readers_at_once_count_nothing_twice(store: Store, time: Time) -> None:
    time.now = NOON
    await settle(store, MIXED)
    found = await asyncio.gather(*(totals(store) for _ in range(8)))
    assert found == [in_order(daily_totals(MIXED))] * 8


@pytest.mark.parametrize(("first", "last"), [(-1, -1), (-2, -1), (0, 0), (-40, -35), (1, 1)])
async def test_only_the_days_asked_for(store: Store, time: Time, first: int, last: int) -> None:
    time.now = NOON
    await settle(store, MIXED)
    wanted = [each for each in daily_totals(MIXED) if TODAY + first <= each.day <= TODAY + last]
    for _ in range(2):
        assert await totals(store, TODAY + first, TODAY + last) == in_order(wanted)


async def test_what_another_key_used_is_not_in_them(store: Store, time: Time) -> None:
    time.now = NOON
    await settle(store, [replace(MIXED[0], key_id="ffffffffffff"), MIXED[1]])
    assert await totals(store) == in_order(daily_totals([MIXED[1]]))


@pytest.mark.usefixtures("crowded")
async def test_many_models_and_many_records_are_folded_in_several_steps(
    dynamodb_store: DynamoDBStore, time: Time
) -> None:
    time.now = NOON
    made = [record(number, NOON - DAY_SECONDS + number, f"model {number % 200}") for number in range(FOLD_BATCH + 100)]
    await settle(dynamodb_store, made)
    assert await totals(dynamodb_store) == in_order(daily_totals(made))


async def test_what_was_folded_is_not_read_again(dynamodb_store: DynamoDBStore, time: Time, wire: Wire) -> None:
    time.now = NOON
    await settle(dynamodb_store, [record(number, NOON - DAY_SECONDS + number) for number in range(50)])
    before = await totals(dynamodb_store)
    wire.asked.clear()
    assert await totals(dynamodb_store) == before
    assert set(wire.operations) == {"GetItem", "Query"}
    assert len(wire.operations) == 5  # the mark twice, what could be folded, the totals, what is young
