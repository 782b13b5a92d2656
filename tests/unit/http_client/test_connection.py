"""One connection and its responses, over a transport without a network."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from support.fake_transport import FakeTransport
from tollgate.http_client.connection import MAX_JOINED_BYTES, Connection
from tollgate.http_client.errors import (
    ConnectionClosedError,
    HttpClientError,
    ProtocolError,
    ResponseTimeoutError,
    ResponseTooLargeError,
)
from tollgate.http_client.request import Origin
from tollgate.http_client.response import MAX_UNREAD_BYTES, Response

SHORT = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"
CHUNKS = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
FAR = 1000.0
"""Seconds. No test waits so long."""


def soon(seconds: float = FAR) -> float:
    return asyncio.get_running_loop().time() + seconds


@dataclass
class Peer:
    """A connection, the transport under it, and what it reported to its pool."""

    idle: int = 0
    closed: int = 0
    connection: Connection = field(init=False)
    transport: FakeTransport = field(init=False)

    def __post_init__(self) -> None:
        self.connection = Connection(Origin("http", "a", 80), self._count_idle, self._count_closed)
        self.transport = FakeTransport(self.connection)

    def _count_idle(self, connection: Connection) -> None:
        self.idle += 1

    def _count_closed(self, connection: Connection) -> None:
        self.closed += 1

    async def exchange(self, received: bytes, body: bytes = b"") -> Response:
        """Send a request; these bytes arrive after it."""
        asyncio.get_running_loop().call_soon(self.connection.data_received, received)
        return await self.connection.exchange("POST", b"head ", body, soon())


async def test_body_is_received_as_it_arrives_and_in_one_piece() -> None:
    peer = Peer()
    response = await peer.exchange(CHUNKS + b"2\r\nab\r\n1\r\nc\r\n")
    assert await response.receive(soon()) == b"abc"
    peer.connection.data_received(b"1\r\nd\r\n")
    peer.connection.data_received(b"1\r\ne\r\n0\r\n\r\n")
    assert await response.receive(soon()) == b"de"
    assert [await response.receive(soon()) for _ in range(2)] == [b"", b""]
    response.close()
    assert (peer.idle, peer.transport.is_closing()) == (1, False)


@pytest.mark.parametrize("size", [0, 1, MAX_JOINED_BYTES + 1])
async def test_head_and_body_are_sent_together(size: int) -> None:
    peer = Peer()
    await peer.exchange(SHORT, bytes(size))
    assert peer.transport.sent == b"head " + bytes(size)


async def test_waiting_reader_gets_bytes_that_arrive_later() -> None:
    peer = Peer()
    response = await peer.exchange(SHORT)
    asyncio.get_running_loop().call_later(0.01, peer.connection.data_received, b"body")
    assert await response.receive(soon()) == b"body"


async def test_reading_pauses_while_the_reader_is_slow() -> None:
    peer = Peer()
    response = await peer.exchange(b"HTTP/1.1 200 OK\r\n\r\n")
    peer.connection.data_received(bytes(MAX_UNREAD_BYTES // 2))
    assert not peer.transport.is_paused
    peer.connection.data_received(bytes(MAX_UNREAD_BYTES))
    peer.connection.data_received(b"x")
    assert peer.transport.is_paused
    assert len(await response.receive(soon())) == MAX_UNREAD_BYTES * 3 // 2 + 1
    assert not peer.transport.is_paused


async def test_paused_connection_is_resumed_before_it_is_kept() -> None:
    peer = Peer()
    response = await peer.exchange(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (MAX_UNREAD_BYTES + 1))
    peer.connection.data_received(bytes(MAX_UNREAD_BYTES + 1))
    assert peer.transport.is_paused
    response.close()
    assert (peer.idle, peer.transport.is_paused) == (1, False)


# --- deadlines --------------------------------------------------------------------------------------------------------


async def test_deadline_ends_a_wait_and_a_later_wait_continues() -> None:
    peer = Peer()
    response = await peer.exchange(SHORT)
    for _ in range(2):
        with pytest.raises(ResponseTimeoutError):
            await response.receive(soon(0.01))
    peer.connection.data_received(b"body")
    assert await response.receive(soon()) == b"body"


async def test_earlier_deadline_replaces_a_later_one_and_the_other_way_round() -> None:
    peer = Peer()
    response = await peer.exchange(CHUNKS)
    loop = asyncio.get_running_loop()
    loop.call_later(0.01, peer.connection.data_received, b"1\r\na\r\n")
    assert await response.receive(soon()) == b"a"
    with pytest.raises(ResponseTimeoutError):
        await response.receive(soon(0.01))
    short = soon(0.05)
    loop.call_later(0.01, peer.connection.data_received, b"1\r\nb\r\n")
    assert await response.receive(max(short, soon(0.04))) == b"b"
    loop.call_at(short + 0.05, peer.connection.data_received, b"1\r\nc\r\n")  # after the timer of the wait before
    assert await response.receive(soon()) == b"c"


async def test_bytes_that_keep_arriving_do_not_extend_the_deadline() -> None:
    peer = Peer()
    response = await peer.exchange(CHUNKS + b"1\r\na\r\n")
    with pytest.raises(ResponseTimeoutError):
        await response.receive(soon(-1))


async def test_complete_body_is_read_after_the_deadline() -> None:
    peer = Peer()
    response = await peer.exchange(SHORT + b"body")
    assert await response.read(soon(-1), 4) == b"body"


async def test_close_cancels_the_timer() -> None:
    peer = Peer()
    loop = asyncio.get_running_loop()
    for _ in range(3):
        response = await peer.exchange(SHORT + b"body")
        response.close()
    timers = [timer for timer in getattr(loop, "_scheduled", []) if not timer.cancelled()]
    assert not timers


# --- the end of a response --------------------------------------------------------------------------------------------

End = Callable[[Peer], None]


def eof(peer: Peer) -> None:
    peer.connection.eof_received()


def reset(peer: Peer) -> None:
    peer.connection.connection_lost(ConnectionResetError())


def unexpected_response(peer: Peer) -> None:
    peer.connection.data_received(b"HTTP/1.1 408 X\r\n\r\n")


@pytest.mark.parametrize("end", [eof, reset])
async def test_closed_connection_is_an_error_after_its_bytes(end: End) -> None:
    peer = Peer()
    response = await peer.exchange(SHORT + b"bo")
    end(peer)
    assert await response.receive(soon()) == b"bo"
    for _ in range(2):
        with pytest.raises(ConnectionClosedError):
            await response.receive(soon())
    response.close()
    assert (peer.idle, peer.transport.is_closing()) == (0, True)


@pytest.mark.parametrize("end", [eof, reset])
async def test_connection_that_closes_before_the_response_is_silent(end: End) -> None:
    peer = Peer()
    asyncio.get_running_loop().call_soon(end, peer)
    with pytest.raises(ConnectionClosedError):
        await peer.connection.exchange("POST", b"head", b"", soon())
    assert peer.connection.is_silent
    assert not peer.connection.is_open


async def test_complete_response_survives_the_end_of_its_connection() -> None:
    peer = Peer()
    response = await peer.exchange(SHORT + b"body")
    eof(peer)
    reset(peer)
    assert await response.read(soon(), 4) == b"body"
    response.close()
    assert (peer.idle, peer.closed) == (0, 1)


async def test_response_without_a_clear_end_is_refused_before_it_is_used() -> None:
    peer = Peer()
    with pytest.raises(ProtocolError):
        await peer.exchange(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n")
    assert (peer.idle, peer.transport.is_closing()) == (0, True)


async def test_invalid_chunk_is_an_error_after_its_bytes() -> None:
    peer = Peer()
    response = await peer.exchange(CHUNKS + b"1\r\na\r\nzz\r\n")
    peer.connection.data_received(b"1\r\nb\r\n")
    assert await response.receive(soon()) == b"a"
    with pytest.raises(ProtocolError):
        await response.receive(soon())


async def test_body_over_the_limit_is_an_error() -> None:
    peer = Peer()
    response = await peer.exchange(SHORT + b"body")
    with pytest.raises(ResponseTooLargeError):
        await response.read(soon(), 3)


@pytest.mark.parametrize(
    "received",
    [
        SHORT,  # the body is missing
        SHORT + b"bo",
        SHORT + b"body!",
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n",
    ],
)
async def test_connection_that_cannot_serve_another_request_is_closed(received: bytes) -> None:
    peer = Peer()
    response = await peer.exchange(received)
    response.close()
    response.close()
    await asyncio.sleep(0)
    assert (peer.idle, peer.closed) == (0, 1)


async def test_connection_with_an_unsent_part_of_the_request_is_closed() -> None:
    peer = Peer()
    response = await peer.exchange(SHORT + b"body")
    peer.transport.unsent = 1
    response.close()
    assert (peer.idle, peer.transport.is_closing()) == (0, True)


@pytest.mark.parametrize("received", [b"", SHORT, CHUNKS + b"1\r\na\r\n"])
async def test_cancelled_caller_closes_the_connection(received: bytes) -> None:
    peer = Peer()

    async def call() -> None:
        response = await peer.exchange(received)
        while await response.receive(soon()):
            pass

    task = asyncio.create_task(call())
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert peer.transport.is_closing()


async def test_closed_response_cannot_be_read() -> None:
    peer = Peer()
    response = await peer.exchange(SHORT)
    response.close()
    with pytest.raises(HttpClientError):
        await response.receive(soon())


@pytest.mark.parametrize("end", [eof, unexpected_response])
async def test_idle_connection_is_of_no_use_once_the_server_speaks_or_closes(end: End) -> None:
    peer = Peer()
    response = await peer.exchange(SHORT + b"body")
    response.close()
    end(peer)
    if end is not eof:  # after an end of file, asyncio's transport closes itself
        assert not peer.connection.is_open
        with pytest.raises(ConnectionClosedError):
            await peer.connection.exchange("POST", b"head", b"", soon())
