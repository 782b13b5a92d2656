"""How the public methods of DynamoDBStore run, and the state that its parts share."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from types import CoroutineType
from typing import Any, Concatenate, ParamSpec, TypeVar

from tollgate.stores.calls import StoreErrors, uninterrupted
from tollgate.stores.dynamodb.client import DynamoDBClient
from tollgate.stores.dynamodb.errors import DynamoDBError, configuration_hint
from tollgate.stores.dynamodb.table import ContentionError, Table

P = ParamSpec("P")
T = TypeVar("T")

MAX_CONCURRENT_CALLS = 32
"""Many streams of one process settle at the same time. Each further connection costs a TLS handshake."""


class ClosedError(Exception):
    """The store is closed."""


class TableStore:
    """A table and a clock (Unix seconds).

    DynamoDBStore is composed of classes derived from this one, one for each protocol of `gateway.store_ports.Store`.
    Their public methods are decorated with `in_full`.
    """

    def __init__(self, client: DynamoDBClient, table: str, now: Callable[[], float]) -> None:
        self._client = client
        self._table = Table(client, table)
        self._now = now
        description = f"{table} in the region {client.region}"
        self._errors = StoreErrors(
            (DynamoDBError, ContentionError, ClosedError), lambda error: configuration_hint(error, description)
        )
        self._places = asyncio.Semaphore(MAX_CONCURRENT_CALLS)
        self._open_calls = 0
        self._is_closed = False

    async def run(self, call: Coroutine[Any, Any, T]) -> T:
        """Run a call to its end, see `uninterrupted`. Raises StoreUnavailableError, also after `close`."""
        return await self._errors.translate(uninterrupted(asyncio.ensure_future(self._run_in_place(call))))

    def close(self) -> None:
        """Accept no more calls, and close the connections when those that are open have ended."""
        self._is_closed = True
        if not self._open_calls:
            self._client.close()

    async def _run_in_place(self, call: Coroutine[Any, Any, T]) -> T:
        if self._is_closed:
            call.close()
            raise ClosedError
        self._open_calls += 1
        try:
            async with self._places:
                return await call
        finally:
            self._open_calls -= 1
            if self._is_closed and not self._open_calls:
                self._client.close()


S = TypeVar("S", bound=TableStore)


def in_full(
    method: Callable[Concatenate[S, P], Coroutine[Any, Any, T]],
) -> "Callable[Concatenate[S, P], CoroutineType[Any, Any, T]]":
    """Make a coroutine method run in `TableStore.run`."""

    @wraps(method)
    async def run(self: S, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.run(method(self, *args, **kwargs))

    return run
