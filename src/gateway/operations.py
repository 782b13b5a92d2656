"""The interface of an operation: its name, what a request reserves of its key's limits, and what is fetched for it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from tollgate.gateway.budget import Reservation
from tollgate.gateway.catalog import Model
from tollgate.gateway.metering import cost_of, price_terms
from tollgate.gateway.ports import Images
from tollgate.gateway.routing import Route, other_models
from tollgate.gateway.types import Request, Result, Usage

Req = TypeVar("Req", bound=Request)


@dataclass(frozen=True, slots=True)
class Batching(Generic[Req]):
    """How a request with many inputs is served by a provider that takes fewer at once.

    `split` returns the requests to send to a route: the request itself if the provider takes it whole. `join` makes one
    result of theirs, in the same order.
    """

    split: Callable[[Req, Route], Sequence[Req]]
    join: Callable[[Sequence[Any]], Result]


_ALSO_SERVED_BY = {"completions": "chat"}
"""Operations that models of another operation serve too."""


def call_name(operation: str, model: Model) -> str | None:
    """The name of the call by which a model serves an operation; None if it does not."""
    if operation in model.operations:
        return operation
    other = _ALSO_SERVED_BY.get(operation)
    return other if other in model.operations else None


class Operation(Protocol[Req]):
    """One thing a gateway does for clients. It holds no state and does no I/O but in `prepare`."""

    @property
    def name(self) -> str:
        """As it stands in usage records, log lines and metrics, and in a family's table of calls."""
        ...

    @property
    def batching(self) -> Batching[Req] | None:
        """How a request is split; None if every request is one request to the provider."""
        ...

    @property
    def text_fields(self) -> tuple[str, ...]:
        """The declared fields of a request whose texts a guardrail checks, with those that are not declared."""
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


class InputOperation(Generic[Req]):
    """An operation whose bill is known from its input: `expected` is what a request uses on a route. See Operation.

    `text_fields` are those of its request that have text. With `grows`, a stream is delivered as it is made, so that
    what was delivered measures an interrupted one.
    """

    def __init__(
        self,
        name: str,
        expected: Callable[[Req, Route], Usage],
        batching: Batching[Req] | None = None,
        *,
        text_fields: tuple[str, ...],
        grows: bool = False,
    ) -> None:
        self.name = name
        self.text_fields = text_fields
        self.batching = batching
        self._expected = expected
        self._grows = grows

    def other_models(self, request: Req) -> tuple[str, ...]:
        """Models in the fields for a router."""
        return other_models(request.extra)

    def reserve(self, request: Req, route: Route) -> Reservation:
        """What the request uses, and its cost."""
        usual = self._expected(request, route)
        cost = cost_of(usual, route.prices, price_terms(request))
        amount, is_priced = cost.micro_usd, cost.usd is not None
        is_whole = not (self._grows and request.stream)
        return Reservation(usual, None, 0, amount, amount, at_most_half=False, priced=is_priced, is_whole=is_whole)

    def limit_output(
        self, request: Req, route: Route, reservation: Reservation, held_micro_usd: int
    ) -> tuple[Req, tuple[str, ...]]:
        """Nothing to limit: a budget that does not pay for the input refuses the request."""
        return request, ()

    async def prepare(self, request: Req, images: Images, fetches_url: Callable[[str], bool]) -> Req:
        """Nothing to fetch."""
        return request
