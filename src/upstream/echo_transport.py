"""An httpx transport for `echo://` URLs that responds with the request's own body, without a network."""

import asyncio
from collections.abc import AsyncIterator

import httpx


class EchoTransport(httpx.AsyncBaseTransport):
    """Responds with status 200 and the content type and body of the request, line by line."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the response to `request`."""
        headers = {"content-type": request.headers.get("content-type", "application/octet-stream")}
        return httpx.Response(200, headers=headers, stream=_Lines(request.content))


class _Lines(httpx.AsyncByteStream):
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for line in self._body.splitlines(keepends=True):
            yield line
            await asyncio.sleep(0)  # lets the reader process a line before the next one, as with a network
