"""A gateway that is stopped or killed: admitted requests are settled, or their holds expire."""

import asyncio
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.dynamodb_local import DynamoDB, create_table
from support.http import HTTP
from support.instances import SharedStore, base_env, process
from support.running_gateway import records_in, run_gateway
from support.scenarios import overlay
from support.upstream import ScriptedUpstream
from support.waiting import LIMIT_SECONDS, wait_until
from tollgate.gateway import keys
from tollgate.gateway.admission import Account, Hold
from tollgate.gateway.metering import UsageRecord
from tollgate.gateway.serving import HOLD_MARGIN, HOLD_SECONDS
from tollgate.gateway.store_ports import Store
from tollgate.stores.dynamodb.store import DynamoDBStore
from tollgate.stores.sqlite.store import SQLiteStore

MESSAGES: list[Any] = [{"role": "user", "content": "How many?"}]
KILLS, REQUESTS, CLIENTS = 20, 500, 5
BUDGET = 1000


@pytest.fixture
def catalog(upstream: ScriptedUpstream, tmp_path: Path) -> Path:
    path = tmp_path / "overlay.toml"
    path.write_text(overlay(upstream.url))
    return path


def test_stopped_gateway_settles_interrupted_requests(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    env = {"SCRIPTED_API_KEY": "k"}
    upstream.requests.clear()
    with run_gateway("server", tmp_path, overlay(upstream.url), env) as gateway:
        first_chunk = threading.Event()
        address = (gateway.base_url, gateway.api_key)
        streamed = threading.Thread(target=_read_stream, args=(*address, "test/stall", first_chunk))
        buffered = threading.Thread(target=_status_of, args=(*address, "test/slow"))
        for client in (streamed, buffered):
            client.start()
        wait_until(lambda: len(upstream.requests) == 2, "both requests to the provider")
        assert first_chunk.wait(LIMIT_SECONDS)
    for client in (streamed, buffered):
        client.join()
    records, holds = records_in(gateway.db)
    assert holds == []
    assert [record["error_code"] for record in records] == ["client_closed_request"] * 2
    assert all(record["estimated"] and record["cost_micro_usd"] > 0 for record in records)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "dynamodb"])
def test_balance_and_records_agree_after_killed_gateways(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, catalog: Path
) -> None:
    """During five hundred requests the process is killed twenty times, and replaced by another one."""
    shared_store, open_store = _stores(kind, request, tmp_path)
    key = shared_store.key("--tier", "unlimited", "--tpm", "1000000000", "--budget", f"{BUDGET}/total")
    *_, succeeded = [_run_process(shared_store, catalog, key, killed=number < KILLS) for number in range(KILLS + 1)]
    asyncio.run(_check(open_store, key, succeeded))


def _stores(kind: str, request: pytest.FixtureRequest, folder: Path) -> tuple[SharedStore, Callable[[], Store]]:
    """The store as the gateways use it, and what opens it with a clock at which all their holds have expired."""

    def later() -> float:
        return time.time() + HOLD_SECONDS + HOLD_MARGIN

    if kind == "sqlite":
        db = folder / "shared.db"
        return SharedStore(["--db", str(db)], {**base_env(), "TOLLGATE_DB": str(db)}), lambda: SQLiteStore(
            db, now=later
        )
    dynamodb: DynamoDB = request.getfixturevalue("dynamodb")
    table = create_table(dynamodb.client())
    env = {**base_env(), **dynamodb.environment, "TOLLGATE_TABLE": table}
    shared_store = SharedStore(["--table", table], env)
    return shared_store, lambda: DynamoDBStore(table, dynamodb.store_client(), now=later)


def _run_process(shared_store: SharedStore, catalog: Path, key: str, *, killed: bool) -> int:
    """One process from start to end. Returns how many of its requests succeeded."""
    with process(shared_store, catalog) as (url, running), ThreadPoolExecutor(CLIENTS) as clients:
        submitted = [clients.submit(_status_of, url, key, "test/pause") for _ in range(REQUESTS // (KILLS + 1))]
        if killed:
            time.sleep(random.uniform(0.02, 0.4))
            running.kill()
        return [done.result() for done in submitted].count(200)


def _status_of(url: str, key: str, model: str) -> int | None:
    """The status, or None if the gateway ended first."""
    body = {"model": model, "messages": MESSAGES}
    with suppress(httpx.HTTPError):
        headers = {"authorization": f"Bearer {key}"}
        return HTTP.post(f"{url}/chat/completions", json=body, headers=headers, timeout=LIMIT_SECONDS).status_code
    return None


def _read_stream(url: str, key: str, model: str, first_chunk: threading.Event) -> None:
    """Read a stream to its end, or to the end of the gateway, and set the event at the first chunk."""
    body = {"model": model, "messages": MESSAGES, "stream": True}
    headers = {"authorization": f"Bearer {key}"}
    with suppress(httpx.HTTPError):
        with HTTP.stream(
            "POST", f"{url}/chat/completions", json=body, headers=headers, timeout=LIMIT_SECONDS
        ) as response:
            for _ in response.iter_bytes():
                first_chunk.set()


async def _check(open_store: Callable[[], Store], key: str, succeeded: int) -> None:
    """After all holds have expired, the rest of the budget and the records agree to the micro-dollar.

    A process that dies between the last byte of a response and its settlement loses that record, and no other.
    """
    key_id, end = keys.read(key).key_id, time.time() + 60
    with closing(open_store()) as store:
        recorded = await _records(store, key_id, end)
        assert len(recorded) >= succeeded > 0
        account = await _account_after_all_holds(store, keys.read(key))
        spent = sum(record.cost.micro_usd for record in recorded)
        assert BUDGET * 1_000_000 - account.balance.budget_left == spent > 0
        assert await _records(store, key_id, end) == recorded


async def _account_after_all_holds(store: Store, key: keys.ApiKey) -> Account:
    """The account when every hold has expired and is closed: the first admission of each minute closes some."""
    for minute in range(REQUESTS):
        later = time.time() + HOLD_SECONDS + 2 * HOLD_MARGIN + 60 * minute
        probe = f"req_{round(later * 1000):012x}{minute:020x}"
        await store.admit(Hold(probe, key, "m", opened_at=later, expires_at=later + 1))
        account = await store.get(key.key_id)
        assert account is not None
        if set(account.balance.leases) == {probe}:
            return account
    raise AssertionError("Holds are still open.")


async def _records(store: Store, key_id: str, end: float) -> list[UsageRecord]:
    return [record async for record in store.usage(key_id, 0, end)]
