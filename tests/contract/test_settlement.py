"""Settlement in both stores: one record per request, and the release of what was not used."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from contract.examples import BY, KEY_ID, MINUTE, NOW, REQUEST, budget, hold, key, request_id, usage
from contract.store_state import balance, open_holds, records
from tollgate.gateway.limits import Budget, Limits
from tollgate.gateway.metering import Cost, UsageRecord
from tollgate.gateway.store_ports import Store
from tollgate.gateway.types import Usage

LIMITS = {"rpm": 10, "tpm": 1000, "concurrency": 2, "budget": budget("1", "day")}
HELD = hold(tokens=500, micro_usd=300_000)
DAY = 86_400


async def admit_held(store: Store) -> None:
    await store.create(key(limits=LIMITS), BY)
    await store.admit(HELD)


async def test_settlement_releases_the_hold_and_writes_one_record(store: Store) -> None:
    await admit_held(store)
    await store.admit(hold("other"))
    assert await store.settle(usage(), HELD) is True
    assert await open_holds(store) == {"other"}
    assert await records(store) == [usage()]
    assert await store.usage_of(KEY_ID, REQUEST) == usage()


@pytest.mark.parametrize(("tokens", "usd"), [(0, "0"), (120, "0.01"), (500, "0.3"), (800, "0.5"), (5000, "7.000001")])
async def test_settlement_charges_the_actual_usage(store: Store, tokens: int, usd: str) -> None:
    await admit_held(store)
    await store.settle(usage(tokens=tokens, usd=usd), HELD)
    after = await balance(store)
    assert after.requests_left == 9
    assert after.tokens_left == 1000 - tokens
    assert after.budget_left == 1_000_000 - int(Decimal(usd) * 1_000_000)


async def test_unknown_cost_is_not_charged(store: Store) -> None:
    await admit_held(store)
    await store.settle(usage(usage=None, cost=Cost(None, "unknown")), HELD)
    after = await balance(store)
    assert (after.tokens_left, after.budget_left) == (1000, 1_000_000)


async def test_repeated_settlement_changes_nothing(store: Store) -> None:
    await admit_held(store)
    assert await store.settle(usage(), HELD) is True
    before = await store.get(KEY_ID)
    assert await store.settle(usage(), HELD) is False
    assert await store.settle(usage(status=500, cost=Cost(Decimal(99), "provider")), HELD) is False
    assert await records(store) == [usage()]
    assert await store.get(KEY_ID) == before


async def test_concurrent_settlements_are_charged_once(store: Store) -> None:
    await admit_held(store)
    outcomes = await asyncio.gather(*(store.settle(usage(tokens=100, usd="0.1"), HELD) for _ in range(50)))
    assert any(outcomes)
    assert await records(store) == [usage(tokens=100, usd="0.1")]
    after = await balance(store)
    assert (after.leases, after.tokens_left, after.budget_left) == ({}, 900, 900_000)


@pytest.mark.parametrize("turned", [False, True])
async def test_tokens_of_a_past_window_are_not_returned(store: Store, turned: bool) -> None:
    await admit_held(store)
    if turned:
        await store.admit(hold("next", opened_at=NOW + 60, tokens=10))
    await store.settle(usage(tokens=100, usd="0.1", latency_ms=65_000), HELD)
    after = (await store.admit(hold("after", opened_at=NOW + 66, tokens=10))).balance
    assert after.tokens_left == 1000 - 10 * (1 + turned)
    assert after.budget_left == 900_000


@pytest.mark.parametrize("turned", [False, True])
async def test_money_of_a_past_day_is_not_returned(store: Store, turned: bool) -> None:
    await admit_held(store)
    long_hold = hold("long", tokens=1, micro_usd=200_000, expires_at=NOW + 2 * DAY)
    await store.admit(long_hold)
    await store.settle(usage(), HELD)
    if turned:
        await store.admit(hold("next", opened_at=NOW + DAY, micro_usd=1))
    await store.settle(usage("long", usd="0.1", latency_ms=DAY * 1000 + 1), long_hold)
    after = (await store.admit(hold("after", opened_at=NOW + DAY + 2, micro_usd=1))).balance
    assert after.budget_left == 1_000_000 - 1 - turned


@pytest.mark.parametrize("per", ["month", "total"])
async def test_money_of_a_longer_budget_is_returned_the_next_day(store: Store, per: str) -> None:
    await store.create(key(limits={"budget": budget("1", per)}), BY)  # type: ignore[arg-type]
    long_hold = hold("long", micro_usd=200_000, expires_at=NOW + 2 * DAY)
    await store.admit(long_hold)
    await store.admit(hold("next", opened_at=NOW + DAY))
    await store.settle(usage("long", usd="0.1", latency_ms=DAY * 1000 + 1), long_hold)
    assert (await balance(store)).budget_left == 900_000


@pytest.mark.parametrize(
    ("new", "left"),
    [
        (budget("5", "day"), 4_900_000),
        (budget("5", "month"), 4_900_000),
        (budget("5"), 4_900_000),
        (budget("0.1", "day"), 0),
    ],
)
async def test_hold_is_settled_to_the_current_budget(store: Store, new: Budget, left: int) -> None:
    await admit_held(store)
    await store.update(KEY_ID, lambda record: replace(record, limits=Limits(budget=new)), BY)
    await store.settle(usage(usd="0.1"), HELD)
    assert (await balance(store)).budget_left == left


async def test_money_of_a_past_day_is_returned_to_a_longer_budget(store: Store) -> None:
    await admit_held(store)
    await store.update(KEY_ID, lambda record: replace(record, limits=Limits(budget=budget("5"))), BY)
    await store.settle(usage(usd="0.1", latency_ms=DAY * 1000), HELD)
    assert (await balance(store)).budget_left == 4_900_000


async def test_concurrent_requests_of_one_key_are_settled(store: Store) -> None:
    async def one(number: int) -> bool:
        requested = hold(request_id(number), tokens=100, micro_usd=1000)
        await store.admit(requested)
        return await store.settle(usage(request_id(number), tokens=number, usd=f"0.0000{number:02d}"), requested)

    await store.create(key(limits={"tpm": 100_000, "budget": budget("1")}), BY)
    assert all(await asyncio.gather(*(one(i) for i in range(40))))
    after = await balance(store)
    assert after.leases == {}
    assert after.tokens_left == 100_000 - sum(range(40))
    found = await records(store)
    assert len(found) == 40
    assert 1_000_000 - after.budget_left == sum(record.cost.micro_usd for record in found) == sum(range(40))


async def test_usage_is_recorded_without_a_hold(store: Store) -> None:
    await store.create(key(limits=LIMITS), BY)
    before = await store.get(KEY_ID)
    assert await store.settle(usage(), HELD) is True
    assert await records(store) == [usage()]
    assert await store.get(KEY_ID) == before


async def test_usage_of_a_deleted_key_is_recorded(store: Store) -> None:
    await admit_held(store)
    await store.delete(KEY_ID, BY)
    assert await store.settle(usage(), HELD) is True
    assert await store.settle(usage(), HELD) is False
    assert await records(store) == [usage()]
    assert await store.get(KEY_ID) is None


@pytest.mark.parametrize("usd", ["0", "0.000001", "0.1", "1234567.890123", "9007199254.740993"])
async def test_money_is_stored_to_the_micro_dollar(store: Store, usd: str) -> None:
    record = usage(usage=Usage(1, 2, cost_usd=Decimal(usd)), cost=Cost(Decimal(usd), "provider"), estimated=True)
    await store.settle(record, HELD)
    assert await store.usage_of(KEY_ID, REQUEST) == record


async def test_unknown_values_stay_unknown(store: Store) -> None:
    record = usage(
        usage=None,
        cost=Cost(None, "unknown"),
        finish_reason=None,
        error_code="timeout",
        time_to_first_token_ms=None,
        upstream_ms=None,
        streamed=False,
        status=504,
    )
    await store.settle(record, HELD)
    assert await records(store) == [record]


async def test_cancelled_caller_gets_the_result_before_the_cancellation(store: Store) -> None:
    await store.create(key(limits=LIMITS), BY)
    results: list[bool] = []

    async def caller() -> None:
        await store.admit(HELD)
        results.append(True)
        await asyncio.sleep(60)

    task = asyncio.create_task(caller())
    await asyncio.sleep(0)  # the call has started
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert results == [True]
    assert await open_holds(store) == {REQUEST}


def test_minute_of_the_examples_begins_a_window() -> None:
    assert MINUTE % 60 == 0
    assert isinstance(usage(), UsageRecord)
