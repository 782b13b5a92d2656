"""Runs the blocking calls of a store on threads, so that they do not block the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from types import CoroutineType
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from tollgate.gateway.errors import StoreUnavailableError

P = ParamSpec("P")
T = TypeVar("T")

RETRY_AFTER = 1.0  # seconds; throttling, a failover or a locked file is usually over by then


class BlockingExecutor:
    """Runs blocking functions on `threads` threads.

    A submitted call always runs to its end, even if its caller is cancelled: the caller must know what was written in
    order to undo it. The cancellation is delivered at the caller's next await.

    Exceptions of the types `unavailable` mean that the store does not respond. They become StoreUnavailableError. Their
    messages contain account names, hosts and paths, so they are chained for the log and are not part of the message.
    `hint` returns what the owner can do about such an exception, or None; the hint is added as a note.
    """

    def __init__(
        self,
        name: str,
        threads: int,
        unavailable: tuple[type[Exception], ...],
        hint: Callable[[Exception], str | None],
    ) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._unavailable = unavailable
        self._hint = hint

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return or raise what `function` does. Raises StoreUnavailableError, also after `close`."""
        try:
            future = self._threads.submit(function, *args, **kwargs)
        except RuntimeError as closed:
            raise _unavailable_error() from closed
        try:
            return await _uninterrupted(asyncio.wrap_future(future))
        except self._unavailable as cause:
            error = _unavailable_error()
            if hint := self._hint(cause):
                error.add_note(hint)
            raise error from cause

    def close(self) -> None:
        """Wait for submitted calls and accept no more."""
        self._threads.shutdown(wait=True)


class _HasExecutor(Protocol):
    @property
    def executor(self) -> BlockingExecutor: ...


S = TypeVar("S", bound=_HasExecutor)


def in_executor(method: Callable[Concatenate[S, P], T]) -> "Callable[Concatenate[S, P], CoroutineType[Any, Any, T]]":
    """Turn a blocking method into a coroutine method that runs in the object's `executor`."""

    @wraps(method)
    async def run(self: S, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.executor.run(method, self, *args, **kwargs)

    return run


async def _uninterrupted(call: asyncio.Future[T]) -> T:
    try:
        return await asyncio.shield(call)
    except asyncio.CancelledError:
        result = await call
        caller = asyncio.current_task()
        if caller is not None:
            caller.cancel()
        return result


def _unavailable_error() -> StoreUnavailableError:
    return StoreUnavailableError(
        "The store of keys and usage is not available. Try again later.", retry_after=RETRY_AFTER
    )
