"""Concurrent requests of one key in both stores: limits are exact, and balances agree with the records."""

import asyncio
import random
from collections import Counter
from dataclasses import replace

import pytest

from contract.examples import BY, KEY_ID, MINUTE, NOW, budget, hold, key, request_id, usage
from contract.store_state import balance, outcome_of_admission, records
from tollgate.gateway.admission import Hold
from tollgate.gateway.limits import Limits
from tollgate.gateway.store_ports import Store

pytestmark = pytest.mark.usefixtures("concurrent_requests")


async def outcomes_of(store: Store, holds: list[Hold]) -> Counter[str]:
    return Counter(await asyncio.gather(*(outcome_of_admission(store, requested) for requested in holds)))


async def test_window_of_60_admits_60_of_200_concurrent_requests(store: Store) -> None:
    await store.create(key(limits={"rpm": 60}), BY)
    for window in range(2):  # the first begins with the key, the other with one of the requests
        at = MINUTE + 60.0 * window
        holds = [hold(f"{window} {i}", opened_at=at + i / 10) for i in range(200)]
        assert await outcomes_of(store, holds) == {"admitted": 60, "requests": 140}
    assert (await balance(store)).requests_left == 0


async def test_budget_of_a_dollar_admits_ten_holds_of_ten_cents(store: Store) -> None:
    await store.create(key(limits={"budget": budget("1", "day")}), BY)
    holds = [hold(request_id(i), micro_usd=100_000) for i in range(200)]
    assert await outcomes_of(store, holds) == {"admitted": 10, "budget": 190}
    assert (await balance(store)).budget_left == 0


async def test_tokens_of_a_window_are_used_completely(store: Store) -> None:
    await store.create(key(limits={"tpm": 1000}), BY)
    assert await outcomes_of(store, [hold(request_id(i), tokens=40) for i in range(100)]) == {
        "admitted": 25,
        "tokens": 75,
    }


async def test_concurrency_limit_is_not_exceeded(store: Store) -> None:
    await store.create(key(limits={"concurrency": 10}), BY)
    running = maximum = 0
    outcomes = Counter[str]()

    async def client(number: int) -> None:
        nonlocal running, maximum
        for turn in range(6):
            requested = hold(request_id(number * 100 + turn), opened_at=NOW + turn)
            outcome = await outcome_of_admission(store, requested)
            outcomes[outcome] += 1
            if outcome != "admitted":
                continue
            running += 1
            maximum = max(maximum, running)
            assert len((await balance(store)).leases) <= 10
            await asyncio.sleep(random.uniform(0, 0.01))
            running -= 1  # before the settlement, which releases the slot
            await store.settle(usage(requested.hold_id), requested)

    await asyncio.gather(*(client(i) for i in range(50)))
    assert maximum <= 10
    assert (await balance(store)).leases == {}
    assert outcomes.keys() == {"admitted", "concurrency"}
    assert len(await records(store)) == outcomes["admitted"] >= 10


async def test_rest_of_a_budget_agrees_with_the_records(store: Store) -> None:
    """Concurrent requests, settlements, repeated settlements and changes of the key, over several windows."""
    await store.create(key(limits={"budget": budget("100", "month"), "rpm": 1000}), BY)
    rng = random.Random(7)

    async def client(number: int) -> None:
        for turn in range(5):
            requested = hold(
                request_id(number * 10 + turn),
                opened_at=MINUTE + 30.0 * turn,
                tokens=100,
                micro_usd=rng.randrange(1000),
            )
            await store.admit(requested)
            record = usage(requested.hold_id, usd=f"0.{rng.randrange(3000):06d}", started_at=requested.opened_at)
            await asyncio.gather(store.settle(record, requested), store.settle(record, requested))

    async def owner() -> None:
        for rpm in range(2000, 2005):
            await store.update(KEY_ID, lambda r, rpm=rpm: replace(r, limits=replace(r.limits, rpm=rpm)), BY)
            await asyncio.sleep(0.05)

    await asyncio.gather(owner(), *(client(i) for i in range(30)))
    account = await store.get(KEY_ID)
    assert account is not None
    assert account.record.limits == Limits(rpm=2004, budget=budget("100", "month"))
    spent = sum(record.cost.micro_usd for record in await records(store))
    assert 100_000_000 - account.balance.budget_left == spent > 0
    assert account.balance.leases == {}
