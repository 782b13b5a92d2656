"""Writes of one item: a conditional update built piece by piece, a put and a delete, alone or in a transaction."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from tollgate.stores.dynamodb.attribute_values import Item, to_attribute

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import (
        AttributeValueTypeDef,
        DeleteTypeDef,
        PutTypeDef,
        TransactWriteItemTypeDef,
        UpdateTypeDef,
    )


class Update:
    """A conditional update of the item with the primary key `key`.

    In expressions, `#name` stands for the attribute `name` unless `names` maps it to another one. Every attribute is
    written like this because many ordinary words are reserved in DynamoDB's expression language.
    """

    def __init__(self, key: Item) -> None:
        self._key = key
        self._conditions: list[str] = []
        self._clauses: dict[str, list[str]] = {}
        self._names: dict[str, str] = {}
        self._values: dict[str, AttributeValueTypeDef] = {}

    def require(self, *conditions: str) -> None:
        """Add conditions. All of them must hold, or the update fails and changes nothing."""
        self._conditions.extend(conditions)

    def set(self, *assignments: str) -> None:
        """Add assignments `#attribute = value`. Attributes in `value` have their values from before the update."""
        self._clauses.setdefault("SET", []).extend(assignments)

    def remove(self, *paths: str) -> None:
        """Remove attributes, or entries of maps."""
        self._clauses.setdefault("REMOVE", []).extend(paths)

    def add(self, addition: str) -> None:
        """Add elements to a set (`#set :elements`) or a number to a counter (`#number :increment`)."""
        self._clauses.setdefault("ADD", []).append(addition)

    def names(self, names: Mapping[str, str]) -> None:
        """Map `#name` placeholders to attribute names."""
        self._names |= names

    def values(self, values: Item) -> None:
        """Map `:value` placeholders to values."""
        self._values |= values

    def parameters(self, table_name: str) -> "UpdateTypeDef":
        """The parameters that UpdateItem and TransactWriteItems share."""
        update = " ".join(f"{verb} {', '.join(parts)}" for verb, parts in self._clauses.items() if parts)
        condition = " AND ".join(self._conditions)
        parameters: UpdateTypeDef = {
            "TableName": table_name,
            "Key": self._key,
            "UpdateExpression": update,
            "ExpressionAttributeNames": {**names_in(f"{update} {condition}"), **self._names},
            "ExpressionAttributeValues": self._values,
        }
        if condition:
            parameters["ConditionExpression"] = condition
        return parameters

    def transaction_item(self, table_name: str) -> "TransactWriteItemTypeDef":
        """The update as an action of TransactWriteItems."""
        return {"Update": self.parameters(table_name)}


@dataclass(frozen=True, slots=True)
class Put:
    """Write an item, with `if_absent` only if there is none with its primary key."""

    item: Item
    if_absent: bool = True

    def transaction_item(self, table_name: str) -> "TransactWriteItemTypeDef":
        """The put as an action of TransactWriteItems."""
        parameters: PutTypeDef = {"TableName": table_name, "Item": self.item}
        if self.if_absent:
            parameters["ConditionExpression"] = "attribute_not_exists(pk)"
        return {"Put": parameters}


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete the item with the primary key `key` if it still has this revision, and no `members`."""

    key: Item
    revision: int

    def transaction_item(self, table_name: str) -> "TransactWriteItemTypeDef":
        """The delete as an action of TransactWriteItems."""
        parameters: DeleteTypeDef = {
            "TableName": table_name,
            "Key": self.key,
            "ConditionExpression": "revision = :revision AND (attribute_not_exists(members) OR members = :none)",
            "ExpressionAttributeValues": {":revision": to_attribute(self.revision), ":none": to_attribute(0)},
        }
        return {"Delete": parameters}


Write = Update | Put | Delete


@lru_cache(256)
def names_in(expressions: str) -> Mapping[str, str]:
    """The attribute of each placeholder `#name`, if it is not mapped to another one. Most expressions recur."""
    return {name: name[1:] for name in re.findall(r"#\w+", expressions)}
