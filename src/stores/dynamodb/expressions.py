"""One conditional update, put together piece by piece and written in DynamoDB's expression language."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tollgate.stores.dynamodb.items import Answer, Item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, UpdateItemInputTypeDef, UpdateTypeDef


class Update:
    """Conditions and changes of one item. Every `#name` stands for the attribute `name`, unless `names` says otherwise:
    many ordinary words are reserved in DynamoDB's expressions.
    """

    def __init__(self, table: str, place: Item) -> None:
        self._table = table
        self._place = place
        self._conditions: list[str] = []
        self._changes: dict[str, list[str]] = {}
        self._names: dict[str, str] = {}
        self._values: dict[str, AttributeValueTypeDef] = {}

    def only_if(self, *conditions: str) -> None:
        """All of these must hold, or nothing changes."""
        self._conditions.extend(conditions)

    def set(self, *changes: str) -> None:
        """`#attribute = value`, by what the item was before."""
        self._changes.setdefault("SET", []).extend(changes)

    def remove(self, *paths: str) -> None:
        """Attributes, or elements of maps, that go."""
        self._changes.setdefault("REMOVE", []).extend(paths)

    def add(self, change: str) -> None:
        """`#set :elements`, or `#number :more`."""
        self._changes.setdefault("ADD", []).append(change)

    def names(self, names: Mapping[str, str]) -> None:
        """What some `#name`s stand for."""
        self._names |= names

    def values(self, values: Answer) -> None:
        """What `:value`s stand for."""
        self._values |= values

    def request(self) -> "UpdateItemInputTypeDef":
        """The update alone. It answers with the whole item: as it is then, or, where it was refused, as it was."""
        return {
            **self.action(),
            "ReturnValues": "ALL_NEW",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    def action(self) -> "UpdateTypeDef":
        """The update as part of a transaction."""
        change = " ".join(f"{verb} {', '.join(changes)}" for verb, changes in self._changes.items() if changes)
        condition = " AND ".join(self._conditions)
        words: set[str] = set(re.findall(r"#\w+", f"{change} {condition}"))
        action: UpdateTypeDef = {
            "TableName": self._table,
            "Key": self._place,
            "UpdateExpression": change,
            "ExpressionAttributeNames": {word: self._names.get(word, word[1:]) for word in words},
            "ExpressionAttributeValues": self._values,
        }
        if condition:
            action["ConditionExpression"] = condition
        return action
