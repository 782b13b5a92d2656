"""Waits for events, each until its own deadline, with one timer for all of them.

A timer for each event would cost more than to read the event.
"""

import asyncio

from tollgate.http_client.errors import ResponseTimeoutError


class Waiter:
    """One caller that waits. Deadlines are times of the event loop."""

    __slots__ = ("_deadline", "_future", "_loop", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._deadline = 0.0
        self._future: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def wait(self, deadline: float) -> None:
        """Wait until `wake` is called. Raises ResponseTimeoutError at the deadline."""
        self._deadline = deadline
        if self._timer is None or self._timer.when() > deadline:  # one that fires earlier is set again when it does
            self.cancel_timer()
            self._timer = self._loop.call_at(deadline, self._on_timer)
        self._future = self._loop.create_future()
        try:
            await self._future
        finally:
            self._future = None

    def wake(self) -> None:
        """End the wait, if there is one."""
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    def cancel_timer(self) -> None:
        """Release the timer, which refers to this object."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timer(self) -> None:
        self._timer = None
        if self._future is None or self._future.done():
            return
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._on_timer)
        else:
            self._future.set_exception(ResponseTimeoutError("The server did not respond in time."))
