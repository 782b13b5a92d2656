"""Reads a text that an object of a request must have."""

from tollgate.gateway.types import Json
from tollgate.gateway.validation import invalid, missing


def required_text(item: Json, name: str, path: str) -> str:
    """The text under this name, which is not empty. Raises BadRequestError."""
    value = item.get(name)
    if value is None:
        raise missing(f"{path}.{name}")
    if not isinstance(value, str) or not value:
        raise invalid(f"{path}.{name}", "it is a string that is not empty")
    return value
