"""A gateway that is stopped, or killed: what was admitted is settled, or comes back when its hold has ended."""

import asyncio
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.dynamodb_local import DynamoDB, create_table
from support.instances import SharedStore, base_env, process
from support.running_gateway import records_in, run_gateway
from support.scenarios import overlay
from support.upstream import ScriptedUpstream
from tollgate.gateway import keys
from tollgate.gateway.admission import Account, Hold
from tollgate.gateway.metering import UsageRecord
from tollgate.gateway.ports import Store
from tollgate.gateway.serving import HOLD_MARGIN, HOLD_SECONDS
from tollgate.stores.dynamodb.store import DynamoDBStore
from tollgate.stores.sqlite.store import SQLiteStore

ASK: list[Any] = [{"role": "user", "content": "How many?"}]
KILLS, REQUESTS, CLIENTS = 20, 500, 5
BUDGET = 1000


@pytest.fixture
def catalog(upstream: ScriptedUpstream, tmp_path: Path) -> Path:
    path = tmp_path / "overlay.toml"
    path.write_text(overlay(upstream.url))
    return path


def test_stopped_gateway_settles_what_it_breaks_off(tmp_path: Path, catalog: Path, upstream: ScriptedUpstream) -> None:
    env = {"SCRIPTED_API_KEY": "k"}
    upstream.requests.clear()
    with run_gateway("asgi", tmp_path, catalog, env) as gateway:
        streamed = threading.Thread(target=_ask, args=(gateway.base_url, gateway.api_key, "test/stall", True))
        waited = threading.Thread(target=_ask, args=(gateway.base_url, gateway.api_key, "test/slow", False))
        for client in (streamed, waited):
            client.start()
        while len(upstream.requests) < 2:
            time.sleep(0.02)
        time.sleep(0.3)  # the stream's first token has come
    for client in (streamed, waited):
        client.join()
    records, holds = records_in(gateway.db)
    assert holds == []
    assert [record["error_code"] for record in records] == ["client_closed_request"] * 2
    assert all(record["estimated"] and record["cost_micro_usd"] > 0 for record in records)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "dynamodb"])
def test_killed_gateways_leave_books_that_agree(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, catalog: Path
) -> None:
    """Twenty times in a run of five hundred requests the process is killed, and another one takes its place."""
    where, store = _place(kind, request, tmp_path)
    key = where.key("--tier", "unlimited", "--tpm", "1000000000", "--budget", f"{BUDGET}/total")
    with closing(store):
        *_, whole = [_life(where, catalog, key, killed=number < KILLS) for number in range(KILLS + 1)]
        asyncio.run(_check(store, key, whole))


def _place(kind: str, request: pytest.FixtureRequest, folder: Path) -> tuple[SharedStore, Store]:
    """The store as the gateways reach it, and by a clock by which every hold of theirs has ended."""

    def later() -> float:
        return time.time() + HOLD_SECONDS + HOLD_MARGIN

    if kind == "sqlite":
        db = folder / "shared.db"
        return SharedStore(["--db", str(db)], {**base_env(), "TOLLGATE_DB": str(db)}), SQLiteStore(db, now=later)
    dynamodb: DynamoDB = request.getfixturevalue("dynamodb")
    client = dynamodb.client()
    table = create_table(client)
    env = {**base_env(), **dynamodb.environment, "TOLLGATE_TABLE": table}
    return SharedStore(["--table", table], env), DynamoDBStore(table, client=client, now=later)


def _life(where: SharedStore, catalog: Path, key: str, *, killed: bool) -> int:
    """One process from its start to its end; how many requests it answered."""
    with process(where, catalog) as (url, running), ThreadPoolExecutor(CLIENTS) as clients:
        asked = [clients.submit(_ask, url, key, "test/pause", False) for _ in range(REQUESTS // (KILLS + 1))]
        if killed:
            time.sleep(random.uniform(0.02, 0.4))
            running.kill()
        return [done.result() for done in asked].count(200)


def _ask(url: str, key: str, model: str, stream: bool) -> int | None:
    """The status; None where the gateway went away."""
    body = {"model": model, "messages": ASK, "stream": stream}
    with suppress(httpx.HTTPError):
        headers = {"authorization": f"Bearer {key}"}
        return httpx.post(f"{url}/chat/completions", json=body, headers=headers, timeout=60).status_code
    return None


async def _check(store: Store, key: str, whole: int) -> None:
    """After their time: what is left of the budget and the records agree to the micro-dollar, and nothing is held.

    A process that dies between an answer's last byte and its settlement takes the record with it, but only those.
    """
    key_id, end = keys.read(key).key_id, time.time() + 60
    before = await _records(store, key_id, end)
    assert len(before) >= whole > 0
    account = await _after_all_holds(store, keys.read(key))
    spent = sum(record.cost.micro_usd for record in before)
    assert BUDGET * 1_000_000 - account.balance.budget_left == spent > 0
    assert await _records(store, key_id, end) == before


async def _after_all_holds(store: Store, key: keys.ApiKey) -> Account:
    """The account once every hold has ended and been closed: the first admission of each minute closes some of them."""
    for minute in range(REQUESTS):
        later = time.time() + HOLD_SECONDS + 2 * HOLD_MARGIN + 60 * minute
        probe = f"req_{round(later * 1000):012x}{minute:020x}"
        await store.admit(Hold(probe, key, "m", opened_at=later, expires_at=later + 1))
        account = await store.get(key.key_id)
        assert account is not None
        if set(account.balance.leases) == {probe}:
            return account
    raise AssertionError("holds are left")


async def _records(store: Store, key_id: str, end: float) -> list[UsageRecord]:
    return [record async for record in store.usage(key_id, 0, end)]
