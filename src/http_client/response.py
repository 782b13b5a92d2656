"""One response while it arrives: its status and headers, and its body to read."""

import asyncio
from collections.abc import Callable, Mapping

from tollgate.http_client.errors import (
    ConnectionClosedError,
    HttpClientError,
    ProtocolError,
    ResponseTimeoutError,
    ResponseTooLargeError,
)
from tollgate.http_client.parser import ResponseParser
from tollgate.http_client.waiter import Waiter

MAX_UNREAD_BYTES = 256 * 1024
"""Reading from the connection pauses while more received bytes than this wait for the caller."""


class Response:
    """A response on a connection that it occupies until it is closed. Times are those of the event loop."""

    __slots__ = ("_error", "_loop", "_on_close", "_parser", "_paused", "_transport", "_unread_bytes", "_waiter")

    def __init__(self, method: str, transport: asyncio.Transport, on_close: Callable[[bool], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser = ResponseParser(method)
        self._transport = transport
        self._on_close: Callable[[bool], None] | None = on_close
        self._waiter = Waiter(self._loop)
        self._error: HttpClientError | None = None
        self._paused = False
        self._unread_bytes = 0

    @property
    def status(self) -> int:
        """The status code."""
        return self._parser.status

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers by lower-case name. The values of a repeated header are joined by ", "."""
        return self._parser.headers

    @property
    def is_complete(self) -> bool:
        """Whether the end of the body has arrived, read or not."""
        return self._parser.complete

    async def receive(self, deadline: float) -> bytes:
        """All bytes of the body that have arrived since the last call, in one piece; waits for some.

        Empty at the end of the body. Raises ResponseTimeoutError, ConnectionClosedError, ProtocolError, each after the
        bytes that arrived before it. A call that is cancelled closes the response.
        """
        parser = self._parser
        if not parser.complete and self._loop.time() >= deadline:  # bytes that keep arriving do not extend it
            raise ResponseTimeoutError("The server did not respond in time.")
        while not parser.body and not parser.complete:
            await self._wait(deadline)
        data = b"".join(parser.body)
        parser.body.clear()
        self._resume()
        return data

    async def read(self, deadline: float, max_bytes: int) -> bytes:
        """The whole body, or what is left of it. Raises ResponseTooLargeError, and what `receive` raises."""
        body = bytearray()
        while data := await self.receive(deadline):
            if len(body) + len(data) > max_bytes:
                raise ResponseTooLargeError(f"The body is larger than {max_bytes} bytes.")
            if not body and self._parser.complete:  # the usual case, which needs no copy
                return data
            body += data
        return bytes(body)

    def close(self) -> None:
        """Release the connection. It is kept for another request only if the end of the body has arrived."""
        on_close, self._on_close = self._on_close, None
        if on_close is None:
            return
        self._waiter.cancel_timer()
        self.fail(ConnectionClosedError("The response was closed."))
        self._resume()
        parser = self._parser
        # An unsent part of the request would be read by the server as part of the next one.
        on_close(parser.complete and parser.keep_alive and not self._transport.get_write_buffer_size())

    # --- called by the connection ---

    async def wait_for_head(self, deadline: float) -> None:
        """Wait for status and headers. Raises what `receive` raises."""
        while not self._parser.status:
            await self._wait(deadline)

    def feed(self, data: bytes) -> None:
        """Accept bytes of the connection."""
        if self._error is not None:
            return
        try:
            self._parser.feed(data)
        except ProtocolError as error:
            self.fail(error)
            return
        self._unread_bytes += len(data)
        if self._unread_bytes > MAX_UNREAD_BYTES and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._waiter.wake()

    def feed_eof(self) -> None:
        """The server sends nothing more."""
        try:
            self._parser.feed_eof()
        except ConnectionClosedError as error:
            self.fail(error)
        self._waiter.wake()

    def fail(self, error: HttpClientError) -> None:
        """End the response with an error, unless it is complete or has failed already."""
        if not self._parser.complete and self._error is None:
            self._error = error
            self._waiter.wake()

    async def _wait(self, deadline: float) -> None:
        """Wait for more bytes. Raises the error in which the response has ended."""
        if self._error is not None:
            raise self._error
        try:
            await self._waiter.wait(deadline)
        except asyncio.CancelledError:
            self.close()
            raise

    def _resume(self) -> None:
        self._unread_bytes = 0
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
