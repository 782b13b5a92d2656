"""The DynamoDB table: single calls, with failed conditions as exceptions and retries of transaction conflicts."""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from tollgate.stores.dynamodb.attribute_values import Item, to_attribute
from tollgate.stores.dynamodb.items import KeyItem, read_key
from tollgate.stores.dynamodb.writes import Update, Write

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import UpdateItemInputTypeDef

T = TypeVar("T")

CONDITION_FAILED = "ConditionalCheckFailed"
# Seconds. DynamoDB rejects a write to an item that a transaction is writing, and a transaction on an item that is being
# written (DynamoDB developer guide, "Transaction conflict handling"). Either takes some milliseconds. The SDK does not
# retry these errors.
CONFLICT_PAUSES = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32)
# Codes of the API reference of TransactWriteItems, "CancellationReasons".
TRANSIENT = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})
MAX_ATTEMPTS = 10
MAX_BATCH_KEYS = 100  # of one BatchGetItem (API reference)


class ConditionFailedError(Exception):
    """The condition of a write did not hold, and nothing was written.

    `item` is the item that the condition was checked on. None means that it does not exist, or that the write was a
    transaction.
    """

    def __init__(self, item: Item | None = None) -> None:
        super().__init__("the condition of the write did not hold")
        self.item = item


class ContentionError(Exception):
    """Concurrent writes kept changing the item until the attempts were used up."""


class Table:
    """One table. Every call may raise ClientError, BotoCoreError and ContentionError if DynamoDB is not available."""

    def __init__(self, client: "DynamoDBClient", name: str) -> None:
        self.client = client
        self.name = name

    def get(self, key: Item) -> Item | None:
        """The item with this primary key, by a strongly consistent read; None if it does not exist."""
        return self.client.get_item(TableName=self.name, Key=key, ConsistentRead=True).get("Item")

    def get_shards(self, key_id: str) -> Sequence[KeyItem]:
        """All items of an API key in the order of their shards; empty if the key does not exist."""
        return [read_key(item) for item in self.query(f"KEY#{key_id}", "M", "T", consistent=True)]

    def get_batch(self, keys: Sequence[Item]) -> Iterator[Item]:
        """The items with these primary keys, at most MAX_BATCH_KEYS, in any order.

        DynamoDB leaves keys unprocessed if the items are large or the table is throttled; those are requested again.
        """
        unprocessed: Any = {self.name: {"Keys": keys, "ConsistentRead": True}}
        for pause in (0, *CONFLICT_PAUSES):
            time.sleep(pause)
            response = self.client.batch_get_item(RequestItems=unprocessed)
            yield from response["Responses"].get(self.name, ())
            unprocessed = response.get("UnprocessedKeys")
            if not unprocessed:
                return
        raise ContentionError

    def query(self, partition: str, first: str, last: str, *, consistent: bool) -> Iterator[Item]:
        """The items of a partition with sort keys from `first` to `last`, both included, read page by page."""
        pages = self.client.get_paginator("query").paginate(
            TableName=self.name,
            KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
            ExpressionAttributeValues={
                ":pk": to_attribute(partition),
                ":first": to_attribute(first),
                ":last": to_attribute(last),
            },
            ConsistentRead=consistent,
        )
        return (item for page in pages for item in page["Items"])

    def query_index(self, listed: str, created_since: float = 0) -> Iterator[Item]:
        """The primary keys of the items that the index `listed` has under this value, read page by page."""
        pages = self.client.get_paginator("query").paginate(
            TableName=self.name,
            IndexName="listed",
            KeyConditionExpression="listed = :listed AND created_at >= :since",
            ExpressionAttributeValues={":listed": to_attribute(listed), ":since": to_attribute(created_since)},
            ProjectionExpression="pk, sk",
        )
        return (key for page in pages for key in page["Items"])

    def put_if_absent(self, item: Item) -> Item | None:
        """Write an item if there is none with its primary key; return the existing item otherwise.

        An existing item with the same `made` was written by an attempt whose response was lost, and counts as absent.
        """
        try:
            self.client.put_item(
                TableName=self.name,
                Item=item,
                ConditionExpression="attribute_not_exists(pk)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            if _code(error) != "ConditionalCheckFailedException":
                raise
            existing = _existing_item(error)
            return None if existing is None or existing.get("made") == item["made"] else existing
        return None

    def update(self, update: Update) -> KeyItem:
        """Make one conditional update of a key's item and return the new item. Raises ConditionFailedError."""
        request: UpdateItemInputTypeDef = {
            **update.parameters(self.name),
            "ReturnValues": "ALL_NEW",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        try:
            response = _retry_conflicts(lambda: self.client.update_item(**request))
        except ClientError as error:
            if _code(error) != "ConditionalCheckFailedException":
                raise
            raise ConditionFailedError(_existing_item(error)) from error
        return read_key(response.get("Attributes", {}))

    def transact(self, *writes: Write) -> None:
        """Make all writes in one transaction. Raises ConditionFailedError if one of the conditions does not hold.

        botocore sends a ClientRequestToken with every call and keeps it when it retries after a lost response:
        DynamoDB then reports success again without writing twice.
        """
        items = [write.transaction_item(self.name) for write in writes]
        try:
            _retry_conflicts(lambda: self.client.transact_write_items(TransactItems=items))
        except ClientError as error:
            if CONDITION_FAILED not in _cancellation_reasons(error):
                raise
            raise ConditionFailedError from error


def compare_and_set(write: Callable[[Item | None], T], item: Item | None = None) -> T:
    """Return `write(item)`; after a ConditionFailedError, call it again with the item that the error carries.

    A growing pause precedes each attempt but the first two. Raises ContentionError after MAX_ATTEMPTS.
    """
    for attempt in range(MAX_ATTEMPTS):
        if attempt > 1:
            _pause(min(0.002 * 2**attempt, 0.1))
        try:
            return write(item)
        except ConditionFailedError as failed:
            item = failed.item
    raise ContentionError


def _retry_conflicts(write: Callable[[], T]) -> T:
    """Make a write, and again while it conflicts with a transaction; a rejected write has changed nothing."""
    for pause in CONFLICT_PAUSES:
        try:
            return write()
        except ClientError as error:
            if not _is_transient(error):
                raise
        _pause(pause)
    return write()


def _pause(maximum: float) -> None:
    time.sleep(random.uniform(maximum / 2, maximum))  # noqa: S311 - jitter, so that two writers do not collide again


def _existing_item(error: ClientError) -> Item | None:
    response: Mapping[str, Any] = error.response
    return response.get("Item")


def _cancellation_reasons(error: ClientError) -> Sequence[str]:
    """The code of each action of a cancelled transaction; empty for other errors."""
    response: Mapping[str, Any] = error.response
    return [reason.get("Code", "") for reason in response.get("CancellationReasons", ())]


def _is_transient(error: ClientError) -> bool:
    reasons = _cancellation_reasons(error)
    return _code(error) == "TransactionConflictException" or (
        CONDITION_FAILED not in reasons and not TRANSIENT.isdisjoint(reasons)
    )


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")
