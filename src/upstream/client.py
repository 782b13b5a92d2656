"""The HTTP client for providers: pooled connections, four timeouts, one retry if a pooled connection was dead."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, cast

import httpx

from tollgate.gateway.catalog import Provider
from tollgate.gateway.errors import UpstreamError, UpstreamTimeoutError
from tollgate.gateway.types import UpstreamRequest
from tollgate.upstream.auth import Credentials, credential_headers
from tollgate.upstream.decoding import Decoder
from tollgate.upstream.echo_transport import EchoTransport
from tollgate.upstream.sigv4 import Signer, in_region, lacks_credentials, lacks_region

DRAIN_SECONDS = 0.05
"""Seconds to wait for the rest of a body when a response is closed. A connection that was read to the end is reused."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Timeouts of a call in seconds: to connect, until the first byte, between bytes, and in total."""

    connect: float = 5
    first_byte: float = 300
    idle: float = 120
    total: float = 840


class UpstreamClient:
    """Sends requests to providers; see `gateway.ports.Upstream`. A process creates one, and closes it at its end."""

    def __init__(self, credentials: Credentials, timeouts: Timeouts) -> None:
        self._credentials = credentials
        self._signer = Signer()
        self._timeouts = timeouts
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(timeouts.connect, read=None),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=100, keepalive_expiry=60),
            # Compression delays streams. A response that is compressed nevertheless is decompressed.
            headers={"accept-encoding": "identity", "user-agent": "tollgate"},
            mounts={"echo://": EchoTransport()},
            # No cookies are stored: they would be sent with the requests of other clients.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )

    def has_credential(self, provider: Provider) -> bool:
        """See Upstream."""
        if lacks_region(provider) or (provider.auth == "sigv4" and lacks_credentials()):
            return False
        return provider.credential is None or not self._credentials.is_missing(provider.credential)

    async def send(self, request: UpstreamRequest, provider: Provider, deadline: float | None) -> "UpstreamResponse":
        """See Upstream."""
        await asyncio.sleep(0)  # raises CancelledError if the caller was cancelled while its hold was being reserved
        request = in_region(request, provider)
        if provider.auth == "sigv4":
            headers = await self._signer.headers(request, provider)
        else:
            headers = {**request.headers, **await credential_headers(provider, self._credentials)}
        now = asyncio.get_running_loop().time()
        end = min(now + self._timeouts.total, now + self._timeouts.total if deadline is None else deadline)
        first_byte_by = min(now + self._timeouts.first_byte, end)
        async with _translate_errors(first_byte_by):
            response = await self._send(request, headers)
        return UpstreamResponse(response, request.max_response_bytes, first_byte_by, self._timeouts.idle, end)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._http.aclose()

    async def _send(self, request: UpstreamRequest, headers: Mapping[str, str]) -> httpx.Response:
        """Send and wait for the headers. Retries once if a pooled connection was dead, as after a freeze in Lambda."""
        connection = _Connection()
        try:
            return await self._send_once(request, headers, connection)
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
            if connection.is_new or connection.has_response:
                raise
        return await self._send_once(request, headers, _Connection())

    async def _send_once(
        self, request: UpstreamRequest, headers: Mapping[str, str], connection: "_Connection"
    ) -> httpx.Response:
        outgoing = self._http.build_request(
            request.method, request.url, content=request.body, headers=headers, extensions={"trace": connection.trace}
        )
        response = connection.response = await self._http.send(outgoing, stream=True)
        return response


class _Connection:
    """The state of a call's connection: whether it is new, and whether a response has begun."""

    def __init__(self) -> None:
        self.is_new = False
        self.has_response = False
        self.response: httpx.Response | None = None

    async def trace(self, event: str, info: Any) -> None:
        if event == "connection.connect_tcp.started":
            self.is_new = True
        elif event == "http11.receive_response_headers.complete":
            self.has_response = True
        elif event == "http11.response_closed.started" and self.response is not None:
            _discard_if_trailing_data(self.response)


def _discard_if_trailing_data(response: httpx.Response) -> None:
    """Keep a connection with bytes after the response out of the pool: they would be read as the next response.

    httpx pools a connection unless its HTTP/1.1 state is an error. That state is not public, so it is read from the
    private attributes of httpcore, whose version is pinned.
    """
    state: Any = response.stream
    for name in ("_stream", "_httpcore_stream", "_stream", "_connection", "_h11_state"):
        state = getattr(state, name, None)
    if state is not None and state.trailing_data[0]:
        state.send_failed()


class UpstreamResponse:
    """See gateway.ports.UpstreamResponse. Times are those of the event loop's clock."""

    def __init__(self, response: httpx.Response, max_bytes: int, first_byte_by: float, idle: float, end: float) -> None:
        self._response = response
        self._max_bytes = max_bytes
        self._first_byte_by = first_byte_by
        self._idle = idle
        self._end = end
        self._ends_at: float | None = None
        self._bytes = cast("AsyncGenerator[bytes, None]", response.aiter_raw())
        self.status = response.status_code
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}
        self._decoded = self._decode()

    async def read(self) -> bytes:
        """See gateway.ports.UpstreamResponse. A body larger than the request allows is an UpstreamError."""
        pieces: list[bytes] = []
        size = 0
        async for piece in self.stream():
            pieces.append(piece)
            size += len(piece)
            if size > self._max_bytes:
                raise UpstreamError("The provider's response is too large.", code="unusable_response")
        return b"".join(pieces)

    def stream(self) -> AsyncIterator[bytes]:
        """See gateway.ports.UpstreamResponse. Another call continues where the previous iteration stopped."""
        return self._decoded

    async def _decode(self) -> AsyncGenerator[bytes, None]:
        loop = asyncio.get_running_loop()
        decoder = Decoder(self.headers.get("content-encoding", ""))
        deadline = self._first_byte_by
        while self._ends_at is None or loop.time() < self._ends_at:
            try:
                async with _translate_errors(deadline if self._ends_at is None else min(self._ends_at, self._end)):
                    data = await anext(self._bytes, None)
            except UpstreamTimeoutError:
                if self._ends_at is None:
                    raise
                return
            if data is None:
                decoder.close()
                return
            for piece in decoder.feed(data):
                yield piece
            deadline = min(loop.time() + self._idle, self._end)

    def end_within(self, seconds: float | None) -> None:
        """See gateway.ports.UpstreamResponse."""
        self._ends_at = None if seconds is None else asyncio.get_running_loop().time() + seconds

    async def aclose(self) -> None:
        """See gateway.ports.UpstreamResponse."""
        with suppress(TimeoutError, httpx.HTTPError):
            async with asyncio.timeout(DRAIN_SECONDS), aclosing(self._bytes) as rest:
                async for _ in rest:
                    pass
        await self._response.aclose()


@asynccontextmanager
async def _translate_errors(deadline: float) -> AsyncGenerator[None]:
    """Raise network errors, and a timeout at `deadline` (the event loop's time), as UpstreamError."""
    try:
        async with asyncio.timeout_at(deadline):
            yield
    except httpx.ConnectTimeout as error:
        raise UpstreamTimeoutError("The provider cannot be reached.", code="upstream_unreachable") from error
    except (TimeoutError, httpx.TimeoutException) as error:
        raise UpstreamTimeoutError("The provider did not respond in time.") from error
    except httpx.ConnectError as error:
        raise UpstreamError("The provider cannot be reached.", code="upstream_unreachable") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UpstreamError("The connection to the provider broke.", code="upstream_disconnected") from error
