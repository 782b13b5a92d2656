"""A DNS resolver with threads of its own: a name whose servers do not respond blocks a thread for up to 30 seconds.

asyncio resolves names on the default executor of the event loop, where a few such names would block all connections.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

THREADS = 8
MAX_WAITING = 64
"""Maximum number of lookups that wait for a thread."""


class Resolver:
    """Runs `lookup`, by default the system's resolver, on threads that are created at the first lookup."""

    def __init__(self, lookup: Callable[[str], Sequence[str]] | None = None) -> None:
        self._lookup = lookup or _system_lookup
        self._threads: ThreadPoolExecutor | None = None
        self._pending = 0

    async def __call__(self, host: str) -> Sequence[str]:
        """The addresses of a host. Raises OSError if it has none, or if too many lookups are waiting."""
        if self._pending >= THREADS + MAX_WAITING:
            raise OSError("too many DNS lookups")
        self._threads = self._threads or ThreadPoolExecutor(THREADS, thread_name_prefix="resolver")
        future = self._threads.submit(self._lookup, host)
        self._pending += 1
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._done))
        return await asyncio.wrap_future(future)

    def _done(self) -> None:
        self._pending -= 1

    def close(self) -> None:
        """Accept no more lookups, and wait for none."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)


def _system_lookup(host: str) -> Sequence[str]:
    entries = socket.getaddrinfo(host.encode("ascii"), None, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in entries]
