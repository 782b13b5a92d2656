"""The client for providers: their credentials, the timeouts of a call, and its errors."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from tollgate.gateway.catalog import Provider
from tollgate.gateway.errors import UpstreamAuthError, UpstreamError, UpstreamTimeoutError
from tollgate.gateway.ports import TimeLimits
from tollgate.gateway.types import UpstreamRequest
from tollgate.http_client.errors import (
    ConnectError,
    ConnectTimeoutError,
    HttpClientError,
    InvalidRequestError,
    InvalidUrlError,
    ResponseTimeoutError,
)
from tollgate.http_client.pool import ConnectionPool
from tollgate.http_client.response import Response
from tollgate.upstream.auth import Credentials, credential_headers
from tollgate.upstream.decompression import Decoder
from tollgate.upstream.echo_response import ECHO_SCHEME, EchoResponse
from tollgate.upstream.sigv4 import Signer, in_region, lacks_credentials, lacks_region

DRAIN_SECONDS = 0.05
"""Seconds to wait for the rest of a body when a response is closed. A connection that was read to the end is reused."""
_HEADERS = {"user-agent": "tollgate", "accept-encoding": "identity"}
"""Compression delays streams. A response that is compressed nevertheless is decompressed."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Timeouts of a call in seconds: to connect, until the first byte, between bytes, and in total."""

    connect: float = 5
    first_byte: float = 300
    idle: float = 120
    total: float = 840


class UpstreamClient:
    """Sends requests to providers; see `gateway.ports.Upstream`. A process creates one, and closes it at its end."""

    def __init__(self, credentials: Credentials, timeouts: Timeouts, signer: Signer | None = None) -> None:
        self._credentials = credentials
        self._signer = signer or Signer()
        self._timeouts = timeouts
        self._pool = ConnectionPool(connect_timeout=timeouts.connect)

    def has_credential(self, provider: Provider) -> bool:
        """See Upstream."""
        if lacks_region(provider) or (provider.auth == "sigv4" and lacks_credentials()):
            return False
        return provider.credential is None or not self._credentials.is_missing(provider.credential)

    async def find_credential(self, provider: Provider) -> bool:
        """See Upstream."""
        try:
            await credential_headers(provider, self._credentials)
        except UpstreamAuthError:
            return False
        return self.has_credential(provider)

    async def send(self, request: UpstreamRequest, provider: Provider, limits: TimeLimits) -> "UpstreamResponse":
        """See Upstream."""
        await asyncio.sleep(0)  # raises CancelledError if the caller was cancelled while its hold was being reserved
        request = in_region(request, provider)
        headers = {**_HEADERS, **await self._headers(request, provider)}
        now, own, usual = asyncio.get_running_loop().time(), provider.timeouts, self._timeouts
        end = _earliest(now + (own.total or usual.total), limits.deadline)
        first_byte_by = _earliest(min(now + (own.first_byte or usual.first_byte), end), limits.first_byte_by)
        if request.url.startswith(ECHO_SCHEME):
            response = EchoResponse(request)
        else:
            try:
                response = await self._pool.request(
                    request.method,
                    request.url,
                    headers,
                    request.body,
                    first_byte_by=first_byte_by,
                    connect_within=own.connect,
                )
            except HttpClientError as error:
                raise _upstream_error(error) from error
        return UpstreamResponse(response, request.max_response_bytes, first_byte_by, own.idle or usual.idle, end)

    async def reread_credential(self, provider: Provider) -> bool:
        """See Upstream."""
        return provider.credential is not None and await self._credentials.reread(provider.credential)

    async def aclose(self) -> None:
        """Close every connection."""
        self._pool.close()
        await asyncio.sleep(0)  # the event loop closes them in its next iteration, which may be its last

    async def _headers(self, request: UpstreamRequest, provider: Provider) -> Mapping[str, str]:
        """The headers of a request, with the provider's credential or a signature."""
        if provider.auth == "sigv4":
            return await self._signer.headers(request, provider)
        return {**request.headers, **await credential_headers(provider, self._credentials)}


class UpstreamResponse:
    """See gateway.ports.UpstreamResponse. It iterates over its decompressed body. Times are those of the event loop."""

    def __init__(
        self, response: Response | EchoResponse, max_bytes: int, first_byte_by: float, idle: float, end: float
    ) -> None:
        self.status = response.status
        self.headers = response.headers
        self._response = response
        self._max_bytes = max_bytes
        self._first_byte_by: float | None = first_byte_by
        self._idle = idle
        self._end = end
        self._ends_at: float | None = None
        self._decoder: Decoder | None = None
        self._decoded: Iterator[bytes] = iter(())

    async def read(self) -> bytes:
        """See gateway.ports.UpstreamResponse. A body larger than the request allows is an UpstreamError."""
        body = bytearray()
        async for piece in self:
            if len(body) + len(piece) > self._max_bytes:
                raise UpstreamError("The provider's response is too large.", code="unusable_response")
            body += piece
        return bytes(body)

    def stream(self) -> AsyncIterator[bytes]:
        """See gateway.ports.UpstreamResponse. Another call continues where the previous iteration stopped."""
        return self

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        encoding = self.headers.get("content-encoding")
        if encoding is None:
            return await self._receive()
        self._decoder = self._decoder or Decoder(encoding)
        while (piece := next(self._decoded, None)) is None:
            self._decoded = self._decoder.feed(await self._receive())
        return piece

    async def _receive(self) -> bytes:
        """The bytes that arrive next. Raises StopAsyncIteration at the end."""
        ends_at = self._ends_at
        try:
            data = await self._response.receive(self._deadline())
        except HttpClientError as error:
            if ends_at is not None and isinstance(error, ResponseTimeoutError):
                raise StopAsyncIteration from None
            raise _upstream_error(error) from error
        if not data:
            if self._decoder is not None:
                self._decoder.close()
            raise StopAsyncIteration
        self._first_byte_by = None
        return data

    def _deadline(self) -> float:
        """The time until which the next bytes must come. The time that the reader takes between them does not count."""
        if self._ends_at is not None:
            return min(self._ends_at, self._end)
        if self._first_byte_by is not None:
            return self._first_byte_by
        return min(asyncio.get_running_loop().time() + self._idle, self._end)

    def end_within(self, seconds: float | None) -> None:
        """See gateway.ports.UpstreamResponse."""
        self._ends_at = None if seconds is None else asyncio.get_running_loop().time() + seconds

    async def aclose(self) -> None:
        """See gateway.ports.UpstreamResponse."""
        if not self._response.is_complete:
            drain_until = asyncio.get_running_loop().time() + DRAIN_SECONDS
            with suppress(HttpClientError):
                while await self._response.receive(drain_until):
                    pass
        self._response.close()


def _earliest(end: float, other: float | None) -> float:
    return end if other is None else min(end, other)


def _upstream_error(error: HttpClientError) -> UpstreamError:
    match error:
        case ConnectTimeoutError():
            return UpstreamTimeoutError("The provider cannot be reached.", code="upstream_unreachable")
        case ResponseTimeoutError():
            return UpstreamTimeoutError("The provider did not respond in time.")
        case ConnectError():
            return UpstreamError("The provider cannot be reached.", code="upstream_unreachable")
        case InvalidUrlError() | InvalidRequestError():
            text = "The request cannot be sent: the provider's URL, or its credential, is not valid."
            return UpstreamError(text, code="upstream_unreachable")
        case _:
            return UpstreamError("The connection to the provider broke.", code="upstream_disconnected")
