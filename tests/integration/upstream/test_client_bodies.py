"""Response bodies from real servers on loopback: decompression and size limits."""

import functools
import gzip
import tracemalloc
import zlib

import pytest

from support.provider_server import (
    PROVIDER,
    Call,
    fetch,
    request,
    serving,
    upstream_client,
)
from tollgate.gateway.errors import UpstreamError
from tollgate.gateway.ports import TimeLimits
from tollgate.gateway.types import MAX_RESPONSE_BYTES


async def test_compressed_body_is_decompressed() -> None:
    body = b"data: one\n\ndata: two\n\n" * 100

    async def serve(call: Call) -> None:
        packed = gzip.compress(body)
        await call.head("content-encoding: gzip\r\n")
        for start in range(0, len(packed), 7):
            await call.chunk(packed[start : start + 7])
        await call.write(b"0\r\n\r\n")

    async with serving(serve) as server, upstream_client() as client:
        assert await fetch(client, server.url) == body


async def test_body_that_is_not_in_its_declared_encoding_is_an_error() -> None:
    async with serving(lambda call: call.respond(b"plain", "content-encoding: gzip\r\n")) as server:
        async with upstream_client() as client:
            with pytest.raises(UpstreamError, match="decompressed"):
                await fetch(client, server.url)


@functools.cache
def bomb(layers: int) -> bytes:
    """Zeros that have four times the maximum size of a body when they are decompressed."""
    packer, zeros = zlib.compressobj(9, wbits=31), bytes(MAX_RESPONSE_BYTES // 16)
    body = b"".join(packer.compress(zeros) for _ in range(64)) + packer.flush()
    for _ in range(layers - 1):
        body = gzip.compress(body, 9)
    return body


@pytest.mark.parametrize("status", ["200 OK", "500 No"])
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "gzip, gzip", "gzip, identity, x-gzip", "br", "zstd", "x"])
async def test_memory_for_a_compression_bomb_is_limited(encoding: str, status: str) -> None:
    body = bomb(encoding.count("gzip") or 1)
    async with serving(lambda call: call.respond(body, f"content-encoding: {encoding}\r\n", status)) as server:
        async with upstream_client() as client:
            tracemalloc.start()
            try:
                with pytest.raises(UpstreamError, match=r"too large|unsupported content encoding"):
                    await fetch(client, server.url)
                assert tracemalloc.get_traced_memory()[1] < MAX_RESPONSE_BYTES + 8 * 2**20
            finally:
                tracemalloc.stop()


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
async def test_read_continues_where_a_stream_stopped(encoding: str) -> None:
    body = bytes(range(256)) * 2000  # several pieces when it is decompressed
    sent = gzip.compress(body) if encoding == "gzip" else body
    async with serving(lambda call: call.respond(sent, f"content-encoding: {encoding}\r\n")) as server:
        async with upstream_client() as client:
            response = await client.send(request(server.url), PROVIDER, TimeLimits())
            head = await anext(aiter(response.stream()))
            assert head + await response.read() == body
            await response.aclose()


async def test_truncated_compressed_body_is_an_error() -> None:
    body = gzip.compress(b"data: one" * 100)[:-12]
    async with serving(lambda call: call.respond(body, "content-encoding: gzip\r\n")) as server:
        async with upstream_client() as client:
            with pytest.raises(UpstreamError, match="broke"):
                await fetch(client, server.url)


async def test_body_over_the_limit_is_an_error() -> None:
    async def serve(call: Call) -> None:
        await call.head()
        zeros = bytes(8 * 1024 * 1024)
        for _ in range(MAX_RESPONSE_BYTES // len(zeros) + 1):
            await call.chunk(zeros)
        await call.wait_for_disconnect()

    async with serving(serve) as server, upstream_client() as client:
        with pytest.raises(UpstreamError, match="too large"):
            await fetch(client, server.url)


async def test_empty_body_is_empty() -> None:
    async with serving(lambda call: call.respond(b"")) as server, upstream_client() as client:
        assert await fetch(client, server.url) == b""
