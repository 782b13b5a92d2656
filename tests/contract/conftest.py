"""Both stores, empty, each by a time that the test sets."""

from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from contract.bench import Time
from contract.wire import Wire, watched
from tollgate.gateway.ports import Store
from tollgate.stores.dynamodb.store import DynamoDBStore
from tollgate.stores.sqlite.store import SQLiteStore

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "tollgate.db"


@pytest.fixture
def sqlite(database: Path, time: Time) -> Generator[SQLiteStore]:
    with closing(SQLiteStore(database, now=time)) as store:
        yield store


@pytest.fixture
def dynamodb_store(client: "DynamoDBClient", table: str, time: Time) -> Generator[DynamoDBStore]:
    with closing(DynamoDBStore(table, client=client, now=time)) as store:
        yield store


@pytest.fixture
def wire(client: "DynamoDBClient") -> Generator[Wire]:
    """The line to DynamoDB."""
    with watched(client) as line:
        yield line


@pytest.fixture(params=["sqlite", "dynamodb_store"])
def store(request: pytest.FixtureRequest) -> Store:
    return request.getfixturevalue(request.param)


@pytest.fixture
def crowded(request: pytest.FixtureRequest, store: Store) -> None:
    """For tests that ask very much at once."""
    if isinstance(store, DynamoDBStore) and request.getfixturevalue("dynamodb").note:
        pytest.skip("moto answers one after the other, which takes a crowd longer than the store waits")
