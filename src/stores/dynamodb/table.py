"""The DynamoDB table: single calls, with failed conditions as exceptions and retries of transaction conflicts."""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from tollgate.stores.dynamodb.attribute_values import Item, from_attribute, to_attribute
from tollgate.stores.dynamodb.client import DynamoDBClient
from tollgate.stores.dynamodb.errors import DynamoDBError
from tollgate.stores.dynamodb.items import KeyItem, read_key
from tollgate.stores.dynamodb.writes import Update, Write, names_in

T = TypeVar("T")

CONDITION_FAILED = "ConditionalCheckFailed"
CONDITION_FAILED_ERROR = "ConditionalCheckFailedException"
# Seconds. DynamoDB rejects a write to an item that a transaction is writing, and a transaction on an item that is being
# written (DynamoDB developer guide, "Transaction conflict handling"). Either takes some milliseconds. The client does
# not retry these errors.
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
    """One table. Every call may raise DynamoDBError and ContentionError if DynamoDB is not available."""

    def __init__(self, client: DynamoDBClient, name: str) -> None:
        self._client = client
        self.name = name

    async def get(self, key: Item) -> Item | None:
        """The item with this primary key, by a strongly consistent read; None if it does not exist."""
        response = await self._client.call("GetItem", {"TableName": self.name, "Key": key, "ConsistentRead": True})
        return response.get("Item")

    async def get_shards(self, key_id: str) -> Sequence[KeyItem]:
        """All items of an API key in the order of their shards; empty if the key does not exist."""
        pages = self.query(f"KEY#{key_id}", "M", "T", consistent=True)
        return [read_key(item) async for page in pages for item in page]

    async def get_batch(self, keys: Sequence[Item]) -> Sequence[Item]:
        """The items with these primary keys, at most MAX_BATCH_KEYS, in any order.

        DynamoDB leaves keys unprocessed if the items are large or the table is throttled; those are requested again.
        """
        items: list[Item] = []
        unprocessed: Any = {self.name: {"Keys": keys, "ConsistentRead": True}}
        for pause in (0, *CONFLICT_PAUSES):
            await asyncio.sleep(pause)
            response = await self._client.call("BatchGetItem", {"RequestItems": unprocessed})
            items += response["Responses"].get(self.name, ())
            unprocessed = response.get("UnprocessedKeys")
            if not unprocessed:
                return items
        raise ContentionError

    def query(self, partition: str, first: str, last: str, *, consistent: bool) -> AsyncIterator[Sequence[Item]]:
        """Pages of the items of a partition with sort keys from `first` to `last`, both included."""
        return self._pages(_range(self.name, partition, first, last, consistent=consistent))

    async def last_before(self, partition: str, first: str, last: str, limit: int) -> Sequence[Item]:
        """The last items of a partition with sort keys from `first` to before `last`, the last one first."""
        found: list[Item] = []
        pages = self._pages(
            {
                **_range(self.name, partition, first, last, consistent=False),
                "ScanIndexForward": False,
                "Limit": limit + 1,  # `last` itself, which BETWEEN includes, may be there
            }
        )
        async for page in pages:
            found += [item for item in page if from_attribute(item["sk"]) != last]
            if len(found) >= limit:
                break
        return found[:limit]

    async def query_index(self, listed: str, created_since: float = 0) -> Sequence[Item]:
        """The primary keys of the items that the index `listed` has under this value."""
        pages = self._pages(
            {
                "TableName": self.name,
                "IndexName": "listed",
                "KeyConditionExpression": "listed = :listed AND created_at >= :since",
                "ExpressionAttributeValues": {":listed": to_attribute(listed), ":since": to_attribute(created_since)},
                "ProjectionExpression": "pk, sk",
            }
        )
        return [key async for page in pages for key in page]

    async def put_if_absent(self, item: Item) -> Item | None:
        """Write an item if there is none with its primary key; return the existing item otherwise."""
        try:
            await self.put_if(item, "attribute_not_exists(pk)")
        except ConditionFailedError as failed:
            return failed.item
        return None

    async def put_if(self, item: Item, condition: str, values: Item | None = None) -> None:
        """Write an item if the condition holds (see Update for its placeholders). Raises ConditionFailedError.

        An existing item with the same `made` was written by an attempt whose response was lost, and is this one.
        """
        parameters: dict[str, Any] = {
            "TableName": self.name,
            "Item": item,
            "ConditionExpression": condition,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        if values is not None:
            parameters |= {"ExpressionAttributeValues": values, "ExpressionAttributeNames": names_in(condition)}
        try:
            await self._client.call("PutItem", parameters)
        except DynamoDBError as error:
            if error.code != CONDITION_FAILED_ERROR:
                raise
            if error.item is None or error.item.get("made") != item["made"]:
                raise ConditionFailedError(error.item) from error

    async def update(self, update: Update) -> KeyItem:
        """Make one conditional update of a key's item and return the new item. Raises ConditionFailedError."""
        response = await self._update(update, "ALL_NEW")
        return read_key(response.get("Attributes", {}))

    async def update_unread(self, update: Update) -> None:
        """Make one conditional update of an item, which is not returned. Raises ConditionFailedError."""
        await self._update(update, "NONE")

    async def transact(self, *writes: Write) -> None:
        """Make all writes in one transaction. Raises ConditionFailedError if one of the conditions does not hold.

        The client sends a ClientRequestToken again when it retries after a lost response: DynamoDB then reports success
        again without writing twice.
        """
        items = [write.transaction_item(self.name) for write in writes]

        def call() -> Awaitable[Mapping[str, Any]]:
            token = secrets.token_hex(16)
            return self._client.call("TransactWriteItems", {"TransactItems": items, "ClientRequestToken": token})

        try:
            await _retry_conflicts(call)
        except DynamoDBError as error:
            if CONDITION_FAILED not in error.cancellation_codes:
                raise
            raise ConditionFailedError from error

    async def _update(self, update: Update, returned: str) -> Mapping[str, Any]:
        parameters = {
            **update.parameters(self.name),
            "ReturnValues": returned,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        try:
            return await _retry_conflicts(lambda: self._client.call("UpdateItem", parameters))
        except DynamoDBError as error:
            if error.code != CONDITION_FAILED_ERROR:
                raise
            raise ConditionFailedError(error.item) from error

    async def _pages(self, query: dict[str, Any]) -> AsyncIterator[Sequence[Item]]:
        while True:
            response = await self._client.call("Query", query)
            yield response["Items"]
            last_key = response.get("LastEvaluatedKey")
            if not last_key:
                return
            query = {**query, "ExclusiveStartKey": last_key}


def _range(table: str, partition: str, first: str, last: str, *, consistent: bool) -> dict[str, Any]:
    """A query for the items of a partition with sort keys from `first` to `last`, both included."""
    values = {":pk": to_attribute(partition), ":first": to_attribute(first), ":last": to_attribute(last)}
    return {
        "TableName": table,
        "KeyConditionExpression": "pk = :pk AND sk BETWEEN :first AND :last",
        "ExpressionAttributeValues": values,
        "ConsistentRead": consistent,
    }


async def compare_and_set(write: Callable[[Item | None], Awaitable[T]], item: Item | None = None) -> T:
    """Return `write(item)`; after a ConditionFailedError, call it again with the item that the error carries.

    A growing pause precedes each attempt but the first two. Raises ContentionError after MAX_ATTEMPTS.
    """
    for attempt in range(MAX_ATTEMPTS):
        if attempt > 1:
            await _pause(min(0.002 * 2**attempt, 0.1))
        try:
            return await write(item)
        except ConditionFailedError as failed:
            item = failed.item
    raise ContentionError


async def _retry_conflicts(write: Callable[[], Awaitable[T]]) -> T:
    """Make a write, and again while it conflicts with a transaction; a rejected write has changed nothing."""
    for pause in CONFLICT_PAUSES:
        try:
            return await write()
        except DynamoDBError as error:
            if not _is_transient(error):
                raise
        await _pause(pause)
    return await write()


async def _pause(maximum: float) -> None:
    await asyncio.sleep(random.uniform(maximum / 2, maximum))  # noqa: S311 - jitter, so that two writers part


def _is_transient(error: DynamoDBError) -> bool:
    reasons = error.cancellation_codes
    return error.code == "TransactionConflictException" or (
        CONDITION_FAILED not in reasons and not TRANSIENT.isdisjoint(reasons)
    )
