"""The store in AWS: keys, their limits and open holds, usage records and audit in one DynamoDB table."""

import time
from collections.abc import Callable

from tollgate.stores.dynamodb.client import DynamoDBClient
from tollgate.stores.dynamodb.documents import DynamoDBDocuments
from tollgate.stores.dynamodb.keys import DynamoDBKeyStore
from tollgate.stores.dynamodb.ledger import DynamoDBLedger
from tollgate.stores.dynamodb.usage import DynamoDBUsageStore


class DynamoDBStore(DynamoDBLedger, DynamoDBKeyStore, DynamoDBUsageStore, DynamoDBDocuments):
    """`gateway.store_ports.Store` on one on-demand table, which is defined as the resource `Table` of template.yaml.

    It closes the client.
    """

    def __init__(self, table: str, client: DynamoDBClient, *, now: Callable[[], float] = time.time) -> None:
        super().__init__(client, table, now)
