"""The one DynamoDB of a test run, and a fresh table in it for each test that asks."""

from collections.abc import Generator
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from support.dynamodb_local import DynamoDB, UnavailableError, create_table, serve

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NOTE = pytest.StashKey[str]()

# No deadline: an example takes as long as the machine's load makes it. `make check` has the profile with more examples.
settings.register_profile("tests", deadline=None, max_examples=20)
settings.register_profile("check", deadline=None, max_examples=100)
settings.load_profile("tests")


@pytest.fixture(scope="session")
def dynamodb(request: pytest.FixtureRequest) -> Generator[DynamoDB]:
    """The DynamoDB of this test run."""
    try:
        with serve() as running:
            request.config.stash[NOTE] = running.note or ""
            yield running
    except UnavailableError as reason:
        request.config.stash[NOTE] = f"DynamoDB was left out: {reason}"
        pytest.skip(str(reason))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if note := config.stash.get(NOTE, ""):
        terminalreporter.section("DynamoDB")
        terminalreporter.line(note)


@pytest.fixture(scope="session")
def client(dynamodb: DynamoDB) -> Generator["DynamoDBClient"]:
    """A client to create tables, and to read and change them independently of a store."""
    with closing(dynamodb.client()) as made:
        yield made


@pytest.fixture
def table(client: "DynamoDBClient") -> Generator[str]:
    name = create_table(client)
    yield name
    client.delete_table(TableName=name)
