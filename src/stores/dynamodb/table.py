"""The DynamoDB table as the store's rooms use it: single calls, with what DynamoDB says of them made plain."""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from tollgate.stores.dynamodb.items import Answer, Item, KeyItem, attribute, read_key

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef, UpdateItemInputTypeDef

T = TypeVar("T")

UNMET = "ConditionalCheckFailed"
# Seconds. DynamoDB refuses a write to an item that a transaction is writing, and a transaction on an item that is being
# written (DynamoDB developer guide, "Transaction conflict handling"); either takes some milliseconds. The SDK does not
# try these again by itself.
PAUSES = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32)
# Codes of the API reference of TransactWriteItems, "CancellationReasons".
PASSING = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})
ATTEMPTS = 10


class ConditionFailedError(Exception):
    """A write was refused by its condition; `item` is what it met, None where nothing is there."""

    def __init__(self, item: Answer | None) -> None:
        super().__init__("the condition is not met")
        self.item = item


class ContentionError(Exception):
    """Others were faster, again and again."""


class Table:
    """One table. Raises ClientError, BotoCoreError and ContentionError where it does not answer."""

    def __init__(self, client: "DynamoDBClient", name: str) -> None:
        self.client = client
        self.name = name

    def get(self, place: Item) -> Answer | None:
        """The item, as the last write left it."""
        return self.client.get_item(TableName=self.name, Key=place, ConsistentRead=True).get("Item")

    def query(self, partition: str, first: str, last: str, *, consistent: bool) -> Iterator[Answer]:
        """The items of a partition in their order, read page by page."""
        pages = self.client.get_paginator("query").paginate(
            TableName=self.name,
            KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
            ExpressionAttributeValues={
                ":pk": attribute(partition),
                ":first": attribute(first),
                ":last": attribute(last),
            },
            ConsistentRead=consistent,
        )
        return (item for page in pages for item in page["Items"])

    def key(self, key_id: str) -> Sequence[KeyItem]:
        """All items of a key, by their shards; none where there is no such key."""
        return [read_key(item) for item in self.query(f"KEY#{key_id}", "M", "T", consistent=True)]

    def put_if_absent(self, item: Item) -> Answer | None:
        """Write an item where there is none; else the one that is there, unless it is this very one, which an attempt
        whose answer was lost has written: `made` tells.
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
            there = _met(error)
            return None if there is None or there.get("made") == item["made"] else there
        return None

    def update(self, request: "UpdateItemInputTypeDef") -> KeyItem:
        """The key's item after the update. Raises ConditionFailedError."""
        try:
            return read_key(with_retries(lambda: self.client.update_item(**request)).get("Attributes", {}))
        except ClientError as error:
            if _code(error) != "ConditionalCheckFailedException":
                raise
            raise ConditionFailedError(_met(error)) from error

    def transact(self, *actions: "TransactWriteItemTypeDef") -> bool:
        """Do all of them, or none: False where a condition is unmet.

        botocore gives every call a ClientRequestToken and keeps it when it tries again after a lost answer: DynamoDB
        then says yes once more without writing twice.
        """
        try:
            with_retries(lambda: self.client.transact_write_items(TransactItems=actions))
        except ClientError as error:
            if UNMET not in _reasons(error):
                raise
            return False
        return True


def attempts() -> Iterator[int]:
    """Numbers of tries, with a growing pause before each but the first two. Raises ContentionError after the last."""
    for attempt in range(ATTEMPTS):
        if attempt > 1:
            _pause(min(0.002 * 2**attempt, 0.1))
        yield attempt
    raise ContentionError


def with_retries(write: Callable[[], T]) -> T:
    """Make a write, again while a transaction is in its way; a write that was refused has changed nothing."""
    for pause in PAUSES:
        try:
            return write()
        except ClientError as error:
            if not _is_passing(error):
                raise
        _pause(pause)
    return write()


def _pause(longest: float) -> None:
    time.sleep(random.uniform(longest / 2, longest))  # noqa: S311 - apart, so that two writers do not meet again


def _met(error: ClientError) -> Answer | None:
    response: Mapping[str, Any] = error.response
    return response.get("Item")


def _reasons(error: ClientError) -> Sequence[str]:
    """Of a cancelled transaction: each action's reason. Else nothing."""
    response: Mapping[str, Any] = error.response
    return [reason.get("Code", "") for reason in response.get("CancellationReasons", ())]


def _is_passing(error: ClientError) -> bool:
    why = _reasons(error)
    return _code(error) == "TransactionConflictException" or (UNMET not in why and not PASSING.isdisjoint(why))


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")
