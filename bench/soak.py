"""Soak: many requests to one server and to one process of the function, and what they hold of memory, files, tasks and
holds meanwhile. `make soak` runs it; SOAK_REQUESTS is the number of requests of each kind.

Requests are buffered and streamed in turn. Both gateways have a store in an SQLite file.
"""

import asyncio
import contextlib
import os
import signal
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.client import ChatClient
from bench.processes import cpu_ms, megabytes, open_files
from bench.provider import canned_provider, catalog
from support.artifact import CHECKOUT
from support.instances import SharedStore, base_env, function
from support.running_gateway import run_gateway

REQUESTS = int(os.environ.get("SOAK_REQUESTS", "100000"))
"""Of each kind, buffered and streamed."""
SAMPLES = 20
FLAGS = ("--rpm", "1000000", "--tpm", "1000000000", "--concurrency", "100", "--budget", "1000000/day")
COUNTER = CHECKOUT / "bench/task_counter"


@dataclass(frozen=True)
class Soaked:
    """A gateway under load: its process, its address and key, and its SQLite file."""

    name: str
    process: int
    base_url: str
    key: str
    db: Path
    tasks: Path

    def holds(self) -> int:
        """The number of requests that are admitted and not settled."""
        with contextlib.closing(sqlite3.connect(self.db)) as connection:
            return connection.execute("SELECT count(*) FROM holds").fetchone()[0]

    async def open_tasks(self) -> int:
        """The number of asyncio tasks of the process."""
        self.tasks.write_text("")
        os.kill(self.process, signal.SIGUSR1)
        while not (text := self.tasks.read_text()):  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.01)
        return int(text)


@dataclass(frozen=True)
class Sample:
    """What a gateway holds after a number of requests, between two of them."""

    name: str
    requests: int
    megabytes: float
    files: int
    tasks: int
    holds: int
    cpu_ms: float


async def soak(gateway: Soaked, requests: int, show: "Console") -> list[Sample]:
    """Send so many requests of each kind, one at a time, and take samples."""
    client = ChatClient(gateway.base_url, gateway.key)
    samples: list[Sample] = []
    part = max(1, requests // SAMPLES)
    for done in range(0, requests + 1, part):
        if done:
            before = cpu_ms([gateway.process])
            for _ in range(part):
                await client.chat("buffered")
                await client.chat("stream-10")
            cpu = (cpu_ms([gateway.process]) - before) / part / 2
        else:
            await client.chat("buffered")
            await client.chat("stream-10")
            cpu = 0.0
        process = gateway.process
        tasks, holds = await gateway.open_tasks(), gateway.holds()
        sample = Sample(gateway.name, 2 * done, megabytes([process]), open_files(process), tasks, holds, cpu)
        samples.append(sample)
        show.print(f"{time.strftime('%H:%M:%S')} {sample}", highlight=False, soft_wrap=True)
    client.close()
    return samples


def start(running: contextlib.ExitStack, folder: Path, url: str) -> list[Soaked]:
    """Start the server and the function."""
    rows, gateways = folder / "bench.toml", list[Soaked]()
    rows.write_text(catalog(url))
    for name in ("server", "function"):
        tasks, db = folder / f"{name}-tasks", folder / f"{name}.db"
        tasks.mkdir()
        env = {"PYTHONPATH": f"{COUNTER}:{CHECKOUT}", "TASK_COUNTS": str(tasks)}
        store = SharedStore(["--db", str(db)], {**base_env(), **env, "TOLLGATE_DB": str(db)})
        key = store.key(*FLAGS)
        if name == "server":
            base_url = running.enter_context(run_gateway("server", folder, rows.read_text(), env)).base_url
        else:
            base_url = running.enter_context(function(store, rows, environments=1))
        (counted,) = tasks.iterdir()
        gateways.append(Soaked(name, int(counted.name), base_url, key, db, counted))
    return gateways


async def run(requests: int, show: Console) -> Sequence[Sequence[Sample]]:
    """The samples of both gateways, which run at the same time."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as running:
        async with canned_provider() as url:
            gateways = await asyncio.to_thread(start, running, Path(folder), url)
            samples = await asyncio.gather(*(soak(gateway, requests, show) for gateway in gateways))
            await asyncio.to_thread(running.close)
    return samples


def main() -> None:
    """Run the soak and print its table."""
    show = Console(width=140)
    table = Table("gateway", "requests", "memory, MB", "open files", "tasks", "open holds", "CPU ms per request")
    for samples in asyncio.run(run(REQUESTS, Console(stderr=True))):
        for sample in samples:
            figures = (f"{sample.megabytes:.1f}", str(sample.files), str(sample.tasks), str(sample.holds))
            table.add_row(sample.name, f"{sample.requests:,}", *figures, f"{sample.cpu_ms:.2f}")
        table.add_section()
    show.print(table)


if __name__ == "__main__":
    main()
