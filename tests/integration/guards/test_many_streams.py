"""Many streams in one process and one event loop, as in Lambda's multi-concurrency: server, and function."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from support.instances import SharedStore, base_env, function
from support.one_model import one_model
from support.provider_server import Call, serving
from support.running_gateway import CHECKOUT, run_gateway
from support.scenarios import chunk
from support.waiting import LIMIT_SECONDS

STREAMS, EVENTS = 64, 100
MAX_BYTES_PER_STREAM = 150_000
MAX_CALLBACK_MS = 20.0
"""CPU time of one callback of the event loop, which delays every other stream."""
RETRIES = 2
"""On a busy machine the same callback can take three times the CPU: one that blocks does so every time."""
TIMER = CHECKOUT / "tests/support/callback_timer"


@dataclass
class HoldingProvider:
    """Sends the first event of a stream, and the others when it is released."""

    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, call: Call) -> None:
        await call.head("content-type: text/event-stream\r\n")
        await call.chunk(chunk({"role": "assistant", "content": "word 0,"}))
        await self.released.wait()
        for number in range(1, EVENTS):
            await call.chunk(chunk({"content": f"word {number},"}))
            await asyncio.sleep(0)  # the events of all streams are mixed
        await call.chunk(chunk({}, "stop") + b"data: [DONE]\n\n")
        await call.write(b"0\r\n\r\n")


@dataclass(frozen=True)
class TimedGateway:
    """A running gateway of one process, which writes its long callbacks into a file in `times`."""

    base_url: str
    api_key: str
    times: Path

    def memory(self) -> int:
        """Bytes of the process's own memory."""
        (file,) = self.times.iterdir()
        lines = Path(f"/proc/{file.name}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))

    def long_callbacks(self) -> list[str]:
        """The callbacks that took long until now, with milliseconds of CPU first."""
        (file,) = self.times.iterdir()
        return file.read_text().splitlines()


@contextlib.contextmanager
def timed_gateway(kind: str, folder: Path, url: str) -> Generator[TimedGateway]:
    times, catalog, db = folder / "times", folder / "many.toml", str(folder / "many.db")
    times.mkdir()
    catalog.write_text(one_model("many", url))
    env = {"PYTHONPATH": f"{TIMER}:{CHECKOUT}", "CALLBACK_TIMES": str(times)}
    if kind == "server":
        with run_gateway("server", folder, catalog.read_text(), env) as running:
            yield TimedGateway(running.base_url, running.api_key, times)
        return
    store = SharedStore(["--db", db], {**base_env(), "TOLLGATE_DB": db})
    key = store.key("--concurrency", str(STREAMS), "--rpm", "1000", "--tpm", "10000000")
    env |= {"AWS_LAMBDA_MAX_CONCURRENCY": str(STREAMS)}
    with function(SharedStore(store.flags, {**store.env, **env}), catalog, environments=1) as base_url:
        yield TimedGateway(base_url, key, times)


class Stream:
    """One streamed response: its text until now."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.begun = asyncio.Event()
        self.text = ""
        self.is_complete = False

    async def read(self) -> None:
        """Receive the response to its end."""
        body = {"model": "many", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
        async with self._client.stream("POST", "/chat/completions", json=body) as response:
            assert response.status_code == httpx.codes.OK, await response.aread()
            async for line in response.aiter_lines():
                if '"content":"' in line:
                    self.text += line.partition('"content":"')[2].partition('"')[0]
                    self.begun.set()
                self.is_complete |= line == "data: [DONE]"


@contextlib.asynccontextmanager
async def opened(gateway: TimedGateway) -> AsyncGenerator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=None)
    headers = {"authorization": f"Bearer {gateway.api_key}"}
    async with httpx.AsyncClient(
        verify=False, base_url=gateway.base_url, headers=headers, timeout=LIMIT_SECONDS, limits=limits
    ) as client:
        yield client


@pytest.mark.parametrize("kind", ["server", "function"])
async def test_many_streams_at_once_are_complete_and_small_and_do_not_block(kind: str, tmp_path: Path) -> None:
    provider = HoldingProvider()
    async with serving(provider.serve) as server:
        running = contextlib.ExitStack()
        gateway = await asyncio.to_thread(running.enter_context, timed_gateway(kind, tmp_path, server.url))
        try:
            async with opened(gateway) as client:
                measured = await run_streams(gateway, provider, client)
                for _ in range(RETRIES):
                    if measured.blocking:
                        measured = await run_streams(gateway, provider, client)
        finally:
            await asyncio.to_thread(running.close)
    whole = "".join(f"word {number}," for number in range(EVENTS))
    lost = [stream.text for stream in measured.streams if stream.text != whole or not stream.is_complete]
    assert not lost, f"{len(lost)} of {STREAMS} streams are not complete, for instance: {lost[0]}"
    assert measured.bytes_per_stream <= MAX_BYTES_PER_STREAM, f"{measured.bytes_per_stream:.0f} bytes per open stream"
    assert not measured.blocking, "\n".join(measured.blocking)


@dataclass(frozen=True)
class Measured:
    """What was measured: the streams, the memory of one more open stream, and the callbacks that took long."""

    streams: list[Stream]
    bytes_per_stream: float
    long_callbacks: list[str]

    @property
    def blocking(self) -> list[str]:
        """The callbacks that took too long."""
        return [line for line in self.long_callbacks if float(line.split()[0]) > MAX_CALLBACK_MS]


async def run_streams(gateway: TimedGateway, provider: HoldingProvider, client: httpx.AsyncClient) -> Measured:
    """Receive all streams at once."""
    provider.released.set()
    await Stream(client).read()  # imports what the first request needs
    provider.released.clear()
    callbacks = len(gateway.long_callbacks())
    streams = [Stream(client) for _ in range(STREAMS)]
    async with asyncio.TaskGroup() as reading:
        reading.create_task(streams[0].read())
        await streams[0].begun.wait()
        before = gateway.memory()
        for stream in streams[1:]:
            reading.create_task(stream.read())
        for stream in streams:
            await stream.begun.wait()
        bytes_per_stream = (gateway.memory() - before) / (STREAMS - 1)
        provider.released.set()
    return Measured(streams, bytes_per_stream, gateway.long_callbacks()[callbacks:])
