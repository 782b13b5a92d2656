"""Which attempt follows one that failed: the same route again, another route, or none.

An error of the client's own is never retried, and nothing is once a part of the answer is in the client's hands.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from tollgate.gateway.budget import Reservation
from tollgate.gateway.errors import (
    GatewayError,
    OverloadedError,
    RateLimitError,
    UpstreamAuthError,
    UpstreamError,
)
from tollgate.gateway.routing import Route

ATTEMPTS_PER_ROUTE = 2
FIRST_PAUSE = (0.25, 0.5)
"""Seconds before a route is tried again; each request gets another number between the two."""
LONGEST_WAIT = 10.0
"""Seconds that a request waits for a provider that says how long to wait, if there is no other route."""
SHORT_WAIT = 1.0
"""The same if there is another route."""
LEAST_SECONDS = 5.0
"""Seconds that must be left for another attempt: one that cannot end in time is only billed."""

UNSUPPORTED = "unsupported_parameter"
"""The code of the error for what a family cannot express."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """A route that may be tried, and what the request reserves on it.

    `after` says after which errors: None for any failure of a provider, else the code of an error of the client's, such
    as a prompt that is too long for the models before it.
    """

    route: Route
    reservation: Reservation
    after: Sequence[str | None] = (None,)
    stands_in: bool = False
    """Whether its model is not the one that the client requests."""


@dataclass(frozen=True, slots=True)
class Step:
    """The next attempt, and the seconds to wait before it."""

    alternative: Alternative
    wait: float = 0.0


class AttemptPlan:
    """The alternatives of one request, in the order in which they are tried. There is at least one."""

    def __init__(self, alternatives: Sequence[Alternative]) -> None:
        self.current, *self._left = alternatives
        self.has_choice = bool(self._left)
        """Whether there was more than one, at first."""
        self._tried = 1
        self._reasons: set[str | None] = {None}

    @property
    def has_others(self) -> bool:
        """Whether another route is left for a failure of the provider."""
        return any(not self._reasons.isdisjoint(each.after) for each in self._left)

    def after(self, error: GatewayError, seconds_left: float, *, may_repeat: bool, was_sent: bool) -> Step | None:
        """What follows a failed attempt, which may or may not be repeated on the same route; None if nothing does.

        An attempt that was not sent, because its family cannot express the request, is followed by the next route.
        """
        is_repeated = may_repeat and self._tried < ATTEMPTS_PER_ROUTE and _is_passing(error)
        is_inexpressible = not was_sent and error.code == UNSUPPORTED
        step = (self._again(error) if is_repeated else None) or self._another(error, is_inexpressible)
        if step is None or seconds_left < step.wait + LEAST_SECONDS:
            return None
        self._tried = self._tried + 1 if step.alternative is self.current else 1
        self.current = step.alternative
        return step

    def _again(self, error: GatewayError) -> Step | None:
        pause = random.uniform(*FIRST_PAUSE)  # noqa: S311 - no secret, only evenly spread
        wait = max(pause, error.retry_after or 0.0)
        return Step(self.current, wait) if wait <= (SHORT_WAIT if self.has_others else LONGEST_WAIT) else None

    def _another(self, error: GatewayError, is_inexpressible: bool) -> Step | None:
        """The next route that is for this error. Once one was for a client's error, the others for it may follow."""
        is_upstream = is_inexpressible or isinstance(error, (UpstreamError, RateLimitError))
        reasons = self._reasons if is_upstream else {error.code} - {None}
        for index, each in enumerate(self._left):
            if not reasons.isdisjoint(each.after):
                self._left = self._left[index + 1 :]
                self._reasons |= reasons
                return Step(each)
        return None


def _is_passing(error: GatewayError) -> bool:
    """Whether the same route may answer a moment later."""
    match error:
        case UpstreamAuthError():
            return False
        case RateLimitError() | OverloadedError():
            return True
        case UpstreamError():
            return error.code != "unusable_response"  # the provider bills it
        case _:
            return False
