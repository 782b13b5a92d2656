"""A TCP listener whose connections are all known, so that they can all be closed."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from devtools.local_function_url.wire import TapReader

Serve = Callable[[TapReader, asyncio.StreamWriter], Awaitable[None]]

_BUFFER = 1024 * 1024
MAX_CONNECTIONS = 512
"""One more is closed as it comes."""


class Listener:
    """Listens on ``host`` and runs ``serve`` for every connection; a connection ends with its ``serve``."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, host: str, port: int = 0) -> int:
        """Start to listen; port 0 lets the system choose. Gives the port."""
        loop = asyncio.get_running_loop()

        def protocol() -> asyncio.StreamReaderProtocol:
            reader = TapReader(limit=_BUFFER, loop=loop)
            return asyncio.StreamReaderProtocol(reader, self._accept, loop=loop)

        self._server = await loop.create_server(protocol, host, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def drain(self, seconds: float) -> None:
        """Give the connections time to come to their own end."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    async def drop_connections(self) -> None:
        """End every connection that is open now, without ceremony."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> None:
        """Stop to listen and end every connection."""
        if self._server:
            self._server.close()
            await self.drop_connections()
            await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert isinstance(reader, TapReader)
        if len(self._tasks) >= MAX_CONNECTIONS:
            writer.transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self._converse(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _converse(self, reader: TapReader, writer: asyncio.StreamWriter) -> None:
        try:
            # A peer that leaves or talks nonsense ends its own connection and nothing else.
            with suppress(OSError, EOFError, ValueError, asyncio.LimitOverrunError):
                await self._serve(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
