"""Random sequences of requests of two keys of one team: both stores agree at each step, and with the usage records."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from contract.examples import BY, KEY_ID, MINUTE, api_key, budget, hold, key, request_id, usage
from contract.store_state import FakeClock, records
from contract.teams import TEAM, team
from tollgate.gateway.admission import Hold, RefusedError
from tollgate.gateway.key_report import current_balance
from tollgate.gateway.limits import Balance, Limits
from tollgate.gateway.metering import UsageRecord
from tollgate.gateway.store_ports import Store
from tollgate.stores.dynamodb.store import DynamoDBStore
from tollgate.stores.sqlite.store import SQLiteStore

STEPS = 60
KEY_IDS = (KEY_ID, "bbbbbbbbbbbb")
LIMITS = [
    Limits(budget=budget("0.01"), rpm=20),
    Limits(budget=budget("0.02"), concurrency=4, tpm=900),
    Limits(budget=budget("0.02")),
]
SEEDS = [*range(4), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(4, 12))]


@dataclass
class Run:
    """The same requests on both stores. `open` are the holds of requests that are not settled."""

    stores: Sequence[Store]
    clock: FakeClock
    rng: random.Random
    open: list[Hold] = field(default_factory=list[Hold])
    count: int = 0

    async def step(self) -> None:
        operations = self.rng.choices(
            [self.admit, self.extend, self.settle, self.crash, self.wait, self.change], [40, 20, 25, 5, 8, 4]
        )
        await operations[0]()
        states = [[await self.state(store, account_id) for account_id in (*KEY_IDS, TEAM)] for store in self.stores]
        assert states[0] == states[1]

    async def admit(self) -> None:
        self.count += 1
        micro_usd, minimum = self.rng.choice([(0, None), (400, None), (400, 100), (3000, 100), (3000, 1000)])
        requested = hold(
            request_id(self.count),
            key=api_key(self.rng.choice(KEY_IDS)),
            opened_at=self.clock.now,
            expires_at=self.clock.now + self.rng.choice([100, 900]),
            tokens=self.rng.choice([0, 100]),
            micro_usd=micro_usd,
            minimum_micro_usd=minimum,
            at_most_half=self.rng.random() > 0.8,
        )
        admitted = [await self.admit_to(store, requested) for store in self.stores]
        assert admitted[0] == admitted[1]
        if isinstance(admitted[0], Hold):
            self.open.append(admitted[0])

    async def admit_to(self, store: Store, requested: Hold) -> Hold | tuple[str, bool]:
        try:
            account = await store.admit(requested)
        except RefusedError as refused:
            return refused.kind, refused.by_team
        lease = account.balance.leases[requested.hold_id]
        return replace(requested, micro_usd=lease.micro_usd, team=account.record.team)

    async def extend(self) -> None:
        if not self.open:
            return
        number = self.rng.randrange(len(self.open))
        requested, amount = self.open[number], self.rng.choice([100, 5000])
        extended = [await self.extend_in(store, requested, amount) for store in self.stores]
        assert extended[0] == extended[1]
        self.open[number] = replace(requested, micro_usd=extended[0])

    async def extend_in(self, store: Store, requested: Hold, amount: int) -> int:
        try:
            return await store.extend(requested, amount, 100)
        except RefusedError:
            return requested.micro_usd

    async def settle(self) -> None:
        if not self.open:
            return
        requested = self.open.pop(self.rng.randrange(len(self.open)))
        if requested.expires_at <= self.clock.now:
            return  # as if its process had crashed
        record = self.used(requested)
        assert [await store.settle(record, requested) for store in self.stores] == [True, True]
        assert [await store.settle(record, requested) for store in self.stores] == [False, False]

    def used(self, requested: Hold) -> UsageRecord:
        return usage(
            requested.hold_id,
            key_id=requested.key.key_id,
            started_at=requested.opened_at,
            latency_ms=round((self.clock.now - requested.opened_at) * 1000),
            tokens=self.rng.choice([0, 50]),
            usd=f"0.{self.rng.randrange(requested.micro_usd + 1):06d}",
        )

    async def crash(self) -> None:
        """Forget a request, in half of the cases after the first writes of its settlement."""
        if not self.open:
            return
        requested = self.open.pop(self.rng.randrange(len(self.open)))
        if self.rng.random() > 0.5 and requested.expires_at > self.clock.now:
            for store, record in zip(self.stores, [self.used(requested)] * 2, strict=True):
                await store.settle(record, replace(requested, team=None))

    async def wait(self) -> None:
        self.clock.now += self.rng.choice([0.5, 25.0, 61.0, 1000.0])

    async def change(self) -> None:
        account_id, new = self.rng.choice([KEY_IDS[0], TEAM]), self.rng.choice(LIMITS)
        for store in self.stores:
            await store.update(account_id, lambda record: replace(record, limits=new), BY)

    async def state(self, store: Store, account_id: str) -> Balance:
        """The balance with ended holds closed; stores may close them later."""
        account = await store.get(account_id)
        assert account is not None
        found = await current_balance(store, account, self.clock.now)
        return found if account.record.limits.budget else replace(found, budget_left=0)


@pytest.mark.parametrize("seed", SEEDS)
async def test_stores_agree_on_teams(
    sqlite: SQLiteStore, dynamodb_store: DynamoDBStore, clock: FakeClock, seed: int
) -> None:
    clock.now = MINUTE + 0.5
    run = Run((sqlite, dynamodb_store), clock, random.Random(seed))
    for store in run.stores:
        await store.create(replace(team(limits={"budget": budget("0.02")}), created_at=MINUTE), BY)
        for number, key_id in enumerate(KEY_IDS):
            own = {"budget": budget("0.01")} if number == 0 else {}
            await store.create(key(key_id, team=TEAM, limits=own, created_at=MINUTE), BY)
    for _ in range(STEPS):
        await run.step()
    while run.open:
        await run.settle()
    clock.now += 2000
    for store in run.stores:
        account = await store.get(TEAM)
        assert account is not None
        assert account.record.limits.budget is not None
        found = [*await records(store, KEY_IDS[0]), *await records(store, KEY_IDS[1])]
        spent = sum(record.cost.micro_usd for record in found)
        left = (await run.state(store, TEAM)).budget_left
        assert account.record.limits.budget.usd * 1_000_000 - left == spent > 0
