"""Calls that block, kept off the event loop: threads of a store's own, and one error for whatever fails in them."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from tollgate.gateway.errors import StoreUnavailableError

P = ParamSpec("P")
T = TypeVar("T")

RETRY_AFTER = 1.0  # seconds: throttling, a failover or a busy file are usually over by then


class BlockingCalls:
    """Runs a store's calls on `threads` threads.

    A call once asked for is waited for, even by a caller that is cancelled: what it wrote has to be known to whoever
    must undo it. The cancellation comes back at that caller's next await.

    `failures` are the exceptions that mean that the store does not answer; they become StoreUnavailableError. Their own
    words name accounts, hosts and paths, so they are chained for the log and kept out of the message. Where the owner
    can do something about one, `advice` says what, in a note on the error.
    """

    def __init__(
        self,
        name: str,
        threads: int,
        failures: tuple[type[Exception], ...],
        advice: Callable[[Exception], str | None],
    ) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._failures = failures
        self._advice = advice

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `work` returns or raises. Raises StoreUnavailableError, also where `close` was called before."""
        try:
            future = self._threads.submit(work, *args, **kwargs)
        except RuntimeError as closed:
            raise _unavailable() from closed
        try:
            return await _to_its_end(asyncio.wrap_future(future))
        except self._failures as failure:
            error = _unavailable()
            if advice := self._advice(failure):
                error.add_note(advice)
            raise error from failure

    def close(self) -> None:
        """Take no more calls and wait for those asked for."""
        self._threads.shutdown(wait=True)


async def _to_its_end(call: asyncio.Future[T]) -> T:
    try:
        return await asyncio.shield(call)
    except asyncio.CancelledError:
        result = await call
        caller = asyncio.current_task()
        if caller is not None:
            caller.cancel()
        return result


def _unavailable() -> StoreUnavailableError:
    return StoreUnavailableError("The store of keys and usage does not answer. Try again.", retry_after=RETRY_AFTER)
