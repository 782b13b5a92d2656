"""One connection, which serves one request after another."""

import asyncio
import select
from collections.abc import Callable
from typing import cast

from tollgate.http_client.errors import ConnectionClosedError
from tollgate.http_client.request import Origin
from tollgate.http_client.response import Response

MAX_JOINED_BYTES = 64 * 1024
"""Head and body of a request up to this size are copied into one: one write is one packet, or few."""


class Connection(asyncio.Protocol):
    """A connection to `origin`. It calls `on_idle` when it can serve another request, and `on_closed` at its end."""

    def __init__(
        self, origin: Origin, on_idle: Callable[["Connection"], None], on_closed: Callable[["Connection"], None]
    ) -> None:
        self.origin = origin
        self.is_silent = True
        """Whether nothing has arrived since the last request was sent."""
        self._on_idle = on_idle
        self._on_closed = on_closed
        self.transport: asyncio.Transport | None = None
        self._response: Response | None = None
        self._may_hold_body = False

    @property
    def is_open(self) -> bool:
        """Whether a request can be sent as far as is known; a closed server may not have been noticed yet."""
        return self.transport is not None and not self.transport.is_closing()

    async def exchange(self, method: str, head: bytes, body: bytes, deadline: float) -> Response:
        """Send a request and wait for status and headers. Raises the errors of `Response.receive`."""
        transport = self.transport
        if transport is None or transport.is_closing():
            raise ConnectionClosedError("The connection is closed.")
        self.is_silent = True
        response = self._response = Response(method, transport, self._end_response)
        is_small = len(head) + len(body) <= MAX_JOINED_BYTES
        self._may_hold_body = not is_small and self.origin.scheme == "https"
        if is_small:
            transport.write(head + body)
        else:
            transport.writelines((head, body))
        try:
            await response.wait_for_head(deadline)
        except BaseException:
            response.close()
            raise
        return response

    def has_unread_bytes(self) -> bool:
        """Whether bytes, or the end, wait to be read by the event loop, as after a pause of the process."""
        socket = None if self.transport is None else self.transport.get_extra_info("socket")
        if socket is None or not hasattr(select, "poll"):  # Windows
            return False
        poll = select.poll()
        poll.register(socket.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def abort(self) -> None:
        """Close at once. What is unsent is lost."""
        if self.transport is not None:
            self.transport.abort()

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.is_silent = False
        if self._response is None:
            self.abort()  # nothing was requested
        else:
            self._response.feed(data)

    def eof_received(self) -> None:
        """Let the transport close: a server that has closed its side answers no request."""
        if self._response is not None:
            self._response.feed_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._response is not None:
            self._response.fail(ConnectionClosedError("The connection was closed before the end of the response."))
        self._on_closed(self)

    def _end_response(self, is_reusable: bool) -> None:
        response, self._response = self._response, None
        # A server that refuses a request may not have read its body, and what TLS holds of it is not known.
        is_refused = response is not None and response.status >= 400
        if is_reusable and self.is_open and not (is_refused and self._may_hold_body):
            self._on_idle(self)
        else:
            self.abort()
