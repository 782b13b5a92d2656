"""Random lives of a key, in both stores and in the core's own arithmetic: all three must come to the same."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from contract.bench import FOREVER, Time, admitted, records
from contract.examples import BY, KEY_ID, MINUTE, budget, hold, key, request_id, usage
from tollgate.gateway import admission, limits
from tollgate.gateway.admission import Account, Hold, RefusedError
from tollgate.gateway.errors import AuthenticationError
from tollgate.gateway.keys import KeyRecord
from tollgate.gateway.limits import Balance, Limits
from tollgate.gateway.metering import UsageRecord
from tollgate.gateway.ports import Store

STEPS = 60
LIVES = 12
LIMITS = [
    Limits(),
    Limits(rpm=3),
    Limits(tpm=500, concurrency=3),
    Limits(rpm=8, tpm=900, concurrency=4, budget=budget("0.002", "day")),
    Limits(budget=budget("0.003", "month"), concurrency=2),
    Limits(rpm=5, budget=budget("0.01")),
]


@dataclass
class Model:
    """What the core says, step by step: `lost` holds are those whose process died, with a record or without."""

    account: Account
    records: dict[str, UsageRecord] = field(default_factory=dict[str, UsageRecord])

    def admit(self, asked: Hold) -> str:
        self.close_ended(asked.opened_at)
        try:
            self.account = admission.decide(self.account, asked)
        except RefusedError as refused:
            return refused.kind
        except AuthenticationError:
            return "unauthorized"
        return "admitted"

    def close_ended(self, now: float) -> None:
        for hold_id in limits.ended(self.account.balance, now):
            self.release(hold_id, self.records.get(hold_id))

    def settle(self, record: UsageRecord) -> bool:
        is_new = record.request_id not in self.records
        self.records.setdefault(record.request_id, record)
        if is_new:
            self.release(record.request_id, record)
        return is_new

    def release(self, hold_id: str, used: UsageRecord | None) -> None:
        tokens, micro_usd = (used.tokens, used.cost.micro_usd) if used else (0, 0)
        of = self.account.record.limits
        balance = limits.release(self.account.balance, of, hold_id, tokens, micro_usd)
        self.account = replace(self.account, balance=balance)

    def update(self, change: Callable[[KeyRecord], KeyRecord], now: float) -> None:
        old, new = self.account.record, change(self.account.record)
        self.account = Account(new, limits.changed(self.account.balance, old.limits, new.limits, now))


class Life:
    """One random sequence of what can happen to a key."""

    def __init__(self, store: Store, time: Time, model: Model, chance: random.Random) -> None:
        self.store = store
        self.time = time
        self.model = model
        self.chance = chance
        self.open: list[Hold] = []
        self.settled: list[tuple[UsageRecord, Hold]] = []
        self.made = 0

    async def step(self) -> None:
        happens = self.chance.choices(
            [self.admit, self.settle, self.wait, self.crash, self.update, self.repeat], [40, 25, 15, 6, 6, 6]
        )
        await happens[0]()
        await self.compare()

    async def admit(self) -> None:
        self.made += 1
        asked = hold(
            request_id(self.made, self.time.now),
            opened_at=self.time.now,
            expires_at=self.time.now + self.chance.choice([20, 100, 900]),
            tokens=self.chance.choice([0, 100, 300]),
            micro_usd=self.chance.choice([0, 400, 1000]),
            model=self.chance.choice(["fast", "slow"]),
            priced=self.chance.random() > 0.1,
        )
        outcome = await admitted(self.store, asked)
        assert outcome == self.model.admit(asked)
        if outcome == "admitted":
            self.open.append(asked)

    async def settle(self) -> None:
        if not self.open:
            return
        asked = self.open.pop(self.chance.randrange(len(self.open)))
        if asked.expires_at <= self.time.now:
            return  # its process is dead, like those that crash
        record = usage(
            asked.hold_id,
            started_at=asked.opened_at,
            latency_ms=round((self.time.now - asked.opened_at) * 1000),
            tokens=self.chance.choice([0, 50, 400]),
            usd=self.chance.choice(["0", "0.0003", "0.0012"]),
        )
        assert await self.store.settle(record, asked) is self.model.settle(record)
        self.settled.append((record, asked))

    async def repeat(self) -> None:
        if self.settled:
            record, asked = self.chance.choice(self.settled)
            again = replace(record, cost=usage(usd="9").cost)
            assert await self.store.settle(again, asked) is self.model.settle(again) is False

    async def wait(self) -> None:
        self.time.now += self.chance.choice([0.5, 5.0, 25.0, 61.0, 1000.0, 40_000.0])

    async def crash(self) -> None:
        if self.open:
            self.open.pop(self.chance.randrange(len(self.open)))

    async def update(self) -> None:
        new, models = self.chance.choice(LIMITS), self.chance.choice([(), ("fa*",), ("*",)])
        status = "active" if self.chance.random() > 0.2 else "revoked"

        def change(record: KeyRecord) -> KeyRecord:
            return replace(record, limits=new, models=models, status=status)

        if change(self.model.account.record) != self.model.account.record:
            self.model.update(change, self.time.now)
        await self.store.update(KEY_ID, change, BY)

    async def compare(self) -> None:
        """What is left is the same, once each side has closed what has ended: stores may put that off."""
        found = await self.store.get(KEY_ID)
        assert found is not None
        assert found.record == self.model.account.record
        theirs = Model(found, self.model.records)
        ours = Model(self.model.account, self.model.records)
        assert self.seen(theirs) == self.seen(ours)

    def seen(self, side: Model) -> Balance:
        side.close_ended(self.time.now)
        return limits.refreshed(side.account.balance, side.account.record.limits, self.time.now)


@pytest.mark.parametrize("seed", range(LIVES))
async def test_the_stores_and_the_core_agree(store: Store, time: Time, seed: int) -> None:
    chance = random.Random(seed)
    time.now = MINUTE + chance.uniform(0, 59)
    record = key(limits={}, created_at=int(time.now))
    await store.create(record, BY)
    life = Life(store, time, Model(Account(record, limits.full(record.limits, record.created_at))), chance)
    for _ in range(STEPS):
        await life.step()
    left = await records(store, KEY_ID, *FOREVER)
    assert left == [life.model.records[record.request_id] for record in left]
    assert len(left) == len(life.model.records)
