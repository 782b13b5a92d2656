"""The way out, against real servers on loopback: retry, clocks, reuse, abort, decompression."""

import asyncio
import contextlib
import functools
import gzip
import time
import tracemalloc
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from tollgate.gateway.catalog import Provider
from tollgate.gateway.errors import UpstreamAuthError, UpstreamError, UpstreamTimeoutError
from tollgate.gateway.types import UpstreamRequest
from tollgate.upstream import client as way_out
from tollgate.upstream.client import Timeouts, UpstreamClient, UpstreamResponse

PROVIDER = Provider(name="p", family="f", credential="P_KEY")
SOON = 5.0
"""What takes longer than this has not been stopped by a clock of a tenth of a second."""

Serve = Callable[["Call"], Awaitable[None]]


class Safe:
    async def get(self, name: str) -> str | None:
        return {"P_KEY": "s3cret"}.get(name)

    def is_missing(self, name: str) -> bool:
        return name != "P_KEY"


@dataclass
class Call:
    """One request as the server reads it, numbered from 1, and the way to answer it."""

    number: int
    connection: int
    headers: dict[str, str]
    body: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self, more: str = "", status: str = "200 OK") -> None:
        await self.write(f"HTTP/1.1 {status}\r\ntransfer-encoding: chunked\r\n{more}\r\n".encode())

    async def piece(self, data: bytes) -> None:
        await self.write(b"%x\r\n%b\r\n" % (len(data), data))

    async def answer(self, body: bytes, more: str = "", status: str = "200 OK") -> None:
        await self.write(f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n{more}\r\n".encode() + body)

    def hang_up(self) -> None:
        self.writer.transport.abort()

    async def left(self) -> None:
        """Until the client has gone."""
        with contextlib.suppress(ConnectionError):
            await self.reader.read()


@dataclass
class Server:
    """Answers by `serve`, keeps count."""

    serve: Serve
    url: str = ""
    connections: int = 0
    calls: list[Call] = field(default_factory=list[Call])
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client has left."""

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        connection = self.connections
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while not writer.transport.is_closing():
                lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")[1:]
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                call = Call(len(self.calls) + 1, connection, headers, body, reader, writer)
                self.calls.append(call)
                await self.serve(call)
        self.gone.set()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def serving(serve: Serve) -> AsyncGenerator[Server]:
    server = Server(serve)
    listener = await asyncio.start_server(server.accept, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1"
    try:
        yield server
    finally:
        listener.close()
        for call in server.calls:
            call.hang_up()
        await listener.wait_closed()


@contextlib.asynccontextmanager
async def going_out(clocks: Timeouts | None = None) -> AsyncGenerator[UpstreamClient]:
    client = UpstreamClient(Safe(), clocks or Timeouts())
    try:
        yield client
    finally:
        await client.aclose()


def request(url: str, body: bytes = b"{}") -> UpstreamRequest:
    return UpstreamRequest(url, body)


async def whole(client: UpstreamClient, url: str, deadline: float | None = None) -> bytes:
    answer = await client.send(request(url), PROVIDER, deadline)
    try:
        return await answer.read()
    finally:
        await answer.aclose()


def now() -> float:
    return asyncio.get_running_loop().time()


# --- a call -----------------------------------------------------------------------------------------------------------


async def test_call_carries_body_headers_and_credential() -> None:
    async with serving(lambda call: call.answer(b"ok", "X-Some-Thing: 1\r\n", "404 No")) as server:
        async with going_out() as client:
            answer = await client.send(request(server.url, b'{"a":1}'), PROVIDER, None)
            assert (answer.status, answer.headers["x-some-thing"], await answer.read()) == (404, "1", b"ok")
            await answer.aclose()
    (call,) = server.calls
    assert call.body == b'{"a":1}'
    assert call.headers["authorization"] == "Bearer s3cret"
    assert call.headers["content-type"] == "application/json"
    assert call.headers["accept-encoding"] == "identity"


async def test_call_without_a_credential_goes_nowhere() -> None:
    keyless = Provider(name="k", family="f", credential="OTHER")
    async with serving(lambda call: call.answer(b"ok")) as server, going_out() as client:
        with pytest.raises(UpstreamAuthError):
            await client.send(request(server.url), keyless, None)
        assert server.connections == 0
        assert not client.has_credential(keyless)
        assert client.has_credential(PROVIDER)
        assert client.has_credential(Provider(name="n", family="f", auth="none"))


async def test_redirect_is_an_answer_and_not_followed() -> None:
    async with serving(lambda call: call.answer(b"", "location: /elsewhere\r\n", "307 X")) as server:
        async with going_out() as client:
            answer = await client.send(request(server.url), PROVIDER, None)
            assert answer.status == 307
            await answer.aclose()
    assert len(server.calls) == 1


async def test_cookie_of_one_call_is_not_sent_with_the_next() -> None:
    async with serving(lambda call: call.answer(b"ok", "set-cookie: session=1; Path=/\r\n")) as server:
        async with going_out() as client:
            await whole(client, server.url)
            await whole(client, server.url)
    assert [call.headers.get("cookie") for call in server.calls] == [None, None]


async def test_mirror_answers_with_the_request_line_by_line() -> None:
    async with going_out() as client:
        free = Provider(name="e", family="f", auth="none")
        sent = UpstreamRequest("echo://local/", b'"a"\n"b"\n', {"content-type": "application/jsonl"})
        answer = await client.send(sent, free, None)
        assert (answer.status, answer.headers["content-type"]) == (200, "application/jsonl")
        assert [piece async for piece in answer.stream()] == [b'"a"\n', b'"b"\n']
        await answer.aclose()


# --- what breaks ------------------------------------------------------------------------------------------------------


async def hang_up(call: Call) -> None:
    call.hang_up()


async def test_dead_pooled_connection_is_tried_anew_once() -> None:
    async def serve(call: Call) -> None:
        if call.number == 2:
            call.hang_up()
        else:
            await call.answer(b"%d" % call.number)

    async with serving(serve) as server, going_out() as client:
        assert [await whole(client, server.url), await whole(client, server.url)] == [b"1", b"3"]
    assert [call.connection for call in server.calls] == [1, 1, 2]


async def test_second_try_is_the_last() -> None:
    async def serve(call: Call) -> None:
        await (call.answer(b"ok") if call.number == 1 else hang_up(call))

    async with serving(serve) as server, going_out() as client:
        await whole(client, server.url)
        with pytest.raises(UpstreamError) as caught:
            await whole(client, server.url)
    assert caught.value.code == "upstream_disconnected"
    assert len(server.calls) == 3


async def test_fresh_connection_that_dies_is_not_tried_anew() -> None:
    async with serving(hang_up) as server, going_out() as client:
        with pytest.raises(UpstreamError) as caught:
            await whole(client, server.url)
    assert caught.value.code == "upstream_disconnected"
    assert len(server.calls) == 1


async def test_pooled_connection_that_dies_after_it_has_answered_is_not_tried_anew() -> None:
    async def serve(call: Call) -> None:
        if call.number == 1:
            await call.answer(b"ok")
        else:
            await call.head()
            await asyncio.sleep(0.05)
            call.hang_up()

    async with serving(serve) as server, going_out() as client:
        await whole(client, server.url)
        with pytest.raises(UpstreamError):
            await whole(client, server.url)
    assert len(server.calls) == 2


async def test_closed_port_is_unreachable() -> None:
    async with serving(hang_up) as server:
        pass
    async with going_out() as client:
        with pytest.raises(UpstreamError) as caught:
            await whole(client, server.url)
    assert caught.value.code == "upstream_unreachable"


@pytest.mark.parametrize("url", ["", "/v1", "http://", "http://[", "ftp://x/", "http://a b/", "http://\u2028/"])
async def test_address_that_is_none_is_an_error_of_ours(url: str) -> None:
    async with going_out() as client:
        with pytest.raises(UpstreamError):
            await whole(client, url)


@pytest.mark.parametrize("raw", [b"garbage\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"SSH-2.0-x\r\n"])
async def test_server_that_speaks_no_http_is_an_error(raw: bytes) -> None:
    async def serve(call: Call) -> None:
        await call.write(raw)
        call.writer.close()

    async with serving(serve) as server, going_out() as client:
        with pytest.raises(UpstreamError):
            await whole(client, server.url)
    assert len(server.calls) == 1


async def test_body_that_is_cut_is_an_error_after_what_came() -> None:
    async def serve(call: Call) -> None:
        await call.head()
        await call.piece(b"half")
        call.writer.close()

    got: list[bytes] = []

    async def read(answer: UpstreamResponse) -> None:
        async for piece in answer.stream():
            got.append(piece)

    async with serving(serve) as server, going_out() as client:
        answer = await client.send(request(server.url), PROVIDER, None)
        with pytest.raises(UpstreamError) as caught:
            await read(answer)
        await answer.aclose()
    assert (got, caught.value.code) == ([b"half"], "upstream_disconnected")


# --- clocks -----------------------------------------------------------------------------------------------------------


async def silent(call: Call) -> None:
    await call.left()


async def only_head(call: Call) -> None:
    await call.head()
    await call.left()


async def one_piece(call: Call) -> None:
    await call.head()
    await call.piece(b"a")
    await call.left()


async def dribble(call: Call) -> None:
    await call.head()
    while not call.writer.transport.is_closing():
        await call.piece(b"a")
        await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("serve", "clocks"),
    [
        (silent, Timeouts(first_byte=0.1)),
        (silent, Timeouts(total=0.1)),
        (only_head, Timeouts(first_byte=0.1)),
        (one_piece, Timeouts(idle=0.1)),
        (one_piece, Timeouts(total=0.1)),
        (dribble, Timeouts(total=0.3)),
        (dribble, Timeouts(total=0.3, idle=0.2, first_byte=0.2)),
    ],
)
async def test_every_clock_ends_a_call(serve: Serve, clocks: Timeouts) -> None:
    async with serving(serve) as server, going_out(clocks) as client:
        began = time.monotonic()
        with pytest.raises(UpstreamTimeoutError):
            await whole(client, server.url)
        assert time.monotonic() - began < SOON
    assert len(server.calls) == 1


@pytest.mark.parametrize("serve", [silent, only_head, one_piece, dribble])
async def test_deadline_ends_a_call_wherever_it_is(serve: Serve) -> None:
    async with serving(serve) as server, going_out() as client:
        began = time.monotonic()
        with pytest.raises(UpstreamTimeoutError):
            await whole(client, server.url, deadline=now() + 0.1)
        assert time.monotonic() - began < SOON


async def test_deadline_that_has_passed_ends_a_call_at_once() -> None:
    async with serving(silent) as server, going_out() as client:
        with pytest.raises(UpstreamTimeoutError):
            await client.send(request(server.url), PROVIDER, now() - 1)


async def test_deadline_never_outlasts_the_clock() -> None:
    async with serving(silent) as server, going_out(Timeouts(total=0.1)) as client:
        began = time.monotonic()
        with pytest.raises(UpstreamTimeoutError):
            await client.send(request(server.url), PROVIDER, now() + 1000)
        assert time.monotonic() - began < SOON


async def test_slow_stream_that_keeps_talking_outlives_the_idle_clock() -> None:
    async def serve(call: Call) -> None:
        await call.head()
        for _ in range(6):
            await call.piece(b"a")
            await asyncio.sleep(0.1)
        await call.write(b"0\r\n\r\n")

    async with serving(serve) as server, going_out(Timeouts(idle=0.5, first_byte=0.5)) as client:
        assert await whole(client, server.url) == b"a" * 6


async def test_call_that_timed_out_lets_its_connection_go() -> None:
    async with serving(one_piece) as server, going_out(Timeouts(idle=0.1)) as client:
        with pytest.raises(UpstreamTimeoutError):
            await whole(client, server.url)
        async with asyncio.timeout(SOON):
            await server.gone.wait()


@pytest.mark.parametrize("serve", [one_piece, dribble])
@pytest.mark.parametrize("clocks", [Timeouts(), Timeouts(total=0.3)])
async def test_answer_that_is_whole_ends_in_a_while_whatever_its_provider_does(serve: Serve, clocks: Timeouts) -> None:
    async with serving(serve) as server, going_out(clocks) as client:
        answer = await client.send(request(server.url), PROVIDER, None)
        began = time.monotonic()
        pieces = answer.stream()
        assert await anext(pieces) == b"a"
        answer.end_within(0.1 if clocks == Timeouts() else SOON)
        assert {piece async for piece in pieces} <= {b"a"}
        assert time.monotonic() - began < SOON
        await answer.aclose()
        async with asyncio.timeout(SOON):
            await server.gone.wait()


async def test_answer_that_goes_on_is_waited_for_again() -> None:
    async with serving(one_piece) as server, going_out(Timeouts(idle=0.2)) as client:
        answer = await client.send(request(server.url), PROVIDER, None)
        pieces = answer.stream()
        assert await anext(pieces) == b"a"
        answer.end_within(0.1)
        answer.end_within(None)
        with pytest.raises(UpstreamTimeoutError):
            await anext(pieces)
        await answer.aclose()


# --- reuse and abort --------------------------------------------------------------------------------------------------


async def test_connection_is_used_again_after_a_stream_whose_end_was_not_waited_for() -> None:
    async def serve(call: Call) -> None:
        await call.head("content-type: text/event-stream\r\n")
        await call.piece(b"data: [DONE]\n\n")
        await call.write(b"0\r\n\r\n")

    async with serving(serve) as server, going_out() as client:
        for _ in range(3):
            answer = await client.send(request(server.url), PROVIDER, None)
            assert await anext(aiter(answer.stream())) == b"data: [DONE]\n\n"
            await answer.aclose()
    assert (len(server.calls), server.connections) == (3, 1)


@pytest.mark.parametrize("serve", [only_head, one_piece, dribble])
async def test_letting_go_in_the_middle_aborts_the_call(serve: Serve) -> None:
    async with serving(serve) as server, going_out() as client:
        answer = await client.send(request(server.url), PROVIDER, None)
        if serve is not only_head:
            await anext(aiter(answer.stream()))
        began = time.monotonic()
        await answer.aclose()
        await answer.aclose()
        assert time.monotonic() - began < SOON
        async with asyncio.timeout(SOON):
            await server.gone.wait()


async def test_cancelled_call_aborts_before_the_answer() -> None:
    async with serving(silent) as server, going_out() as client:
        task = asyncio.create_task(whole(client, server.url))
        async with asyncio.timeout(SOON):
            while not server.calls:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await server.gone.wait()


async def test_many_calls_at_once_do_not_wait_for_one_another() -> None:
    together = asyncio.Barrier(50)

    async def serve(call: Call) -> None:
        await together.wait()
        await call.answer(call.body)

    async with serving(serve) as server, going_out() as client, asyncio.timeout(SOON):
        answers = await asyncio.gather(*(whole(client, server.url) for _ in range(50)))
    assert answers == [b"{}"] * 50


# --- bodies -----------------------------------------------------------------------------------------------------------


async def test_compressed_body_is_decoded_whole_and_as_it_comes() -> None:
    body = b"data: one\n\ndata: two\n\n" * 100

    async def serve(call: Call) -> None:
        packed = gzip.compress(body)
        await call.head("content-encoding: gzip\r\n")
        for start in range(0, len(packed), 7):
            await call.piece(packed[start : start + 7])
        await call.write(b"0\r\n\r\n")

    async with serving(serve) as server, going_out() as client:
        assert await whole(client, server.url) == body


async def test_body_that_is_not_compressed_as_it_says_is_an_error() -> None:
    async with serving(lambda call: call.answer(b"plain", "content-encoding: gzip\r\n")) as server:
        async with going_out() as client:
            with pytest.raises(UpstreamError, match="decompressed"):
                await whole(client, server.url)


@functools.cache
def bomb(layers: int) -> bytes:
    """Four times what a body may have, in zeros: a few bytes, or fewer still."""
    packer, zeros = zlib.compressobj(9, wbits=31), bytes(way_out.MAX_BODY_BYTES // 16)
    body = b"".join(packer.compress(zeros) for _ in range(64)) + packer.flush()
    for _ in range(layers - 1):
        body = gzip.compress(body, 9)
    return body


@pytest.mark.parametrize("status", ["200 OK", "500 No"])
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "gzip, gzip", "gzip, identity, x-gzip", "br", "zstd", "x"])
async def test_compression_bomb_costs_no_more_than_the_bound(encoding: str, status: str) -> None:
    body = bomb(encoding.count("gzip") or 1)
    async with serving(lambda call: call.answer(body, f"content-encoding: {encoding}\r\n", status)) as server:
        async with going_out() as client:
            tracemalloc.start()
            try:
                with pytest.raises(UpstreamError, match=r"too large|not asked for"):
                    await whole(client, server.url)
                assert tracemalloc.get_traced_memory()[1] < way_out.MAX_BODY_BYTES + 8 * 2**20
            finally:
                tracemalloc.stop()


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
async def test_a_body_is_read_on_where_a_look_at_its_beginning_stopped(encoding: str) -> None:
    body = bytes(range(256)) * 2000  # decompressed it comes in several pieces
    sent = gzip.compress(body) if encoding == "gzip" else body
    async with serving(lambda call: call.answer(sent, f"content-encoding: {encoding}\r\n")) as server:
        async with going_out() as client:
            answer = await client.send(request(server.url), PROVIDER, None)
            head = await anext(aiter(answer.stream()))
            assert head + await answer.read() == body
            await answer.aclose()


async def test_compressed_body_that_is_cut_is_an_error() -> None:
    body = gzip.compress(b"data: one" * 100)[:-12]
    async with serving(lambda call: call.answer(body, "content-encoding: gzip\r\n")) as server:
        async with going_out() as client:
            with pytest.raises(UpstreamError, match="broke"):
                await whole(client, server.url)


async def test_surplus_answer_does_not_reach_the_next_caller() -> None:
    surplus = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret"

    async def serve(call: Call) -> None:
        answer = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nmine"
        await call.write(answer + (surplus if len(server.calls) == 1 else b""))

    async with serving(serve) as server, going_out() as client:
        assert [await whole(client, server.url) for _ in range(3)] == [b"mine"] * 3
        assert [call.connection for call in server.calls] == [1, 2, 2]  # the first was closed, the second kept


async def test_surplus_behind_chunks_does_not_reach_the_next_caller() -> None:
    async def serve(call: Call) -> None:
        await call.head()
        await call.piece(b"mine")
        await call.write(b"0\r\n\r\n" + (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n!" * 3))

    async with serving(serve) as server, going_out() as client:
        assert [await whole(client, server.url) for _ in range(4)] == [b"mine"] * 4


async def test_body_over_the_limit_is_refused() -> None:
    async def serve(call: Call) -> None:
        await call.head()
        zeros = bytes(8 * 1024 * 1024)
        for _ in range(way_out.MAX_BODY_BYTES // len(zeros) + 1):
            await call.piece(zeros)
        await call.left()

    async with serving(serve) as server, going_out() as client:
        with pytest.raises(UpstreamError, match="too large"):
            await whole(client, server.url)


async def test_empty_body_is_empty() -> None:
    async with serving(lambda call: call.answer(b"")) as server, going_out() as client:
        assert await whole(client, server.url) == b""


async def test_caller_that_was_called_off_before_hears_of_it_even_without_a_network() -> None:
    async with going_out() as client:

        async def asked() -> None:
            caller = asyncio.current_task()
            assert caller is not None
            caller.cancel()
            await client.send(request("echo://local/"), PROVIDER, None)

        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(asked())
