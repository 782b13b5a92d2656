"""Names to addresses, on threads of their own: a name whose servers are dead keeps a thread for up to half a minute.

asyncio looks names up on the threads that all of a process shares, where a few such names would stop every connection.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

THREADS = 8
MAX_WAITING = 64
"""How many look-ups wait for a thread at the most."""


class Resolver:
    """What `look_up` says, by default this machine's resolver. Threads are made with the first look-up."""

    def __init__(self, look_up: Callable[[str], Sequence[str]] | None = None) -> None:
        self._look_up = look_up or _addresses_of
        self._threads: ThreadPoolExecutor | None = None
        self._open = 0

    async def __call__(self, host: str) -> Sequence[str]:
        """The addresses of a host. Raises OSError where it has none, or too many look-ups are waiting."""
        if self._open >= THREADS + MAX_WAITING:
            raise OSError("too many names are looked up")
        self._threads = self._threads or ThreadPoolExecutor(THREADS, thread_name_prefix="resolver")
        work = self._threads.submit(self._look_up, host)
        self._open += 1
        loop = asyncio.get_running_loop()
        work.add_done_callback(lambda _: loop.call_soon_threadsafe(self._closed))
        return await asyncio.wrap_future(work)

    def _closed(self) -> None:
        self._open -= 1

    def close(self) -> None:
        """Take no more, and wait for none."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)


def _addresses_of(host: str) -> Sequence[str]:
    found = socket.getaddrinfo(host.encode("ascii"), None, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]
