"""Expired holds in both stores: the next request of the key releases what they reserved."""

import asyncio
from dataclasses import replace

import pytest

from contract.examples import BY, KEY_ID, MINUTE, NOW, budget, hold, key, request_id, usage
from contract.store_state import balance, open_holds
from tollgate.gateway.admission import RefusedError
from tollgate.gateway.limits import Limits
from tollgate.gateway.store_ports import Store

LIMITS = {"rpm": 100, "tpm": 1000, "concurrency": 1, "budget": budget("1")}
EXPIRED = hold("expired", tokens=600, micro_usd=700_000, expires_at=NOW + 10)


@pytest.fixture
async def busy(store: Store) -> Store:
    await store.create(key(limits=LIMITS), BY)
    await store.admit(EXPIRED)
    return store


async def test_hold_is_kept_until_it_expires(busy: Store) -> None:
    with pytest.raises(RefusedError, match="concurrency"):
        await busy.admit(hold("next", opened_at=NOW + 9.999))


@pytest.mark.parametrize("requested", [{}, {"tokens": 1000}, {"micro_usd": 1_000_000}])
async def test_expired_hold_is_released_within_its_window(busy: Store, requested: dict[str, int]) -> None:
    after = (await busy.admit(hold("next", opened_at=NOW + 10, **requested))).balance
    assert set(after.leases) == {"next"}
    assert after.requests_left == 98
    assert after.tokens_left == 1000 - requested.get("tokens", 0)
    assert after.budget_left == 1_000_000 - requested.get("micro_usd", 0)


async def test_expired_hold_releases_slot_and_money_in_a_later_window(busy: Store) -> None:
    after = (await busy.admit(hold("next", opened_at=NOW + 100))).balance
    assert set(after.leases) == {"next"}
    assert (after.tokens_left, after.budget_left) == (1000, 1_000_000)


async def test_late_settlement_is_charged(busy: Store) -> None:
    await busy.admit(hold("next", opened_at=NOW + 10, tokens=100))
    assert await busy.settle(usage("expired", tokens=50, usd="0.25", latency_ms=11_000), EXPIRED) is True
    assert await busy.settle(usage("expired", tokens=50, usd="0.25", latency_ms=11_000), EXPIRED) is False
    after = await balance(busy)
    assert (after.tokens_left, after.budget_left) == (850, 750_000)
    assert set(after.leases) == {"next"}


async def test_settlement_after_late_kept_only_writes_the_record(busy: Store) -> None:
    await busy.admit(hold("a", opened_at=NOW + 10, expires_at=NOW + 20))
    await busy.admit(hold("b", opened_at=NOW + 10 + 3600))
    before = await balance(busy)
    assert await busy.settle(usage("expired", usd="0.25"), EXPIRED) is True
    assert await balance(busy) == before
    assert await busy.usage_of(KEY_ID, "expired") == usage("expired", usd="0.25")


async def test_concurrently_closed_holds_are_released_once(store: Store) -> None:
    await store.create(key(limits={"rpm": 1000, "tpm": 20_000, "budget": budget("1")}), BY)
    expired = [hold(request_id(i), tokens=1000, micro_usd=50_000, expires_at=NOW + 10) for i in range(20)]
    await asyncio.gather(*(store.admit(each) for each in expired))
    assert (await balance(store)).budget_left == 0
    late = [hold(f"next {i}", tokens=500, micro_usd=1000, opened_at=MINUTE + 30.0) for i in range(20)]
    await asyncio.gather(*(store.admit(each) for each in late))
    after = await balance(store)
    assert (after.tokens_left, after.budget_left) == (10_000, 980_000)
    assert await open_holds(store) == {each.hold_id for each in late}


async def test_change_of_a_key_closes_no_hold(busy: Store) -> None:
    await busy.update(KEY_ID, lambda record: replace(record, limits=Limits(concurrency=2)), BY)
    assert await open_holds(busy) == {"expired"}
