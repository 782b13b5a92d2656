"""Holds that nobody settled in their time, in both stores: what they held comes back with the key's next request."""

import asyncio
from dataclasses import replace

import pytest

from contract.bench import balance, held
from contract.examples import BY, KEY_ID, MINUTE, NOW, budget, hold, key, request_id, usage
from tollgate.gateway.admission import RefusedError
from tollgate.gateway.limits import Limits
from tollgate.gateway.ports import Store

LIMITS = {"rpm": 100, "tpm": 1000, "concurrency": 1, "budget": budget("1")}
LOST = hold("lost", tokens=600, micro_usd=700_000, expires_at=NOW + 10)


@pytest.fixture
async def busy(store: Store) -> Store:
    await store.create(key(limits=LIMITS), BY)
    await store.admit(LOST)
    return store


async def test_until_its_time_it_holds(busy: Store) -> None:
    with pytest.raises(RefusedError, match="concurrency"):
        await busy.admit(hold("next", opened_at=NOW + 9.999))


@pytest.mark.parametrize("asked", [{}, {"tokens": 1000}, {"micro_usd": 1_000_000}])
async def test_all_it_held_comes_back_within_its_window(busy: Store, asked: dict[str, int]) -> None:
    now = (await busy.admit(hold("next", opened_at=NOW + 10, **asked))).balance
    assert set(now.leases) == {"next"}
    assert now.requests_left == 98
    assert now.tokens_left == 1000 - asked.get("tokens", 0)
    assert now.budget_left == 1_000_000 - asked.get("micro_usd", 0)


async def test_its_slot_and_money_come_back_in_a_later_window(busy: Store) -> None:
    now = (await busy.admit(hold("next", opened_at=NOW + 100))).balance
    assert set(now.leases) == {"next"}
    assert (now.tokens_left, now.budget_left) == (1000, 1_000_000)


async def test_one_that_is_settled_late_counts_all_the_same(busy: Store) -> None:
    await busy.admit(hold("next", opened_at=NOW + 10, tokens=100))
    assert await busy.settle(usage("lost", tokens=50, usd="0.25", latency_ms=11_000), LOST) is True
    assert await busy.settle(usage("lost", tokens=50, usd="0.25", latency_ms=11_000), LOST) is False
    now = await balance(busy)
    assert (now.tokens_left, now.budget_left) == (850, 750_000)
    assert set(now.leases) == {"next"}


async def test_one_that_is_settled_too_late_leaves_its_record(busy: Store) -> None:
    await busy.admit(hold("a", opened_at=NOW + 10, expires_at=NOW + 20))
    await busy.admit(hold("b", opened_at=NOW + 10 + 3600))
    before = await balance(busy)
    assert await busy.settle(usage("lost", usd="0.25"), LOST) is True
    assert await balance(busy) == before
    assert await busy.usage_of(KEY_ID, "lost") == usage("lost", usd="0.25")


async def test_many_are_closed_at_once_and_each_gives_back_once(store: Store) -> None:
    await store.create(key(limits={"rpm": 1000, "tpm": 20_000, "budget": budget("1")}), BY)
    lost = [hold(request_id(i), tokens=1000, micro_usd=50_000, expires_at=NOW + 10) for i in range(20)]
    await asyncio.gather(*(store.admit(each) for each in lost))
    assert (await balance(store)).budget_left == 0
    late = [hold(f"next {i}", tokens=500, micro_usd=1000, opened_at=MINUTE + 30.0) for i in range(20)]
    await asyncio.gather(*(store.admit(each) for each in late))
    now = await balance(store)
    assert (now.tokens_left, now.budget_left) == (10_000, 980_000)
    assert await held(store) == {each.hold_id for each in late}


async def test_a_change_of_the_key_closes_none(busy: Store) -> None:
    await busy.update(KEY_ID, lambda record: replace(record, limits=Limits(concurrency=2)), BY)
    assert await held(busy) == {"lost"}
