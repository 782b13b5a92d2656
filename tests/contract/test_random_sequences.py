"""Random sequences of operations on a key, in both stores and in the core's arithmetic, with the same results."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from contract.examples import BY, KEY_ID, MINUTE, budget, hold, key, request_id, usage
from contract.store_state import FOREVER, FakeClock, outcome_of_admission, records
from tollgate.gateway import admission, limits
from tollgate.gateway.admission import Account, Hold, RefusedError
from tollgate.gateway.errors import AuthenticationError
from tollgate.gateway.keys import KeyRecord
from tollgate.gateway.limits import Balance, Limits
from tollgate.gateway.metering import UsageRecord
from tollgate.gateway.store_ports import Store

STEPS = 60
SEEDS = [*range(4), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(4, 12))]
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
    """The expected state, computed with the functions of the core."""

    account: Account
    records: dict[str, UsageRecord] = field(default_factory=dict[str, UsageRecord])

    def admit(self, requested: Hold) -> str:
        self.close_ended(requested.opened_at)
        try:
            self.account = admission.decide(self.account, requested)
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
        key_limits = self.account.record.limits
        balance = limits.release(self.account.balance, key_limits, hold_id, tokens, micro_usd)
        self.account = replace(self.account, balance=balance)

    def update(self, change: Callable[[KeyRecord], KeyRecord], now: float) -> None:
        old, new = self.account.record, change(self.account.record)
        self.account = Account(new, limits.changed(self.account.balance, old.limits, new.limits, now))


class Sequence:
    """One random sequence of operations on a key."""

    def __init__(self, store: Store, clock: FakeClock, model: Model, rng: random.Random) -> None:
        self.store = store
        self.clock = clock
        self.model = model
        self.rng = rng
        self.open: list[Hold] = []
        self.settled: list[tuple[UsageRecord, Hold]] = []
        self.count = 0

    async def step(self) -> None:
        operations = self.rng.choices(
            [self.admit, self.settle, self.wait, self.crash, self.update, self.repeat], [40, 25, 15, 6, 6, 6]
        )
        await operations[0]()
        await self.compare()

    async def admit(self) -> None:
        self.count += 1
        requested = hold(
            request_id(self.count, self.clock.now),
            opened_at=self.clock.now,
            expires_at=self.clock.now + self.rng.choice([20, 100, 900]),
            tokens=self.rng.choice([0, 100, 300]),
            micro_usd=self.rng.choice([0, 400, 1000]),
            model=self.rng.choice(["fast", "slow"]),
            priced=self.rng.random() > 0.1,
        )
        outcome = await outcome_of_admission(self.store, requested)
        assert outcome == self.model.admit(requested)
        if outcome == "admitted":
            self.open.append(requested)

    async def settle(self) -> None:
        if not self.open:
            return
        requested = self.open.pop(self.rng.randrange(len(self.open)))
        if requested.expires_at <= self.clock.now:
            return  # as if its process had crashed
        record = usage(
            requested.hold_id,
            started_at=requested.opened_at,
            latency_ms=round((self.clock.now - requested.opened_at) * 1000),
            tokens=self.rng.choice([0, 50, 400]),
            usd=self.rng.choice(["0", "0.0003", "0.0012"]),
        )
        assert await self.store.settle(record, requested) is self.model.settle(record)
        self.settled.append((record, requested))

    async def repeat(self) -> None:
        if self.settled:
            record, requested = self.rng.choice(self.settled)
            repeated = replace(record, cost=usage(usd="9").cost)
            assert await self.store.settle(repeated, requested) is self.model.settle(repeated) is False

    async def wait(self) -> None:
        self.clock.now += self.rng.choice([0.5, 5.0, 25.0, 61.0, 1000.0, 40_000.0])

    async def crash(self) -> None:
        if self.open:
            self.open.pop(self.rng.randrange(len(self.open)))

    async def update(self) -> None:
        new, models = self.rng.choice(LIMITS), self.rng.choice([(), ("fa*",), ("*",)])
        status = "active" if self.rng.random() > 0.2 else "revoked"

        def change(record: KeyRecord) -> KeyRecord:
            return replace(record, limits=new, models=models, status=status)

        if change(self.model.account.record) != self.model.account.record:
            self.model.update(change, self.clock.now)
        await self.store.update(KEY_ID, change, BY)

    async def compare(self) -> None:
        """The states agree once expired holds are closed on both sides; stores may close them later."""
        found = await self.store.get(KEY_ID)
        assert found is not None
        assert found.record == self.model.account.record
        actual = Model(found, self.model.records)
        expected = Model(self.model.account, self.model.records)
        assert self.current(actual) == self.current(expected)

    def current(self, side: Model) -> Balance:
        side.close_ended(self.clock.now)
        return limits.refreshed(side.account.balance, side.account.record.limits, self.clock.now)


@pytest.mark.parametrize("seed", SEEDS)
async def test_stores_agree_with_the_core(store: Store, clock: FakeClock, seed: int) -> None:
    rng = random.Random(seed)
    clock.now = MINUTE + rng.uniform(0, 59)
    record = key(limits={}, created_at=int(clock.now))
    await store.create(record, BY)
    sequence = Sequence(store, clock, Model(Account(record, limits.full(record.limits, record.created_at))), rng)
    for _ in range(STEPS):
        await sequence.step()
    found = await records(store, KEY_ID, *FOREVER)
    assert found == [sequence.model.records[record.request_id] for record in found]
    assert len(found) == len(sequence.model.records)
