"""Connections of the local server: a client that sends slowly, or nothing, cannot keep one for long."""

import asyncio
import socket
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tollgate.gateway.errors import ConfigurationError

HEAD_SECONDS = 10.0
"""Seconds that a request line and its headers may take, and that a new connection may stay silent."""
MESSAGE_SECONDS = 60.0
"""Seconds that a whole request may take, its body included."""
MAX_WAITING = 256
"""How many connections may be waiting for a request at once; for one more, the one that has waited longest is closed.
"""
MAX_HEAD_BYTES = 64 * 1024
"""The size of a request line and its headers, each counted with HEADER_BYTES more. The parser itself knows no limit."""
HEADER_BYTES = 100
MAX_UNPARSED_BYTES = 512 * 1024
"""Bytes that may arrive before the end of a head. One read, of at most half as many, can hold the end of the request
before."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises ConfigurationError.

    asyncio sends small writes at once (TCP_NODELAY) only on sockets with the protocol TCP.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()  # a client may connect as soon as it knows the address
    except OSError as error:
        listener.close()
        raise ConfigurationError(f"{host}:{port} cannot be listened on: {error.strerror}") from error
    return listener


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 protocol with limits for requests. Between requests uvicorn's own time limit applies."""

    waiting: "dict[BoundedProtocol, None]"
    head_seconds = HEAD_SECONDS
    message_seconds = MESSAGE_SECONDS
    max_waiting = MAX_WAITING

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._timer: asyncio.TimerHandle | None = None
        self._in_head = False
        self._head_bytes = self._unparsed_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """See asyncio.Protocol."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        super().data_received(data)
        self._unparsed_bytes += len(data)
        if self._in_head and self._unparsed_bytes > MAX_UNPARSED_BYTES:
            self._give_up()

    # --- callbacks of the parser ---

    def on_message_begin(self) -> None:
        """A request begins."""
        self._in_head = True
        self._head_bytes = self._unparsed_bytes = 0
        if self._timer is None:
            self._wait()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A piece of the request's target."""
        self._count(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._count(name + value)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The body begins."""
        self._in_head = False
        self._restart(self.message_seconds)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is complete."""
        self._stop_waiting()
        super().on_message_complete()

    def _count(self, part: bytes) -> None:
        """Count a part of the head. Raises ValueError, which the parser reports as an invalid request."""
        self._head_bytes += len(part) + HEADER_BYTES
        if self._head_bytes > MAX_HEAD_BYTES:
            raise ValueError("The head of the request is too large.")

    def _wait(self) -> None:
        """Wait for the next request."""
        if len(self.waiting) >= self.max_waiting:
            next(iter(self.waiting))._give_up()
        self.waiting[self] = None
        self._restart(self.head_seconds)

    def _restart(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, self._give_up)

    def _stop_waiting(self) -> None:
        self.waiting.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._stop_waiting()
        self.transport.abort()


def bounded_protocol() -> type[BoundedProtocol]:
    """The protocol of one server, whose connections are counted together."""
    return type("ServerProtocol", (BoundedProtocol,), {"waiting": {}})
