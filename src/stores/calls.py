"""What the calls of both stores have in common: they run to their end, and their errors become one error."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from tollgate.gateway.errors import StoreUnavailableError

T = TypeVar("T")

RETRY_AFTER = 1.0  # seconds; throttling, a failover or a locked file is usually over by then


@dataclass(frozen=True, slots=True)
class StoreErrors:
    """Exceptions of the types `unavailable` mean that the store does not respond.

    They become StoreUnavailableError. Their messages contain account names, hosts and paths, so they are chained for
    the log and are not part of the message. `hint` returns what the owner can do about such an exception, or None; the
    hint is added as a note.
    """

    unavailable: tuple[type[Exception], ...]
    hint: Callable[[Exception], str | None]

    async def translate(self, call: Awaitable[T]) -> T:
        """The result of a call. Raises StoreUnavailableError, and what else the call raises."""
        try:
            return await call
        except self.unavailable as cause:
            error = unavailable_error()
            if hint := self.hint(cause):
                error.add_note(hint)
            raise error from cause


def unavailable_error() -> StoreUnavailableError:
    """The error for a store that does not respond or is closed."""
    return StoreUnavailableError(
        "The store of keys and usage is not available. Try again later.", retry_after=RETRY_AFTER
    )


async def uninterrupted(call: asyncio.Future[T]) -> T:
    """The result of a call that runs to its end, even if the caller is cancelled.

    The caller must know what was written in order to undo it. The cancellation is delivered at its next await.
    """
    try:
        return await asyncio.shield(call)
    except asyncio.CancelledError:
        if call.cancelled():
            raise
    try:
        return await _end_of(call)
    finally:
        caller = asyncio.current_task()
        if caller is not None:
            caller.uncancel()  # the cancellation that was caught, which is requested again
            caller.cancel()


async def _end_of(call: asyncio.Future[T]) -> T:
    """The result of a call, whatever number of times the caller is cancelled meanwhile."""
    while not call.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait((call,))
    return call.result()
