"""Parameters that a provider does not support: refused if they change the answer, else dropped and reported."""

import re
from typing import Any

from tollgate.adapters.json_access import child
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.types import Request

_NAME = re.compile(r"[\w.\[\]-]{1,64}", re.ASCII)
_MAX_NAMES = 32
"""Names that a client made up go into a response header: the number and the characters are limited."""


def unsupported(param: str, message: str | None = None) -> BadRequestError:
    """The error for a parameter that changes the answer and is not supported."""
    return BadRequestError(
        message or f"The model does not support {param[:100]!r}.", param=param, code="unsupported_parameter"
    )


class DroppedParams:
    """The parameters of one request that are dropped or replaced on the way to its provider.

    With `provider.require_parameters: true` (OpenRouter's API reference, "Provider Routing") none may be dropped.
    """

    def __init__(self, request: Request) -> None:
        self._all_required = child(request.extra, "provider").get("require_parameters") is True
        self._entries: dict[str, None] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The value of `UpstreamRequest.dropped`."""
        return tuple(self._entries)

    def drop(self, param: str, message: str | None = None) -> None:
        """Record a parameter that is left out. Raises BadRequestError if the client requires all parameters."""
        self._record(param, param, message)

    def replace(self, param: str, value: Any) -> None:
        """Record a parameter whose value is replaced. Raises BadRequestError if the client requires all parameters."""
        message = f"The model does not support the value of {param!r}; the nearest supported value is {value}."
        self._record(param, f"{param}={value}", message)

    def _record(self, param: str, entry: str, message: str | None) -> None:
        if self._all_required:
            raise unsupported(param, message)
        if _NAME.fullmatch(param) and len(self._entries) < _MAX_NAMES:
            self._entries[entry] = None
