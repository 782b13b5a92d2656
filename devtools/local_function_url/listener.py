"""A TCP listener that tracks its connections, so that it can close them."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from devtools.local_function_url.http1 import RecordingReader

Serve = Callable[[RecordingReader, asyncio.StreamWriter], Awaitable[None]]

_BUFFER = 1024 * 1024
MAX_CONNECTIONS = 512
"""Further connections are closed at once."""


class Listener:
    """Runs ``serve`` for every connection and closes the connection when ``serve`` returns."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, host: str, port: int = 0) -> int:
        """Start to listen; port 0 takes a free one. Returns the port."""
        loop = asyncio.get_running_loop()

        def protocol() -> asyncio.StreamReaderProtocol:
            reader = RecordingReader(limit=_BUFFER, loop=loop)
            return asyncio.StreamReaderProtocol(reader, self._accept, loop=loop)

        self._server = await loop.create_server(protocol, host, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def drain(self, seconds: float) -> None:
        """Wait until all connections have ended, at most for this time."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    async def abort_connections(self) -> None:
        """Abort all open connections."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> None:
        """Stop listening and abort all connections."""
        if self._server:
            self._server.close()
            await self.abort_connections()
            await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert isinstance(reader, RecordingReader)
        if len(self._tasks) >= MAX_CONNECTIONS:
            writer.transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self._handle(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handle(self, reader: RecordingReader, writer: asyncio.StreamWriter) -> None:
        try:
            # A peer that disconnects or sends invalid HTTP ends its own connection only.
            with suppress(OSError, EOFError, ValueError, asyncio.LimitOverrunError):
                await self._serve(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
