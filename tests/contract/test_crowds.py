"""Many at once on one key, in both stores: limits are exact, and the books agree with the records."""

import asyncio
import random
from collections import Counter
from dataclasses import replace

import pytest

from contract.bench import admitted, balance, records
from contract.examples import BY, KEY_ID, MINUTE, NOW, budget, hold, key, request_id, usage
from tollgate.gateway.admission import Hold
from tollgate.gateway.limits import Limits
from tollgate.gateway.ports import Store

pytestmark = pytest.mark.usefixtures("crowded")


async def crowd(store: Store, holds: list[Hold]) -> Counter[str]:
    return Counter(await asyncio.gather(*(admitted(store, asked) for asked in holds)))


async def test_of_200_at_once_60_get_into_a_window_of_60(store: Store) -> None:
    await store.create(key(limits={"rpm": 60}), BY)
    for window in range(3):  # the first has been opened with the key, the others are opened by the crowd
        at = MINUTE + 60.0 * window
        holds = [hold(f"{window} {i}", opened_at=at + i / 10) for i in range(200)]
        assert await crowd(store, holds) == {"admitted": 60, "requests": 140}
    assert (await balance(store)).requests_left == 0


async def test_a_budget_of_a_dollar_pays_for_ten_holds_of_ten_cents(store: Store) -> None:
    await store.create(key(limits={"budget": budget("1", "day")}), BY)
    holds = [hold(request_id(i), micro_usd=100_000) for i in range(200)]
    assert await crowd(store, holds) == {"admitted": 10, "budget": 190}
    assert (await balance(store)).budget_left == 0


async def test_tokens_are_given_to_the_last_one(store: Store) -> None:
    await store.create(key(limits={"tpm": 1000}), BY)
    assert await crowd(store, [hold(request_id(i), tokens=40) for i in range(100)]) == {"admitted": 25, "tokens": 75}


async def test_never_more_than_ten_at_once(store: Store) -> None:
    await store.create(key(limits={"concurrency": 10}), BY)
    inside = most = 0
    outcomes = Counter[str]()

    async def client(number: int) -> None:
        nonlocal inside, most
        for turn in range(6):
            asked = hold(request_id(number * 100 + turn), opened_at=NOW + turn)
            outcome = await admitted(store, asked)
            outcomes[outcome] += 1
            if outcome != "admitted":
                continue
            inside += 1
            most = max(most, inside)
            assert len((await balance(store)).leases) <= 10
            await asyncio.sleep(random.uniform(0, 0.01))
            inside -= 1  # before it is settled: in truth it ends no later than here
            await store.settle(usage(asked.hold_id), asked)

    await asyncio.gather(*(client(i) for i in range(50)))
    assert most <= 10
    assert (await balance(store)).leases == {}
    assert outcomes.keys() == {"admitted", "concurrency"}
    assert len(await records(store)) == outcomes["admitted"] >= 10


async def test_what_is_left_of_a_budget_is_what_the_records_did_not_take(store: Store) -> None:
    """Requests, settlements, repeated settlements and changes of the key, all at once, over a window's turn."""
    await store.create(key(limits={"budget": budget("100", "month"), "rpm": 1000}), BY)
    chance = random.Random(7)

    async def client(number: int) -> None:
        for turn in range(5):
            asked = hold(
                request_id(number * 10 + turn),
                opened_at=MINUTE + 30.0 * turn,
                tokens=100,
                micro_usd=chance.randrange(1000),
            )
            await store.admit(asked)
            record = usage(asked.hold_id, usd=f"0.{chance.randrange(3000):06d}", started_at=asked.opened_at)
            await asyncio.gather(store.settle(record, asked), store.settle(record, asked))

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
