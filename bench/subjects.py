"""What is measured: the naive relay, the server, the streaming function and, if asked for, other gateways.

Tollgate's have a key with limits, DynamoDB Local as their store, a log line and metrics for each request.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from bench.processes import children
from bench.provider import catalog
from support.artifact import CHECKOUT
from support.dynamodb_local import DynamoDB, create_table, serve
from support.instances import SharedStore, base_env, free_port, function, instance, wait_for

FLAGS = ("--rpm", "1000000", "--tpm", "1000000000", "--concurrency", "1000", "--budget", "1000/day")
RELAY, SERVER, FUNCTION = "naive relay (no keys)", "server", "streaming function"


@dataclass(frozen=True)
class Subject:
    """A running gateway: its address, a key, its processes, headers that its requests need, and whether it streams."""

    name: str
    base_url: str
    key: str
    processes: Sequence[int]
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    streams: bool = True


@dataclass(frozen=True)
class Fixture:
    """What all subjects share: a folder, the provider's URL, DynamoDB, and a table in it with a key."""

    folder: Path
    provider: str
    dynamodb: DynamoDB
    table: str
    store: SharedStore
    key: str


@contextlib.contextmanager
def fixture(folder: Path, provider: str) -> Generator[Fixture]:
    """DynamoDB Local with a table and a key, until the block ends."""
    with serve() as dynamodb:
        table = create_table(dynamodb.client())
        env = {**base_env(), **dynamodb.environment, "TOLLGATE_TABLE": table, "TOLLGATE_METRICS_NAMESPACE": "bench"}
        store = SharedStore(["--table", table], env)
        (folder / "bench.toml").write_text(catalog(provider))
        yield Fixture(folder, provider, dynamodb, table, store, store.key(*FLAGS))


def start_all(running: contextlib.ExitStack, shared: Fixture) -> list[Subject]:
    """Start the relay, the server and the function. The relay is the first."""
    rows = shared.folder / "bench.toml"
    makers = {
        RELAY: naive_relay(shared.provider),
        SERVER: instance(shared.store, rows),
        FUNCTION: function(shared.store, rows, environments=1),
    }
    return [start(running, name, shared.key, made) for name, made in makers.items()]


def start(
    running: contextlib.ExitStack,
    name: str,
    key: str,
    made: AbstractContextManager[str],
    headers: Mapping[str, str] | None = None,
) -> Subject:
    """Start one subject; its processes are those that appear with it."""
    before = children()
    base_url = running.enter_context(made)
    return Subject(name, base_url, key, sorted(children() - before), headers or {})


@contextlib.contextmanager
def naive_relay(provider: str) -> Generator[str]:
    """The relay of `bench.naive_relay` in a process of its own. Yields its base URL."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "bench.naive_relay:app", "--port", str(port), "--log-level", "error"]
    with process(command, {**os.environ, "BENCH_PROVIDER": provider}):
        wait_for(f"http://127.0.0.1:{port}", "/openapi.json")
        yield f"http://127.0.0.1:{port}/v1"


@contextlib.contextmanager
def process(command: Sequence[str], env: Mapping[str, str]) -> Generator[None]:
    """A process, until the block ends."""
    started = subprocess.Popen(command, env=env, cwd=CHECKOUT, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        started.kill()
        started.wait()
