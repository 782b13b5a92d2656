"""The errors for values that a client format does not accept."""

from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.types import Json


def invalid(path: str, reason: str) -> BadRequestError:
    """The error that names the value's path in the request."""
    return BadRequestError(f"Invalid value for '{path}': {reason}.", param=path, code="invalid_value")


def required_text(item: Json, name: str, path: str) -> str:
    """The text under this name, which is not empty. Raises BadRequestError."""
    value = item.get(name)
    if value is None:
        raise missing(f"{path}.{name}")
    if not isinstance(value, str) or not value:
        raise invalid(f"{path}.{name}", "it is a string that is not empty")
    return value


def missing(path: str) -> BadRequestError:
    """The error for a value that is required."""
    return BadRequestError(f"Missing required parameter: '{path}'.", param=path, code="missing_required_parameter")
