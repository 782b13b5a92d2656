"""The interface of an operation: its name, what a request reserves of its key's limits, and what is fetched for it."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from tollgate.gateway.budget import Reservation
from tollgate.gateway.ports import Images
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Request

Req = TypeVar("Req", bound=Request)


class Operation(Protocol[Req]):
    """One thing a gateway does for clients. It holds no state and does no I/O but in `prepare`."""

    @property
    def name(self) -> str:
        """As it stands in usage records, log lines and metrics, and in a family's table of calls."""
        ...

    def other_models(self, request: Req) -> tuple[str, ...]:
        """Models that the request names beside `model`, which its key must allow too."""
        ...

    def reserve(self, request: Req, route: Route) -> Reservation:
        """What the request reserves of its key's limits and budget on this route."""
        ...

    def limit_output(
        self, request: Req, route: Route, reservation: Reservation, held_micro_usd: int
    ) -> tuple[Req, tuple[str, ...]]:
        """The request with an output that the reserved money pays for, and the parameters changed for it."""
        ...

    async def prepare(self, request: Req, images: Images, fetches_url: Callable[[str], bool]) -> Req:
        """The request with what the provider does not fetch itself. Raises BadRequestError."""
        ...
