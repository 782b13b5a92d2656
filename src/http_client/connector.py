"""Opens connections: addresses, TLS, and proxies."""

import asyncio
import math
import os
import ssl
from functools import lru_cache

from tollgate.http_client.connection import Connection
from tollgate.http_client.errors import ConnectError, ConnectTimeoutError, HttpClientError, ResponseTimeoutError
from tollgate.http_client.proxies import Proxy
from tollgate.http_client.request import Origin, encode_head

HAPPY_EYEBALLS_SECONDS = 0.25
"""Seconds after which the next address is tried beside the first (RFC 8305, section 5)."""


class Connector:
    """Opens connections within `timeout` seconds each."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout

    async def connect(
        self, connection: Connection, proxy: Proxy | None, deadline: float, within: float | None = None
    ) -> None:
        """Open `connection`, through a proxy if there is one, within so many seconds if they are given.

        Raises ConnectError, ConnectTimeoutError, and ResponseTimeoutError at `deadline`, a time of the event loop.
        """
        connect_by = asyncio.get_running_loop().time() + (within or self._timeout)
        try:
            async with asyncio.timeout_at(min(connect_by, deadline)):
                await self._open(connection, proxy)
        except TimeoutError as error:
            if deadline < connect_by:
                raise ResponseTimeoutError("The server did not respond in time.") from error
            raise ConnectTimeoutError("The server cannot be reached in time.") from error
        except (OSError, UnicodeError) as error:  # UnicodeError: a host name with an empty or a too long label
            raise ConnectError("The server cannot be reached.") from error

    async def _open(self, connection: Connection, proxy: Proxy | None) -> None:
        if proxy is not None and connection.origin.scheme == "https":
            await self._open_through_tunnel(connection, proxy)
        else:
            await self._open_transport(connection, proxy.origin if proxy else connection.origin)

    async def _open_transport(self, connection: Connection, to: Origin) -> None:
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: connection,
                to.host,
                to.port,
                ssl=tls_context() if to.scheme == "https" else None,
                happy_eyeballs_delay=HAPPY_EYEBALLS_SECONDS,
            )
        except BaseException:
            connection.abort()  # it may be open: a cancellation can come at the same time
            raise

    async def _open_through_tunnel(self, connection: Connection, proxy: Proxy) -> None:
        """Make a proxy connect to the origin (RFC 9110, section 9.3.6), and speak TLS with the origin through it."""
        origin = connection.origin
        tunnel = Connection(proxy.origin, _ignore, _ignore)
        await self._open_transport(tunnel, proxy.origin)
        try:
            transport = await _connect_tunnel(tunnel, origin, proxy)
            loop = asyncio.get_running_loop()
            encrypted = await loop.start_tls(transport, connection, tls_context(), server_hostname=origin.host)
            if encrypted is None:
                raise ConnectError("The proxy closed the connection.")
            connection.connection_made(encrypted)
        except BaseException:
            tunnel.abort()
            raise


async def _connect_tunnel(tunnel: Connection, origin: Origin, proxy: Proxy) -> asyncio.Transport:
    """The transport to the origin. Raises ConnectError if the proxy refuses."""
    target = f"[{origin.host}]:{origin.port}" if ":" in origin.host else f"{origin.host}:{origin.port}"
    head = encode_head("CONNECT", target, target, proxy.headers, 0)
    try:
        response = await tunnel.exchange("CONNECT", head, b"", math.inf)
    except HttpClientError as error:
        raise ConnectError("The proxy does not respond as a proxy.") from error
    if not 200 <= response.status < 300:
        raise ConnectError(f"The proxy refuses to connect, with HTTP status {response.status}.")
    response.close()
    if not tunnel.is_open or tunnel.transport is None:
        raise ConnectError("The proxy does not respond as a proxy.")
    return tunnel.transport


def _ignore(connection: Connection) -> None:
    """Do nothing: a tunnel is not pooled; the connection through it is."""


def tls_context() -> ssl.SSLContext:
    """The context of every connection. It trusts the authorities of SSL_CERT_FILE or SSL_CERT_DIR, else certifi's, as
    httpx does."""
    return _create_tls_context(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@lru_cache(2)  # reading the authorities takes 15 ms
def _create_tls_context(file: str | None, directory: str | None) -> ssl.SSLContext:
    if not file and not directory:
        import certifi

        file = certifi.where()
    context = ssl.create_default_context(cafile=file or None, capath=None if file else directory)
    context.set_alpn_protocols(["http/1.1"])
    return context
