"""Python values as DynamoDB attribute values and back (API reference, "AttributeValue")."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

Item = Mapping[str, "AttributeValueTypeDef"]
"""An item, its primary key, or other named attribute values."""

EMPTY_MAP: "AttributeValueTypeDef" = {"M": {}}


def to_attribute(value: str | int | float | bool | Decimal) -> "AttributeValueTypeDef":
    """A scalar. Numbers are sent as decimal text, so money never becomes a binary fraction."""
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, bool):
        return {"BOOL": value}
    return {"N": format(value, "f") if isinstance(value, Decimal) else repr(value)}


def string_set(values: Iterable[str]) -> "AttributeValueTypeDef":
    """A string set."""
    return {"SS": list(values)}


def from_attribute(value: "AttributeValueTypeDef") -> Any:
    """The Python value of an attribute value; numbers are Decimal."""
    ((kind, content),) = cast("Mapping[str, Any]", value).items()
    match kind:
        case "S":
            return content
        case "N":
            return Decimal(content)
        case "M":
            return from_item(content)
        case "L":
            return [from_attribute(inner) for inner in content]
        case "SS":
            return frozenset[str](content)
        case _:
            return content


def from_item(item: Item) -> dict[str, Any]:
    """The Python values of an item's attributes, by name."""
    return {name: from_attribute(value) for name, value in item.items()}
