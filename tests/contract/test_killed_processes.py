"""Processes killed during requests, on both stores: after their holds have expired, the balances of the key and of its
team agree with the records."""

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Mapping

import pytest

from contract.examples import BY, KEY_ID, MINUTE, budget, hold, key
from contract.store_state import balance, open_holds, records
from contract.teams import TEAM, team
from support.dynamodb_local import DynamoDB
from tollgate.gateway.metering import UsageRecord
from tollgate.gateway.store_ports import Store
from tollgate.stores.dynamodb.store import DynamoDBStore
from tollgate.stores.sqlite.store import SQLiteStore

PROCESSES = 20
CONCURRENT = 5  # requests of each process
EXPIRES_AT = MINUTE + 50
WORKER = f"""
import asyncio, itertools, sys
from dataclasses import replace
from contract.teams import TEAM
from contract.store_state import FakeClock
from contract.examples import hold, request_id, usage

if sys.argv[1] == "sqlite":
    from tollgate.stores.sqlite.store import SQLiteStore as Store
else:
    from tollgate.stores.dynamodb.client import connect
    from tollgate.stores.dynamodb.store import DynamoDBStore

    def Store(table, now):
        return DynamoDBStore(table, connect(connect_timeout=30, response_timeout=60), now=now)

async def client(store, numbers):
    for i in numbers:
        requested = hold(request_id(i), tokens=100, micro_usd=5000, expires_at={EXPIRES_AT})
        await store.admit(requested)
        used = usage(requested.hold_id, tokens=i % 150, usd=f"0.00{{i % 7000:04d}}")
        await store.settle(used, replace(requested, team=TEAM))
        print("settled", flush=True)

async def main():
    store = Store(sys.argv[2], now=FakeClock())
    numbers = itertools.count(int(sys.argv[3]) * 1_000_000)
    await asyncio.gather(*(client(store, numbers) for _ in range({CONCURRENT})))

asyncio.run(main())
"""


@pytest.fixture(params=["sqlite", "dynamodb"])
def location(request: pytest.FixtureRequest) -> tuple[str, Store, str]:
    if request.param == "sqlite":
        store: SQLiteStore = request.getfixturevalue("sqlite")
        return "sqlite", store, str(request.getfixturevalue("database"))
    dynamodb_store: DynamoDBStore = request.getfixturevalue("dynamodb_store")
    return "dynamodb", dynamodb_store, request.getfixturevalue("table")


@pytest.fixture
def environment(dynamodb: DynamoDB, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in dynamodb.environment.items():
        monkeypatch.setenv(name, value)


@pytest.mark.slow
@pytest.mark.usefixtures("environment")
async def test_requests_of_killed_processes_are_charged_once(location: tuple[str, Store, str]) -> None:
    kind, store, address = location
    await store.create(team(limits={"tpm": 10**9, "budget": budget("1000")}), BY)
    await store.create(key(limits={"tpm": 10**9, "budget": budget("1000")}, team=TEAM), BY)
    await asyncio.to_thread(_run_and_kill, kind, address)
    found = {record.request_id: record for record in await records(store)}
    assert len(found) >= PROCESSES
    assert await open_holds(store)
    for window in range(1, PROCESSES):  # each closes some of the holds
        later = EXPIRES_AT + 60.0 * window
        await store.admit(hold(f"later {window}", opened_at=later, expires_at=later + 1))
        if len(await open_holds(store)) == len(await open_holds(store, TEAM)) == 1:
            break
    for account_id in (KEY_ID, TEAM):
        after = await balance(store, account_id)
        assert 10**9 - after.budget_left == _spent(found)
        assert len(after.leases) == 1
    assert {record.request_id: record for record in await records(store)} == found


def _spent(by_id: Mapping[str, UsageRecord]) -> int:
    return sum(record.cost.micro_usd for record in by_id.values())


def _run_and_kill(kind: str, address: str) -> None:
    python = f"import sys; sys.path[:0] = {sys.path!r}\n{WORKER}"
    workers = [
        subprocess.Popen([sys.executable, "-c", python, kind, address, str(i)], stdout=subprocess.PIPE)
        for i in range(PROCESSES)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"settled\n"
    for worker in workers:
        time.sleep(random.uniform(0, 0.1))
        worker.kill()
        worker.communicate()
    time.sleep(1)  # requests that were sent may still be executed
