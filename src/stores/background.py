"""Runs work on the store that no request waits for; a store that does not respond ends it without an error."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from tollgate.gateway.errors import StoreUnavailableError


class Background:
    """The tasks that are running."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Start work."""
        task = asyncio.ensure_future(_quietly(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def idle(self) -> None:
        """Wait until nothing runs any more."""
        await asyncio.gather(*self._tasks)


async def _quietly(work: Coroutine[Any, Any, None]) -> None:
    with suppress(StoreUnavailableError):
        await work
