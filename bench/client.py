"""The client of the measurements: it sends chat requests, and costs little, since it shares the machine."""

import asyncio
import json
import re
import time
from collections.abc import Mapping

from tollgate.http_client.pool import ConnectionPool

SECONDS = 120.0
"""How long a request may take."""
MAX_BYTES = 64 * 2**20
_TIMES = re.compile(rb'"content": ?"([\d.]+) ([\d.]+) "')


class ChatClient:
    """Connections to one gateway. A model is named after what the provider responds with: see `bench.provider`."""

    def __init__(self, base_url: str, key: str, headers: Mapping[str, str] | None = None) -> None:
        self._url = f"{base_url}/chat/completions"
        self._headers = {"authorization": f"Bearer {key}", "content-type": "application/json", **(headers or {})}
        self._pool = ConnectionPool(connect_timeout=30)

    async def chat(self, model: str, prompt: str = "x") -> None:
        """Send a request and receive the response, which must be complete."""
        response = await self._pool.request(
            "POST", self._url, self._headers, _body(model, prompt), first_byte_by=_limit()
        )
        try:
            body = await response.read(_limit(), MAX_BYTES)
            assert response.status == 200, body
            assert model == "buffered" or body.rstrip().endswith(b"data: [DONE]"), body[-500:]
        finally:
            response.close()

    async def first_token_delay(self) -> float:
        """Milliseconds by which the first token comes later than from the provider: on the way there, and back.

        The token has the times at which the provider received the request and sent the token.
        """
        sent = time.monotonic()
        response = await self._pool.request(
            "POST", self._url, self._headers, _body("slow", "x"), first_byte_by=_limit()
        )
        received, delay = b"", None
        try:
            while data := await response.receive(_limit()):  # to the end: a function serves one request at a time
                received += data
                if delay is None and (times := _TIMES.search(received)):
                    delay = time.monotonic() - sent - float(times[2]) + float(times[1])
        finally:
            response.close()
        assert delay is not None, received
        return delay * 1000

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()


def _limit() -> float:
    return asyncio.get_running_loop().time() + SECONDS


def _body(model: str, prompt: str) -> bytes:
    messages = [{"role": "user", "content": prompt}]
    return json.dumps({"model": f"bench/{model}", "messages": messages, "stream": model != "buffered"}).encode()
