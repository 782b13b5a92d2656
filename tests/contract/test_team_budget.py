"""200 clients in two processes with ten keys of one team: the team's budget is exact to the micro-dollar."""

import asyncio
import itertools
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest

from contract.examples import BY, api_key, budget, hold, key, request_id, usage
from contract.store_state import balance, records
from contract.teams import TEAM, team
from support.dynamodb_local import DynamoDB
from tollgate.gateway.admission import RefusedError
from tollgate.gateway.store_ports import Store

CLIENTS = 100  # of each process
REQUESTS = 3  # of each client
BUDGET = 1_000_000  # micro-dollars, of which each request holds 9,000 and uses less
WORKER = f"""
import asyncio, json, random, sys
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from contract.examples import NOW, api_key, hold, request_id, usage
from contract.store_state import FakeClock
from contract.teams import TEAM
from tollgate.gateway.admission import RefusedError

if sys.argv[1] == "sqlite":
    from tollgate.stores.sqlite.store import SQLiteStore as Store
else:
    from tollgate.stores.dynamodb.client import connect
    from tollgate.stores.dynamodb.store import DynamoDBStore

    def Store(table, now):
        return DynamoDBStore(table, connect(connect_timeout=30, response_timeout=60), now=now)

outcomes = Counter()

async def client(store, number):
    for turn in range({REQUESTS}):
        key = api_key(f"{{number % 10:012x}}")
        held = hold(request_id(number * {REQUESTS} + turn), key=key, micro_usd=9000, team=TEAM)
        try:
            await store.admit(held)
        except RefusedError as refused:
            outcomes["team" if refused.by_team else "key", refused.kind] += 1
            continue
        with suppress(RefusedError):
            held = replace(held, micro_usd=await store.extend(held, 2000, 1))
        cost = random.Random(number * {REQUESTS} + turn).randrange(held.micro_usd + 1)
        used = usage(held.hold_id, tokens=1, usd=f"0.{{cost:06d}}", key_id=key.key_id)
        assert await store.settle(used, held)
        outcomes["admitted", ""] += 1

async def main():
    store = Store(sys.argv[2], now=FakeClock())
    first = int(sys.argv[3]) * {CLIENTS}
    await asyncio.gather(*(client(store, number) for number in range(first, first + {CLIENTS})))
    print(json.dumps([[*name, count] for name, count in outcomes.items()]))

asyncio.run(main())
"""


@pytest.fixture(params=["sqlite", "dynamodb"])
def location(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Store, str]:
    """A store and the words that name it to another process."""
    if request.param == "sqlite":
        return "sqlite", request.getfixturevalue("sqlite"), str(request.getfixturevalue("database"))
    dynamodb: DynamoDB = request.getfixturevalue("dynamodb")
    request.getfixturevalue("concurrent_dynamodb")
    for name, value in dynamodb.environment.items():
        monkeypatch.setenv(name, value)
    return "dynamodb", request.getfixturevalue("dynamodb_store"), request.getfixturevalue("table")


@pytest.fixture
def concurrent_dynamodb(dynamodb: DynamoDB) -> None:
    if dynamodb.note:
        pytest.skip("moto handles requests one at a time")


async def test_budget_of_a_team_is_exact(location: tuple[str, Store, str]) -> None:
    kind, store, address = location
    await store.create(team(limits={"budget": budget("1", "month")}), BY)
    key_ids = [f"{number:012x}" for number in range(10)]
    for number, key_id in enumerate(key_ids):
        own = {"budget": budget("0.05")} if number == 0 else {"rpm": 30} if number == 1 else {}
        record = replace(key(key_id, team=TEAM, limits=own), key_hash=api_key(key_id).key_hash)
        await store.create(record, BY)
    outcomes = sum(await asyncio.gather(*(_run(kind, address, number) for number in range(2))), Counter[str]())
    outcomes["admitted "] += await _spend_the_rest(store, key_ids[-1])
    found = [record for key_id in key_ids for record in await records(store, key_id)]
    spent = sum(record.cost.micro_usd for record in found)
    after = await balance(store, TEAM)
    assert (after.leases, after.budget_left, spent) == ({}, 0, BUDGET)
    assert len(found) == outcomes["admitted "]
    assert outcomes["team budget"] > 0
    for key_id in key_ids:
        own, used = await balance(store, key_id), await records(store, key_id)
        assert own.leases == {}
        if key_id == key_ids[0]:
            assert 50_000 - own.budget_left == sum(record.cost.micro_usd for record in used) <= 50_000
        if key_id == key_ids[1]:
            assert 30 - own.requests_left == len(used)


async def _spend_the_rest(store: Store, key_id: str) -> int:
    """Spend what is left of the team's budget to the last micro-dollar. Returns the number of requests."""
    for number in itertools.count():
        requested = hold(
            request_id(10**6 + number), key=api_key(key_id), micro_usd=50_000, minimum_micro_usd=1, team=TEAM
        )
        try:
            account = await store.admit(requested)
        except RefusedError:
            return number
        micro_usd = account.balance.leases[requested.hold_id].micro_usd
        used = usage(requested.hold_id, tokens=1, usd=f"0.{micro_usd:06d}", key_id=key_id)
        await store.settle(used, replace(requested, micro_usd=micro_usd))
    raise AssertionError


async def _run(kind: str, address: str, number: int) -> Counter[str]:
    """The outcomes of one process."""
    python = f"import sys; sys.path[:0] = {sys.path!r}\n{WORKER}"
    words: Sequence[str] = (sys.executable, "-c", python, kind, address, str(number))
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    printed, _ = await process.communicate()
    assert process.returncode == 0
    return Counter({f"{who} {refusal}": count for who, refusal, count in json.loads(printed)})
