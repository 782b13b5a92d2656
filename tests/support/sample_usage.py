"""Sample teams, keys and thirty days of usage in an SQLite file, always the same for a day: for tests and pictures."""

import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from operator import itemgetter
from pathlib import Path

from tollgate.gateway import keys
from tollgate.gateway.admission import Hold
from tollgate.gateway.keys import ApiKey, KeyRecord
from tollgate.gateway.limits import Budget, Limits
from tollgate.gateway.metering import AttemptSummary, Cost, GuardrailAction, UsageRecord
from tollgate.gateway.types import Usage
from tollgate.stores.sqlite.store import SQLiteStore

DAY = 86_400
DAYS = 29
PRICES = {"gpt-4o": (250, 1000), "claude-sonnet-4": (300, 1500), "gemini-2.5-flash": (30, 250), "gpt-4o-mini": (15, 60)}
"""Micro-dollars for a hundred tokens of input and of output."""
PROVIDERS = {"gpt-4o": "openai", "claude-sonnet-4": "anthropic", "gemini-2.5-flash": "gemini", "gpt-4o-mini": "openai"}
FALLBACKS = {"openai": "azure", "anthropic": "bedrock", "gemini": "openrouter"}


@dataclass(frozen=True)
class SampleKeys:
    """The texts of an admin's key, of a key with usage, and of one that was never used."""

    admin: str
    user: str
    unused: str


class _Sample:
    """Makes the sample up with a generator of its own, so that it is the same each time."""

    def __init__(self, store: SQLiteStore, now: float) -> None:
        self._store = store
        self._now = now
        self._random = random.Random(7)

    async def key(self, name: str, limits: Limits, **fields: str | None) -> tuple[str, ApiKey]:
        """Create a key. Returns its text and what is stored of it."""
        text, key = keys.generate(self._random.randbytes)
        created = int(self._now - (DAYS + 1) * DAY)
        record = KeyRecord(key.key_id, key.key_hash, name, "active", created, limits=limits)
        await self._store.create(replace(record, **fields), "cli:owner")
        return text, key

    async def team(self, name: str, limits: Limits) -> str:
        """Create a team. Returns its id."""
        record = keys.new_team(self._random.randbytes, name, int(self._now - (DAYS + 1) * DAY))
        await self._store.create(replace(record, owner="finance", limits=limits), "cli:owner")
        return record.key_id

    def requests(self, key: ApiKey, models: list[str], busy: int) -> Iterator[tuple[float, ApiKey, str]]:
        """Thirty days of requests, fewer at weekends: when, by which key, of which model."""
        for ago in range(DAYS, -1, -1):
            weekend = date.fromtimestamp(self._now - ago * DAY).weekday() >= 5
            for number in range(self._random.randint(busy // 2, busy) // (3 if weekend else 1)):
                at = self._now - ago * DAY - 40 - (busy - number) * 55
                yield at, key, self._random.choice(models)

    async def send(self, at: float, key: ApiKey, model: str) -> None:
        """Admit and settle one request."""
        request_id = f"req_{round(at * 1000):012x}{self._random.getrandbits(80):020x}"
        record = self._record(request_id, key.key_id, model, at)
        hold = Hold(request_id, key, model, opened_at=at, expires_at=at + 900)
        account = await self._store.admit(hold)
        await self._store.settle(record, replace(hold, team=account.record.team))

    def _record(self, request_id: str, key_id: str, model: str, at: float) -> UsageRecord:
        asked, answered = self._random.randint(300, 6000), self._random.randint(80, 1400)
        into, out = PRICES[model]
        cost = Decimal(asked * into + answered * out) / 100 / 1_000_000
        first, whole = self._random.randint(180, 900), self._random.randint(1200, 9000)
        record = UsageRecord(
            *(request_id, key_id, model, at, True, 200, PROVIDERS[model], model, "stop", None, whole, first, whole),
            usage=Usage(asked, answered, asked // 4),
            cost=Cost(cost.quantize(Decimal("0.000001")), "catalog", date(2026, 11, 21)),
        )
        return self._changed(record, self._random.random(), whole)

    def _changed(self, record: UsageRecord, chance: float, whole: int) -> UsageRecord:
        """Some requests fail, some fall back to another provider, some are masked."""
        refused = AttemptSummary(
            record.model, record.provider, record.upstream_model, "rate_limit_exceeded", 213, Decimal(0)
        )
        fallback = FALLBACKS[record.provider]
        if chance < 0.04:
            attempts = (refused, replace(refused, provider=fallback, error_code="timeout", ms=30_000))
            cost = Cost(Decimal(0), "catalog", None)
            return replace(
                record, status=504, error_code="timeout", finish_reason=None, usage=None, cost=cost, attempts=attempts,
                time_to_first_token_ms=None, latency_ms=30_213, provider=fallback,
            )  # fmt: skip
        if chance < 0.14:
            answered = replace(refused, provider=fallback, error_code=None, ms=whole - 213, cost_usd=record.cost.usd)
            return replace(record, provider=fallback, attempts=(refused, answered))
        if chance < 0.18:
            return replace(record, guardrails=(GuardrailAction("card-numbers", "mask", "input"),))
        return record


def write_sample(db: Path) -> SampleKeys:
    """Write the sample into this file, which may be open in a gateway."""
    return asyncio.run(_write(db, time.time()))


async def _write(db: Path, now: float) -> SampleKeys:
    with closing(SQLiteStore(db, now=lambda: now)) as store:
        sample = _Sample(store, now)
        research = await sample.team("research", Limits(rpm=600, budget=Budget(Decimal(500), "month")))
        await sample.team("support", Limits(budget=Budget(Decimal(80), "month")))
        admin, _ = await sample.key("root", Limits(), role="admin", owner="platform")
        limits = Limits(rpm=60, tpm=200_000, concurrency=10, budget=Budget(Decimal(25), "month"))
        user, alice = await sample.key("alice", limits, team=research, owner="alice@example.com")
        _, batch = await sample.key("batch-jobs", Limits(rpm=300, concurrency=50), team=research, owner="data")
        unused, _ = await sample.key("new-intern", Limits(rpm=10, budget=Budget(Decimal(5), "month")), owner="people")
        of_alice = sample.requests(alice, [*PRICES], 14)
        of_batch = sample.requests(batch, ["gemini-2.5-flash", "gpt-4o-mini"], 22)
        for at, key, model in sorted([*of_alice, *of_batch], key=itemgetter(0)):
            await sample.send(at, key, model)
    return SampleKeys(admin, user, unused)
