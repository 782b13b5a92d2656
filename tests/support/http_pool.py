"""A connection pool for tests, a request through it, and a server that sends given bytes."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncGenerator

from support.provider_server import (
    PROMPT,
    Call,
    Serve,
    now,
)
from tollgate.http_client.pool import ConnectionPool

MAX_BYTES = 16 * 2**20


@contextlib.asynccontextmanager
async def pool(
    connect_timeout: float = PROMPT, idle_seconds: float = 60, max_idle: int = 100, resend_seconds: float = PROMPT
) -> AsyncGenerator[ConnectionPool]:
    opened = ConnectionPool(
        connect_timeout=connect_timeout, idle_seconds=idle_seconds, max_idle=max_idle, resend_seconds=resend_seconds
    )
    try:
        yield opened
    finally:
        opened.close()
        await asyncio.sleep(0)


async def fetch(connections: ConnectionPool, url: str, body: bytes = b"{}", seconds: float = PROMPT) -> bytes:
    response = await connections.request("POST", url, {}, body, first_byte_by=now() + seconds)
    try:
        return await response.read(now() + seconds, MAX_BYTES)
    finally:
        response.close()


def raw(data: bytes, close: bool = False, reset: bool = False) -> Serve:
    """A server that sends these bytes for every request, and then closes or resets the connection if it shall."""

    async def serve(call: Call) -> None:
        await call.write(data)
        if reset:
            call.writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
        if close or reset:
            call.writer.close()

    return serve
