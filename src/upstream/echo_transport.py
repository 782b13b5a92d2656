"""The address `echo://`: a transport without a network that answers each request with its own body, line by line."""

import asyncio
from collections.abc import AsyncIterator

import httpx


class EchoTransport(httpx.AsyncBaseTransport):
    """Status 200, the request's content type, the request's body."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer `request`."""
        headers = {"content-type": request.headers.get("content-type", "application/octet-stream")}
        return httpx.Response(200, headers=headers, stream=_Lines(request.content))


class _Lines(httpx.AsyncByteStream):
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for line in self._body.splitlines(keepends=True):
            yield line
            await asyncio.sleep(0)  # what has been read goes out before the next line comes, as with a real provider
