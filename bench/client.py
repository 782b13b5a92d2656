"""The client of the measurements: it sends chat requests, and costs little, since it shares the machine."""

import asyncio
import json
import time
from collections.abc import Mapping

from tollgate.http_client.pool import ConnectionPool

SECONDS = 120.0
"""How long a request may take."""
MAX_BYTES = 64 * 2**20


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
        """Milliseconds from the provider's first token, which has the time at which it was sent, to its receipt."""
        response = await self._pool.request(
            "POST", self._url, self._headers, _body("slow", "x"), first_byte_by=_limit()
        )
        received = b""
        try:
            while True:
                received += await response.receive(_limit())
                for line in received.split(b"\n")[:-1]:
                    if line.startswith(b"data: {") and (text := _text(line)):
                        return (time.monotonic() - float(text)) * 1000
        finally:
            response.close()

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()


def _limit() -> float:
    return asyncio.get_running_loop().time() + SECONDS


def _body(model: str, prompt: str) -> bytes:
    messages = [{"role": "user", "content": prompt}]
    return json.dumps({"model": f"bench/{model}", "messages": messages, "stream": model != "buffered"}).encode()


def _text(line: bytes) -> str | None:
    return json.loads(line[6:])["choices"][0]["delta"].get("content")
