"""Fixtures of the contract tests: both stores, empty, with a clock that the test sets."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import closing
from pathlib import Path

import pytest

from contract.store_state import FakeClock, OpenDynamoDBStore
from contract.wire import Wire
from support.dynamodb_local import DynamoDB
from tollgate.gateway.store_ports import Store
from tollgate.stores.dynamodb.store import DynamoDBStore
from tollgate.stores.sqlite.store import SQLiteStore


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "tollgate.db"


@pytest.fixture
def sqlite(database: Path, clock: FakeClock) -> Generator[SQLiteStore]:
    with closing(SQLiteStore(database, now=clock)) as store:
        yield store


@pytest.fixture
async def open_dynamodb_store(
    dynamodb: DynamoDB, table: str, wire: Wire, clock: FakeClock
) -> AsyncGenerator[OpenDynamoDBStore]:
    """Opens stores on the table, as separate processes would; all use the same connections."""
    yield lambda: DynamoDBStore(table, dynamodb.store_client(wire), now=clock)
    wire.close()
    await asyncio.sleep(0)  # the event loop closes the connections in its next iteration


@pytest.fixture
def dynamodb_store(open_dynamodb_store: OpenDynamoDBStore) -> DynamoDBStore:
    return open_dynamodb_store()


@pytest.fixture
def wire() -> Wire:
    """The requests to DynamoDB and their responses."""
    return Wire()


@pytest.fixture(params=["sqlite", "dynamodb_store"])
def store(request: pytest.FixtureRequest) -> Store:
    return request.getfixturevalue(request.param)


@pytest.fixture
def concurrent_requests(request: pytest.FixtureRequest, store: Store) -> None:
    """For tests with many concurrent requests."""
    if isinstance(store, DynamoDBStore) and request.getfixturevalue("dynamodb").note:
        pytest.skip("moto handles requests one at a time, which takes longer than the store's timeout")
