"""The way out: one pooled HTTP client for the life of the process, four clocks, one retry on a dead connection."""

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
"""How long an answer's last bytes are waited for when it is let go: read to its end, a connection can be used again."""

MAX_BODY_BYTES = 16 * 1024 * 1024
"""Of a whole answer: a picture in it has some megabytes, text some hundred kilobytes. Parsed, it takes far more."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a provider may take, in seconds: to connect, to its first byte, between bytes, and for all of it."""

    connect: float = 5
    first_byte: float = 300
    idle: float = 120
    total: float = 840


class UpstreamClient:
    """Sends to providers. Build it once; `aclose` it at the end."""

    def __init__(self, credentials: Credentials, clocks: Timeouts) -> None:
        self._credentials = credentials
        self._signer = Signer()
        self._clocks = clocks
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(clocks.connect, read=None),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=100, keepalive_expiry=60),
            # Streams are not worth the wait of compressing them; an answer that is compressed all the same is decoded.
            headers={"accept-encoding": "identity", "user-agent": "tollgate"},
            mounts={"echo://": EchoTransport()},
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # one client's must never reach another's call
        )

    def has_credential(self, provider: Provider) -> bool:
        """See Upstream."""
        if lacks_region(provider) or (provider.auth == "sigv4" and lacks_credentials()):
            return False
        return provider.credential is None or not self._credentials.is_missing(provider.credential)

    async def send(self, request: UpstreamRequest, provider: Provider, deadline: float | None) -> "UpstreamResponse":
        """See Upstream."""
        await asyncio.sleep(0)  # a caller that was cancelled while its hold was opened hears of it here
        request = in_region(request, provider)
        if provider.auth == "sigv4":
            headers = await self._signer.headers(request, provider)
        else:
            headers = {**request.headers, **await credential_headers(provider, self._credentials)}
        now = asyncio.get_running_loop().time()
        end = min(now + self._clocks.total, now + self._clocks.total if deadline is None else deadline)
        first_byte_by = min(now + self._clocks.first_byte, end)
        async with _failures(first_byte_by):
            response = await self._open(request, headers)
        return UpstreamResponse(response, first_byte_by, self._clocks.idle, end)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._http.aclose()

    async def _open(self, request: UpstreamRequest, headers: Mapping[str, str]) -> httpx.Response:
        """Status and headers. A pooled connection that has died, as they do while a Lambda is frozen, is tried anew."""
        connection = _Connection()
        try:
            return await self._send(request, headers, connection)
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
            if connection.is_new or connection.has_answered:
                raise
        return await self._send(request, headers, _Connection())

    async def _send(
        self, request: UpstreamRequest, headers: Mapping[str, str], connection: "_Connection"
    ) -> httpx.Response:
        outgoing = self._http.build_request(
            request.method, request.url, content=request.body, headers=headers, extensions={"trace": connection.trace}
        )
        response = connection.response = await self._http.send(outgoing, stream=True)
        return response


class _Connection:
    """What one call sees of its connection: whether it was made for it, and whether an answer had begun."""

    def __init__(self) -> None:
        self.is_new = False
        self.has_answered = False
        self.response: httpx.Response | None = None

    async def trace(self, event: str, info: Any) -> None:
        if event == "connection.connect_tcp.started":
            self.is_new = True
        elif event == "http11.receive_response_headers.complete":
            self.has_answered = True
        elif event == "http11.response_closed.started" and self.response is not None:
            _close_where_more_has_come(self.response)


def _close_where_more_has_come(response: httpx.Response) -> None:
    """A second answer that nobody asked for lies behind this one: on a kept connection the next caller would get it.

    httpx keeps a connection unless its HTTP/1.1 state is an error. It shows that state nowhere, so it is looked for
    where httpcore, whose version is pinned, keeps it.
    """
    at: Any = response.stream
    for name in ("_stream", "_httpcore_stream", "_stream", "_connection", "_h11_state"):
        at = getattr(at, name, None)
    if at is not None and at.trailing_data[0]:
        at.send_failed()


class UpstreamResponse:
    """See gateway.ports.UpstreamResponse."""

    def __init__(self, response: httpx.Response, first_byte_by: float, idle: float, end: float) -> None:
        self._response = response
        self._first_byte_by = first_byte_by
        self._idle = idle
        self._end = end
        self._whole_at: float | None = None
        self._bytes = cast("AsyncGenerator[bytes, None]", response.aiter_raw())
        self.status = response.status_code
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}
        self._pieces = self._decoded()

    async def read(self) -> bytes:
        """See gateway.ports.UpstreamResponse; an answer larger than MAX_BODY_BYTES is refused."""
        pieces: list[bytes] = []
        size = 0
        async for piece in self.stream():
            pieces.append(piece)
            size += len(piece)
            if size > MAX_BODY_BYTES:
                raise UpstreamError("The provider's answer is too large.")
        return b"".join(pieces)

    def stream(self) -> AsyncIterator[bytes]:
        """See gateway.ports.UpstreamResponse; whoever asks again goes on where the last one stopped."""
        return self._pieces

    async def _decoded(self) -> AsyncGenerator[bytes, None]:
        loop = asyncio.get_running_loop()
        decoder = Decoder(self.headers.get("content-encoding", ""))
        by = self._first_byte_by
        while self._whole_at is None or loop.time() < self._whole_at:
            try:
                async with _failures(by if self._whole_at is None else min(self._whole_at, self._end)):
                    data = await anext(self._bytes, None)
            except UpstreamTimeoutError:
                if self._whole_at is None:
                    raise
                return
            if data is None:
                decoder.close()
                return
            for piece in decoder.feed(data):
                yield piece
            by = min(loop.time() + self._idle, self._end)

    def end_within(self, seconds: float | None) -> None:
        """See gateway.ports.UpstreamResponse."""
        self._whole_at = None if seconds is None else asyncio.get_running_loop().time() + seconds

    async def aclose(self) -> None:
        """See gateway.ports.UpstreamResponse."""
        with suppress(TimeoutError, httpx.HTTPError):
            async with asyncio.timeout(DRAIN_SECONDS), aclosing(self._bytes) as rest:
                async for _ in rest:
                    pass
        await self._response.aclose()


@asynccontextmanager
async def _failures(by: float) -> AsyncGenerator[None]:
    """Whatever goes wrong on the wire, or takes until `by` (the loop's time), as one of our errors."""
    try:
        async with asyncio.timeout_at(by):
            yield
    except httpx.ConnectTimeout as error:
        raise UpstreamTimeoutError("The provider cannot be reached.", code="upstream_unreachable") from error
    except (TimeoutError, httpx.TimeoutException) as error:
        raise UpstreamTimeoutError("The provider did not answer in time.") from error
    except httpx.ConnectError as error:
        raise UpstreamError("The provider cannot be reached.", code="upstream_unreachable") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UpstreamError("The connection to the provider broke.", code="upstream_disconnected") from error
