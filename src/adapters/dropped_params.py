"""Parameter fidelity: what of a request its provider cannot say is refused, or dropped and told; never just lost."""

import re
from typing import Any

from tollgate.adapters.json_access import child
from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.types import Request

_NAME = re.compile(r"[\w.\[\]-]{1,64}", re.ASCII)
_MAX_TOLD = 32
"""Names a client made up go into a header of its answer: so many, and only such as a header can carry."""


def unsupported(param: str, message: str | None = None) -> BadRequestError:
    """The error for what would change the answer and cannot be said."""
    return BadRequestError(
        message or f"The model does not support {param[:100]!r}.", param=param, code="unsupported_parameter"
    )


class DroppedParams:
    """What one request loses on its way to a provider: knobs of tuning, without which the answer is still an answer.

    With `provider.require_parameters: true` (OpenRouter's API reference, "Provider Routing") nothing may be lost.
    """

    def __init__(self, request: Request) -> None:
        self._refuses = child(request.model_extra or {}, "provider").get("require_parameters") is True
        self._told: dict[str, None] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """What goes into UpstreamRequest.dropped."""
        return tuple(self._told)

    def drop(self, param: str, message: str | None = None) -> None:
        """This field is left out. Raises BadRequestError where the client requires it."""
        self._tell(param, param, message)

    def replace(self, param: str, value: Any) -> None:
        """This field got another value than the client gave it. Raises BadRequestError where the client requires it."""
        self._tell(param, f"{param}={value}", f"The model does not take the value of {param!r}; it would be {value}.")

    def _tell(self, param: str, entry: str, message: str | None) -> None:
        if self._refuses:
            raise unsupported(param, message)
        if _NAME.fullmatch(param) and len(self._told) < _MAX_TOLD:
            self._told[entry] = None
