"""Fixtures of the contract tests: both stores, empty, with a clock that the test sets."""

from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from contract.store_state import FakeClock
from contract.wire import Wire, recorded
from tollgate.gateway.ports import Store
from tollgate.stores.dynamodb.store import DynamoDBStore
from tollgate.stores.sqlite.store import SQLiteStore

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


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
def dynamodb_store(client: "DynamoDBClient", table: str, clock: FakeClock) -> Generator[DynamoDBStore]:
    with closing(DynamoDBStore(table, client=client, now=clock)) as store:
        yield store


@pytest.fixture
def wire(client: "DynamoDBClient") -> Generator[Wire]:
    """The requests to DynamoDB and their responses."""
    with recorded(client) as wire:
        yield wire


@pytest.fixture(params=["sqlite", "dynamodb_store"])
def store(request: pytest.FixtureRequest) -> Store:
    return request.getfixturevalue(request.param)


@pytest.fixture
def concurrent_requests(request: pytest.FixtureRequest, store: Store) -> None:
    """For tests with many concurrent requests."""
    if isinstance(store, DynamoDBStore) and request.getfixturevalue("dynamodb").note:
        pytest.skip("moto handles requests one at a time, which takes longer than the store's timeout")
