"""A pool of HTTP/1.1 connections, which sends requests on them."""

import asyncio
from collections.abc import Mapping

from tollgate.http_client.connection import Connection
from tollgate.http_client.connector import Connector
from tollgate.http_client.errors import ConnectionClosedError, ResponseTimeoutError
from tollgate.http_client.proxies import Proxies
from tollgate.http_client.request import Origin, encode_head, parse_url
from tollgate.http_client.response import Response


class ConnectionPool:
    """Connections to any number of servers, as many as there are requests at once.

    Up to `max_idle` of them are kept for later requests, each for at most `idle_seconds`. `connect_timeout` is in
    seconds. A connection that dies later than `resend_seconds` after a request was sent may have delivered it, and a
    provider would bill it twice. Proxies and certificate authorities are those of the environment.
    """

    def __init__(
        self, *, connect_timeout: float = 5, idle_seconds: float = 60, max_idle: int = 100, resend_seconds: float = 1
    ) -> None:
        self._connector = Connector(connect_timeout)
        self._proxies = Proxies()
        self._idle_seconds = idle_seconds
        self._max_idle = max_idle
        self._resend_seconds = resend_seconds
        self._open: set[Connection] = set()
        self._idle: dict[Connection, float] = {}  # the oldest first, with the time at which each expires
        self._closed = False

    async def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        first_byte_by: float,
        connect_within: float | None = None,
    ) -> Response:
        """Send a request and wait for status and headers, until `first_byte_by` of the event loop's time.

        `connect_within` are seconds for a new connection, in place of the pool's own.

        `host` and `content-length` are set here. A server may have closed a pooled connection meanwhile: if one proves
        dead within `resend_seconds`, before a byte of the response, the request is sent once more, on a new connection.
        Raises HttpClientError.
        """
        loop = asyncio.get_running_loop()
        origin, target, authority = parse_url(url)
        proxy = self._proxies.of(origin)
        if proxy is not None and origin.scheme == "http":
            target = f"http://{authority}{target}"
            headers = {**headers, **proxy.headers}
        head = encode_head(method, target, authority, headers, len(body))
        if loop.time() >= first_byte_by:
            raise ResponseTimeoutError("The server did not respond in time.")
        sent_at = loop.time()
        connection = self._take_idle(origin, sent_at)
        if connection is not None:
            try:
                return await connection.exchange(method, head, body, first_byte_by)
            except ConnectionClosedError:
                if self._closed or not connection.is_silent or loop.time() - sent_at > self._resend_seconds:
                    raise
            except ResponseTimeoutError:
                self._drop_idle(origin)  # they may be as dead as this one
                raise
        connection = Connection(origin, self._keep, self._forget)
        await self._connector.connect(connection, proxy, first_byte_by, connect_within)
        if self._closed:
            connection.abort()
            raise ConnectionClosedError("The pool is closed.")
        if connection.is_open:
            self._open.add(connection)
        return await connection.exchange(method, head, body, first_byte_by)

    def close(self) -> None:
        """Close every connection. Requests that are open fail."""
        self._closed = True
        for connection in self._open:
            connection.abort()
        self._idle.clear()

    def _take_idle(self, origin: Origin, now: float) -> Connection | None:
        """The connection to an origin that was used last: it is the least likely to have been closed."""
        self._drop_expired(now)
        for connection in [found for found in reversed(self._idle) if found.origin == origin]:
            del self._idle[connection]
            if connection.is_open and not connection.has_unread_bytes():
                return connection
            connection.abort()
        return None

    def _keep(self, connection: Connection) -> None:
        """Keep a connection for another request."""
        if self._closed:
            connection.abort()
            return
        now = asyncio.get_running_loop().time()
        self._drop_expired(now)
        if len(self._idle) >= self._max_idle:
            self._drop_oldest()
        self._idle[connection] = now + self._idle_seconds

    def _forget(self, connection: Connection) -> None:
        """Remove a connection that was closed, also by the server while it was idle."""
        self._idle.pop(connection, None)
        self._open.discard(connection)

    def _drop_expired(self, now: float) -> None:
        while self._idle and next(iter(self._idle.values())) <= now:
            self._drop_oldest()

    def _drop_idle(self, origin: Origin) -> None:
        for connection in [found for found in self._idle if found.origin == origin]:
            del self._idle[connection]
            connection.abort()

    def _drop_oldest(self) -> None:
        connection = next(iter(self._idle))
        del self._idle[connection]
        connection.abort()
