"""The store in AWS: keys, their limits and open holds, usage records and audit in one DynamoDB table."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from tollgate.stores.blocking_executor import BlockingExecutor
from tollgate.stores.dynamodb.client import MAX_CONNECTIONS, configuration_hint, connect
from tollgate.stores.dynamodb.keys import DynamoDBKeyStore
from tollgate.stores.dynamodb.ledger import DynamoDBLedger
from tollgate.stores.dynamodb.table import ContentionError, Table
from tollgate.stores.dynamodb.usage import DynamoDBUsageStore

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class DynamoDBStore(DynamoDBLedger, DynamoDBKeyStore, DynamoDBUsageStore):
    """`gateway.ports.Store` on one on-demand table, which is defined as the resource `Table` of template.yaml.

    If no `client` is given, one is created here and not at the first request, so that a Lambda function does it during
    its init phase.
    """

    def __init__(
        self, table: str, *, client: "DynamoDBClient | None" = None, now: Callable[[], float] = time.time
    ) -> None:
        self._client = client or connect()
        self._owns_client = client is None
        description = f"{table} in the region {self._client.meta.region_name}"
        executor = BlockingExecutor(
            "dynamodb",
            MAX_CONNECTIONS,
            unavailable=(ClientError, BotoCoreError, ContentionError),
            hint=lambda error: configuration_hint(error, description),
        )
        super().__init__(Table(self._client, table), executor, now)

    def close(self) -> None:
        """Wait for pending calls and close the client unless it was passed in. May be called more than once."""
        self.executor.close()
        if self._owns_client:
            self._client.close()
