"""The error for a value that a client format does not accept."""

from tollgate.gateway.errors import BadRequestError


def invalid(path: str, reason: str) -> BadRequestError:
    """The error that names the value's path in the request."""
    return BadRequestError(f"Invalid value for '{path}': {reason}.", param=path, code="invalid_value")
