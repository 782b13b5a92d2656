"""The response to a request for an `echo://` URL: the request's own body, without a network."""

import asyncio

from tollgate.gateway.types import UpstreamRequest

ECHO_SCHEME = "echo://"


class EchoResponse:
    """Status 200 and the content type and the body of the request, line by line; otherwise as a Response of
    `http_client`."""

    status = 200

    def __init__(self, request: UpstreamRequest) -> None:
        self.headers = {"content-type": request.headers.get("content-type", "application/octet-stream")}
        self._lines = request.body.splitlines(keepends=True)
        self._received = 0

    @property
    def is_complete(self) -> bool:
        """Whether every line was received."""
        return self._received == len(self._lines)

    async def receive(self, deadline: float) -> bytes:
        """The next line; empty at the end."""
        await asyncio.sleep(0)  # lets other tasks process a line before the next one, as with a network
        if self.is_complete:
            return b""
        self._received += 1
        return self._lines[self._received - 1]

    def close(self) -> None:
        """There is nothing to release."""
