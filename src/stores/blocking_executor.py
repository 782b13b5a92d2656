"""Runs the blocking calls of a store on threads, so that they do not block the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from types import CoroutineType
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from tollgate.stores.calls import StoreErrors, unavailable_error, uninterrupted

P = ParamSpec("P")
T = TypeVar("T")


class BlockingExecutor:
    """Runs blocking functions on one thread. A submitted call always runs to its end, see `uninterrupted`."""

    def __init__(self, name: str, errors: StoreErrors) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._errors = errors

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return or raise what `function` does. Raises StoreUnavailableError, also after `close`."""
        try:
            future = self._thread.submit(function, *args, **kwargs)
        except RuntimeError as closed:
            raise unavailable_error() from closed
        return await self._errors.translate(uninterrupted(asyncio.wrap_future(future)))

    def close(self) -> None:
        """Wait for submitted calls and accept no more."""
        self._thread.shutdown(wait=True)


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
