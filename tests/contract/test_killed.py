"""Processes killed in the middle of their requests, on both stores: when their holds have ended, everything agrees."""

import asyncio
import random
import subprocess
import sys
import time as clock
from collections.abc import Mapping

import pytest

from contract.bench import balance, held, records
from contract.examples import BY, MINUTE, budget, hold, key
from support.dynamodb_local import DynamoDB
from tollgate.gateway.metering import UsageRecord
from tollgate.gateway.ports import Store
from tollgate.stores.dynamodb.store import DynamoDBStore
from tollgate.stores.sqlite.store import SQLiteStore

PROCESSES = 20
AT_ONCE = 5  # requests of each process
ENDS = MINUTE + 50
WORKER = f"""
import asyncio, itertools, sys
from contract.bench import Time
from contract.examples import hold, request_id, usage

if sys.argv[1] == "sqlite":
    from tollgate.stores.sqlite.store import SQLiteStore as Store
else:
    from tollgate.stores.dynamodb.store import DynamoDBStore as Store

async def client(store, numbers):
    for i in numbers:
        asked = hold(request_id(i), tokens=100, micro_usd=5000, expires_at={ENDS})
        await store.admit(asked)
        await store.settle(usage(asked.hold_id, tokens=i % 150, usd=f"0.00{{i % 7000:04d}}"), asked)

async def main():
    store = Store(sys.argv[2], now=Time())
    numbers = itertools.count(int(sys.argv[3]) * 1_000_000)
    print("begun", flush=True)
    await asyncio.gather(*(client(store, numbers) for _ in range({AT_ONCE})))

asyncio.run(main())
"""


@pytest.fixture(params=["sqlite", "dynamodb"])
def where(request: pytest.FixtureRequest) -> tuple[str, Store, str]:
    if request.param == "sqlite":
        store: SQLiteStore = request.getfixturevalue("sqlite")
        return "sqlite", store, str(request.getfixturevalue("database"))
    dynamodb_store: DynamoDBStore = request.getfixturevalue("dynamodb_store")
    return "dynamodb", dynamodb_store, request.getfixturevalue("table")


@pytest.fixture
def environment(dynamodb: DynamoDB, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in dynamodb.environment.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("environment")
async def test_what_was_killed_at_any_moment_counts_once(where: tuple[str, Store, str]) -> None:
    kind, store, place = where
    await store.create(key(limits={"tpm": 10**9, "budget": budget("1000")}), BY)
    await asyncio.to_thread(_run_and_kill, kind, place)
    left = {record.request_id: record for record in await records(store)}
    assert len(left) > PROCESSES
    assert await held(store)
    for window in range(1, PROCESSES):  # each closes a few
        later = ENDS + 60.0 * window
        await store.admit(hold(f"later {window}", opened_at=later, expires_at=later + 1))
        if await held(store) == {f"later {window}"}:
            break
    now = await balance(store)
    assert 10**9 - now.budget_left == _spent(left)
    assert len(now.leases) == 1
    assert {record.request_id: record for record in await records(store)} == left


def _spent(of: Mapping[str, UsageRecord]) -> int:
    return sum(record.cost.micro_usd for record in of.values())


def _run_and_kill(kind: str, place: str) -> None:
    python = f"import sys; sys.path[:0] = {sys.path!r}\n{WORKER}"
    workers = [
        subprocess.Popen([sys.executable, "-c", python, kind, place, str(i)], stdout=subprocess.PIPE)
        for i in range(PROCESSES)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"begun\n"
    for worker in workers:
        clock.sleep(random.uniform(0, 0.1))
        worker.kill()
        worker.communicate()
    clock.sleep(1)  # what they had sent may still be done
