"""The stores in AWS: keys, their limits and open holds, usage records and audit in one DynamoDB table."""

import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence, Set
from itertools import islice
from typing import TYPE_CHECKING, cast

import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    NoRegionError,
    SSOError,
    TokenRetrievalError,
)

from tollgate.gateway.admission import Account, Hold
from tollgate.gateway.errors import ConfigurationError
from tollgate.gateway.keys import AuditEntry, Change, KeyRecord
from tollgate.gateway.metering import UsageRecord
from tollgate.gateway.usage_totals import DailyTotal
from tollgate.stores.blocking import BlockingCalls
from tollgate.stores.dynamodb.items import read_usage, usage_place
from tollgate.stores.dynamodb.keys import TableKeys
from tollgate.stores.dynamodb.ledger import TableLedger
from tollgate.stores.dynamodb.table import ContentionError, Table
from tollgate.stores.dynamodb.usage import TableUsage
from tollgate.stores.retention import is_kept, request_ids

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

CONCURRENT_CALLS = 32  # threads and pooled connections: many streams of one process settle at the same time
NO_CREDENTIALS = (NoCredentialsError, CredentialRetrievalError, SSOError, TokenRetrievalError)
# What AWS says of credentials ("Common Error Types" of the DynamoDB API reference).
REFUSED = frozenset(
    {
        "AccessDeniedException",
        "ExpiredTokenException",
        "IncompleteSignatureException",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "UnrecognizedClientException",
    }
)
READ_AT_ONCE = 500  # usage records that one blocking call brings


def connect() -> "DynamoDBClient":
    """A client for the region, credentials and endpoint that the environment names, as botocore reads them.

    The timeouts are those of a call within a region: a client waits behind each of these calls. Raises
    ConfigurationError where the environment names no region, or what it names does not exist.
    """
    config = Config(
        connect_timeout=0.3,
        read_timeout=1,
        retries={"mode": "standard", "total_max_attempts": 2},
        max_pool_connections=CONCURRENT_CALLS,
        tcp_keepalive=True,
        parameter_validation=False,  # it would find what the type checker has found already
    )
    try:
        return cast("DynamoDBClient", botocore.session.get_session().create_client("dynamodb", config=config))
    except NoRegionError:
        raise ConfigurationError("There is no AWS region: set AWS_DEFAULT_REGION, or one in your profile.") from None
    except BotoCoreError as error:
        raise ConfigurationError(f"The AWS settings of this environment cannot be used: {error}") from error


def advice(cause: Exception, place: str) -> str | None:
    """What is wrong with the owner's settings for the table at `place`; never AWS's own words, which name accounts."""
    if isinstance(cause, NO_CREDENTIALS):
        return "There are no AWS credentials here that can be used."
    code = cause.response.get("Error", {}).get("Code") if isinstance(cause, ClientError) else None
    if code == "ResourceNotFoundException":
        return f"There is no table {place}."
    if code in REFUSED:
        return f"AWS refuses these credentials for the table {place} ({code})."
    return None


class DynamoDBStore:
    """`gateway.ports.Store` on one on-demand table, whose definition is the resource `Table` of template.yaml.

    Without a `client`, one is made at once, so that a function does it while it starts and not in its first request.
    """

    def __init__(
        self, table: str, *, client: "DynamoDBClient | None" = None, now: Callable[[], float] = time.time
    ) -> None:
        self._client = client or connect()
        self._owns_client = client is None
        self._now = now
        self._table = Table(self._client, table)
        self._keys = TableKeys(self._table, now)
        self._ledger = TableLedger(self._table)
        self._usage = TableUsage(self._table, now)
        place = f"{table} in the region {self._client.meta.region_name}"
        failures = (ClientError, BotoCoreError, ContentionError)
        self._calls = BlockingCalls("dynamodb", CONCURRENT_CALLS, failures, lambda cause: advice(cause, place))

    async def admit(self, hold: Hold) -> Account:
        """See `Ledger.admit`. One UpdateItem; more only where a window turns or ended holds are closed."""
        return await self._calls.run(self._ledger.admit, hold)

    async def extend(self, hold: Hold, wanted: int, least: int) -> int:
        """See `Ledger.extend`. One UpdateItem, and a second one where the budget has less than is wanted."""
        return await self._calls.run(self._ledger.extend, hold, wanted, least)

    async def settle(self, record: UsageRecord, hold: Hold) -> bool:
        """See `Ledger.settle`. One PutItem and one UpdateItem."""
        return await self._calls.run(self._ledger.settle, record, hold)

    async def create(self, record: KeyRecord, by: str) -> None:
        """See `KeyStore.create`."""
        await self._calls.run(self._keys.create, record, by)

    async def get(self, key_id: str) -> Account | None:
        """See `KeyStore.get`."""
        return await self._calls.run(self._keys.get, key_id)

    async def list(self) -> Sequence[KeyRecord]:
        """See `KeyStore.list`. A key made a moment ago may be missing: an index follows its table."""
        return await self._calls.run(self._keys.list)

    async def key_ids(self) -> Set[str]:
        """See `KeyStore.key_ids`, and `list`."""
        return await self._calls.run(self._keys.key_ids)

    async def update(self, key_id: str, change: Change, by: str) -> KeyRecord:
        """See `KeyStore.update`. `change` may be called more than once."""
        return await self._calls.run(self._keys.update, key_id, change, by)

    async def reset(self, key_id: str, by: str) -> None:
        """See `KeyStore.reset`."""
        await self._calls.run(self._keys.reset, key_id, by)

    async def delete(self, key_id: str, by: str) -> None:
        """See `KeyStore.delete`."""
        await self._calls.run(self._keys.delete, key_id, by)

    async def audit(self, key_id: str) -> Sequence[AuditEntry]:
        """See `KeyStore.audit`."""
        return await self._calls.run(self._keys.audit, key_id)

    async def usage(self, key_id: str, start: float, end: float) -> AsyncIterator[UsageRecord]:
        """See `UsageStore.usage`, in the order of request ids. A record of a moment ago may be missing."""
        first, last = (f"REQ#{request_id}" for request_id in request_ids(start, end))
        items = self._table.query(f"USE#{key_id}", first, last, consistent=False)
        records = (read_usage(item) for item in items)
        while some := await self._calls.run(_several, records):
            for record in some:
                if start <= record.started_at < end and is_kept(record, self._now()):
                    yield record

    async def totals(self, key_id: str, first: int, last: int) -> Sequence[DailyTotal]:
        """See `UsageStore.totals`."""
        return await self._calls.run(self._usage.totals, key_id, first, last)

    async def usage_of(self, key_id: str, request_id: str) -> UsageRecord | None:
        """See `UsageStore.usage_of`."""
        item = await self._calls.run(self._table.get, usage_place(key_id, request_id))
        record = read_usage(item) if item else None
        return record if record and is_kept(record, self._now()) else None

    def close(self) -> None:
        """Wait for calls under way and close the client, unless it was given. Closing again is no error."""
        self._calls.close()
        if self._owns_client:
            self._client.close()


def _several(records: Iterator[UsageRecord]) -> Sequence[UsageRecord]:
    return list(islice(records, READ_AT_ONCE))
