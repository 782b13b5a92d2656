"""An unavailable store raises one error within a few seconds."""

import asyncio
import os
import socket
import sqlite3
from collections.abc import AsyncGenerator, Coroutine, Generator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from contract.examples import BY, KEY_ID, REQUEST, hold, key, usage
from contract.store_state import records
from contract.wire import Wire, respond_with_error, run_before
from support.dynamodb_local import DynamoDB
from tollgate.gateway.errors import ConfigurationError, StoreUnavailableError
from tollgate.gateway.store_ports import Store
from tollgate.stores.dynamodb.client import connect
from tollgate.stores.dynamodb.store import DynamoDBStore
from tollgate.stores.sqlite.store import SQLiteStore

MAX_SECONDS = 4.0  # until the error
WRITES = ["admit", "settle", "create", "update", "delete"]
READS = ["get", "list", "key_ids", "audit", "usage", "usage_of"]


@pytest.fixture
def listener() -> Generator[socket.socket]:
    """A port that accepts connections and never responds."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
async def unresponsive_dynamodb(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[DynamoDBStore]:
    endpoint = DynamoDB(f"http://127.0.0.1:{listener.getsockname()[1]}")
    for name, value in endpoint.environment.items():
        monkeypatch.setenv(name, value)
    with closing(DynamoDBStore("table", connect())) as store:
        yield store
    await asyncio.sleep(0)  # the event loop closes the connections in its next iteration


@pytest.fixture
def locked_sqlite(database: Path) -> Generator[SQLiteStore]:
    with closing(SQLiteStore(database)) as store, closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield store


@pytest.mark.parametrize("call", [*WRITES, *READS])
async def test_closed_port_is_an_unavailable_store(
    unresponsive_dynamodb: DynamoDBStore, listener: socket.socket, call: str
) -> None:
    listener.close()
    await error_of(unresponsive_dynamodb, call)


@pytest.mark.parametrize("call", ["admit", "settle"])
async def test_port_without_responses_is_an_unavailable_store(unresponsive_dynamodb: DynamoDBStore, call: str) -> None:
    await error_of(unresponsive_dynamodb, call)


@pytest.mark.parametrize("call", ["admit", "settle", "update"])
async def test_locked_file_is_an_unavailable_store(locked_sqlite: SQLiteStore, call: str) -> None:
    await error_of(locked_sqlite, call)


async def test_missing_table_is_an_unavailable_store(dynamodb: DynamoDB, wire: Wire) -> None:
    with closing(DynamoDBStore("no-such-table", dynamodb.store_client(wire))) as store:
        error = await error_of(store, "admit")
    await asyncio.sleep(0)  # the event loop closes the connection
    assert error.__notes__ == ["There is no table no-such-table in the region us-east-1."]
    assert "no-such-table" not in error.message


@pytest.mark.parametrize("code", ["AccessDeniedException", "UnrecognizedClientException"])
async def test_rejected_credentials_are_an_unavailable_store(
    dynamodb_store: DynamoDBStore, wire: Wire, table: str, code: str
) -> None:
    wire.responses.append(respond_with_error(code))
    error = await error_of(dynamodb_store, "admit")
    assert error.__notes__ == [f"AWS rejects these credentials for the table {table} in the region us-east-1 ({code})."]


async def test_missing_credentials_are_an_unavailable_store(
    unresponsive_dynamodb: DynamoDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    error = await error_of(DynamoDBStore("table", connect()), "admit")
    assert error.__notes__ == ["There are no AWS credentials here that can be used."]


def test_missing_region_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    with pytest.raises(ConfigurationError, match="There is no AWS region"):
        connect()
    monkeypatch.setenv("AWS_PROFILE", "missing")
    with pytest.raises(ConfigurationError, match="missing"):
        connect()


@pytest.mark.parametrize("call", [*WRITES, *READS])
async def test_closed_store_is_unavailable(store: Store, call: str) -> None:
    store.close()
    await error_of(store, call)


async def test_open_call_ends_after_the_store_is_closed(dynamodb_store: DynamoDBStore, wire: Wire) -> None:
    async def close() -> None:
        dynamodb_store.close()

    await dynamodb_store.create(key(), BY)
    wire.responses.append(run_before(close))
    assert (await dynamodb_store.admit(hold())).record == key()
    await error_of(dynamodb_store, "admit")


async def test_event_loop_is_not_blocked_by_a_store(database: Path) -> None:
    with closing(SQLiteStore(database)) as store:
        with closing(sqlite3.connect(database, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            waiting = asyncio.ensure_future(store.settle(usage(), hold()))
            for _ in range(50):
                await asyncio.sleep(0.01)
            assert not waiting.done()
        assert await waiting is True


async def error_of(store: Store, call: str) -> StoreUnavailableError:
    calls: dict[str, Coroutine[Any, Any, object]] = {
        "admit": store.admit(hold()),
        "settle": store.settle(usage(), hold()),
        "create": store.create(key(), BY),
        "update": store.update(KEY_ID, lambda record: record, BY),
        "delete": store.delete(KEY_ID, BY),
        "get": store.get(KEY_ID),
        "list": store.list(),
        "key_ids": store.key_ids(),
        "audit": store.audit(KEY_ID),
        "usage": records(store),
        "usage_of": store.usage_of(KEY_ID, REQUEST),
    }
    chosen = calls.pop(call)
    for other in calls.values():
        other.close()
    async with asyncio.timeout(MAX_SECONDS):
        with pytest.raises(StoreUnavailableError) as raised:
            await chosen
    assert raised.value.retry_after == 1
    assert raised.value.__cause__ is not None
    assert "127.0.0.1" not in raised.value.message
    return raised.value
