"""Serving: CPU per request, peak memory, and the delay of the first token, beside a relay that does nothing else.

The gateways have a key with limits, DynamoDB Local as their store, a log line and metrics for each request. One request
runs at a time, as in Lambda. Rounds alternate between the subjects, so that a busy machine slows all of them.
"""

import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from bench.figures import Row
from bench.provider import EVENTS, canned_provider, catalog
from support.artifact import CHECKOUT
from support.dynamodb_local import create_table, serve
from support.instances import SharedStore, base_env, free_port, function, instance, wait_for

ROUNDS, REQUESTS, STREAMS = 7, 40, 15
SOAK, LARGE = 800, 5_500_000
"""Requests of each kind, and characters of one prompt, before the peak of memory is read."""
FLAGS = ("--rpm", "1000000", "--tpm", "1000000000", "--concurrency", "100", "--budget", "1000/day")
NAIVE = "naive relay (no keys)"


@dataclass
class Subject:
    """A server under measurement, its processes, and what was measured: milliseconds of CPU, and of delay."""

    name: str
    base_url: str
    key: str
    processes: Sequence[int]
    buffered: list[float] = field(default_factory=list[float])
    stream: list[float] = field(default_factory=list[float])
    delays: list[float] = field(default_factory=list[float])


async def measure(folder: Path) -> list[Row]:
    """Rows for the relay, the server and the streaming function, with the ratios to the relay."""
    async with canned_provider() as url:
        return await asyncio.to_thread(_measure, folder, url)


def _measure(folder: Path, url: str) -> list[Row]:
    with contextlib.ExitStack() as running:
        subjects = _start(running, folder, url)
        asyncio.run(_run_rounds(subjects))
        return [row for subject in subjects for row in _rows(subject, subjects[0])]


def _start(running: contextlib.ExitStack, folder: Path, url: str) -> list[Subject]:
    dynamodb = running.enter_context(serve())
    table, rows = create_table(dynamodb.client()), folder / "bench.toml"
    rows.write_text(catalog(url))
    env = {**base_env(), **dynamodb.environment, "TOLLGATE_TABLE": table, "TOLLGATE_METRICS_NAMESPACE": "bench"}
    store = SharedStore(["--table", table], env)
    key = store.key(*FLAGS)
    makers = {
        NAIVE: _naive_relay(url),
        "server": instance(store, rows),
        "streaming function": function(store, rows, environments=1),
    }
    subjects: list[Subject] = []
    for name, made in makers.items():
        before = _children()
        base_url = running.enter_context(made)
        subjects.append(Subject(name, base_url, key, sorted(_children() - before)))
    return subjects


async def _run_rounds(subjects: Sequence[Subject]) -> None:
    async with contextlib.AsyncExitStack() as open_clients:
        clients = [await open_clients.enter_async_context(_client(subject)) for subject in subjects]
        pairs = list(zip(subjects, clients, strict=True))
        for client in clients:
            await _chat(client, "buffered", REQUESTS)
            await _chat(client, "stream", STREAMS)
        for _ in range(ROUNDS):
            for subject, client in pairs:
                subject.buffered.append(await _cpu_ms(subject.processes, client, "buffered", REQUESTS))
                subject.stream.append(await _cpu_ms(subject.processes, client, "stream", STREAMS))
        for subject, client in pairs:
            subject.delays = await _first_token_delays(client)
            await _chat(client, "buffered", SOAK)
            await _chat(client, "stream", SOAK)
            await _chat(client, "buffered", 1, "a" * LARGE)


def _rows(subject: Subject, naive: Subject) -> list[Row]:
    name = f"{subject.name}: peak memory after 2,000 requests and a prompt of 5.5 MB, MB"
    peak = Row(name, [_peak_megabytes(subject.processes)], 0)
    rows = [
        Row(f"{subject.name}: buffered request, ms CPU", subject.buffered),
        Row(f"{subject.name}: stream of {EVENTS} events, ms CPU", subject.stream),
        Row(f"{subject.name}: provider's first token to client's, ms", subject.delays, 1),
        peak,
    ]
    if subject is naive:
        return rows
    ratios = [
        Row(f"{subject.name} / {NAIVE}: {kind}", [statistics.median(ours) / statistics.median(theirs)])
        for kind, ours, theirs in (
            ("buffered", subject.buffered, naive.buffered),
            ("stream", subject.stream, naive.stream),
        )
    ]
    return [*rows, *ratios]


@contextlib.contextmanager
def _naive_relay(url: str) -> Generator[str]:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "bench.naive_relay:app", "--port", str(port), "--log-level", "error"]
    started = subprocess.Popen(command, env={**os.environ, "BENCH_PROVIDER": url}, cwd=CHECKOUT)
    try:
        wait_for(f"http://127.0.0.1:{port}", "/openapi.json")
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        started.kill()
        started.wait()


@contextlib.asynccontextmanager
async def _client(subject: Subject) -> AsyncGenerator[httpx.AsyncClient]:
    headers = {"authorization": f"Bearer {subject.key}"}
    async with httpx.AsyncClient(base_url=subject.base_url, headers=headers, timeout=60) as client:
        yield client


async def _chat(client: httpx.AsyncClient, model: str, times: int, prompt: str = "x") -> None:
    body = {"model": f"bench/{model}", "messages": [{"role": "user", "content": prompt}], "stream": model != "buffered"}
    for _ in range(times):
        response = await client.post("/chat/completions", json=body)
        assert response.status_code == 200, response.text


async def _cpu_ms(processes: Iterable[int], client: httpx.AsyncClient, model: str, times: int) -> float:
    before = _cpu_seconds(processes)
    await _chat(client, model, times)
    return (_cpu_seconds(processes) - before) / times * 1000


async def _first_token_delays(client: httpx.AsyncClient) -> list[float]:
    """The provider writes its time into each token. Both clocks are of this machine."""
    delays: list[float] = []
    body = {"model": "bench/slow", "messages": [{"role": "user", "content": "x"}], "stream": True}
    for _ in range(10):
        async with client.stream("POST", "/chat/completions", json=body) as response:
            async for line in response.aiter_lines():
                if line.startswith("data: {"):
                    sent = float(json.loads(line[6:])["choices"][0]["delta"]["content"])
                    delays.append((time.monotonic() - sent) * 1000)
                    break
    return delays


def _children() -> set[int]:
    """The processes that this process has started."""
    tasks = Path(f"/proc/{os.getpid()}/task").iterdir()
    return {int(child) for task in tasks for child in (task / "children").read_text().split()}


def _cpu_seconds(processes: Iterable[int]) -> float:
    """CPU time from /proc/PID/schedstat, in nanoseconds there: the ticks of /proc/PID/stat are too coarse."""
    return (
        sum(
            int((task / "schedstat").read_text().split()[0])
            for process in processes
            for task in Path(f"/proc/{process}/task").iterdir()
        )
        / 1e9
    )


def _peak_megabytes(processes: Iterable[int]) -> float:
    peaks: list[int] = []
    for process in processes:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        peaks.append(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")))
    return sum(peaks) / 1000
