"""Gateways as Lambda runs them: several processes on one store, which may be killed at any time."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from devtools.local_function_url.local import LocalFunctionUrl
from support.artifact import ARTIFACT, artifact_python
from support.command_line import SETTINGS, create
from support.dynamodb_local import DynamoDB, create_table
from support.http import HTTP
from support.waiting import LIMIT_SECONDS, wait_until

APP = "tollgate.handler.lambda_function:app"


@dataclass(frozen=True)
class SharedStore:
    """A store of several gateways: command line flags and environment that select it."""

    flags: Sequence[str]
    env: Mapping[str, str]

    def key(self, *flags: str) -> str:
        """A new key, created by the command line."""
        return create("keys", *self.flags, *flags, env=self._settings)

    def team(self, *flags: str) -> str:
        """The id of a new team, created by the command line."""
        return create("teams", *self.flags, *flags, env=self._settings)

    @property
    def _settings(self) -> Mapping[str, str]:
        return {name: value for name, value in self.env.items() if name.startswith(SETTINGS)}


def make_store(kind: str, request: pytest.FixtureRequest, folder: Path) -> SharedStore:
    """An SQLite file in this folder, or a new table in the DynamoDB of this test run."""
    if kind == "sqlite":
        db = folder / "shared_store.db"
        return SharedStore(["--db", str(db)], {**base_env(), "TOLLGATE_DB": str(db)})
    dynamodb: DynamoDB = request.getfixturevalue("dynamodb")
    table = create_table(dynamodb.client())
    env = {**base_env(), **dynamodb.environment, "TOLLGATE_TABLE": table}
    return SharedStore(["--table", table], env)


@contextlib.contextmanager
def instance(store: SharedStore, catalog: Path) -> Generator[str]:
    """One gateway process, as a server. Yields its base URL."""
    with process(store, catalog) as (base_url, _):
        yield base_url


@contextlib.contextmanager
def process(store: SharedStore, catalog: Path) -> Generator[tuple[str, "subprocess.Popen[bytes]"]]:
    """One gateway process. Yields its base URL and the process."""
    port = free_port()
    env = {**store.env, "TOLLGATE_CATALOG": str(catalog), "SCRIPTED_API_KEY": "k", "TOLLGATE_CREDENTIALS_PATH": ""}
    command = [sys.executable, "-m", "uvicorn", APP, "--port", str(port), "--lifespan", "off", "--log-level", "error"]
    started = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(url)
        yield f"{url}/v1", started
    finally:
        with contextlib.suppress(ProcessLookupError):
            started.send_signal(signal.SIGKILL)
        started.wait()


@contextlib.contextmanager
def function(store: SharedStore, catalog: Path, environments: int = 4) -> Generator[str]:
    """The built artifact under the local function URL, on this store. Yields its base URL."""
    url = LocalFunctionUrl(
        artifact=ARTIFACT,
        handler="tollgate.handler.lambda_function.app",
        python=artifact_python(),
        env={**store.env, "TOLLGATE_CATALOG": str(catalog), "TOLLGATE_CREDENTIALS_PATH": ""},
        environments=environments,
        log=lambda line: None,
        keep=0,
    )
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(url.__aenter__(), loop).result(LIMIT_SECONDS)
        wait_for(url.url)
        yield f"{url.url}/v1"
    finally:
        asyncio.run_coroutine_threadsafe(url.__aexit__(None, None, None), loop).result(LIMIT_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def base_env() -> dict[str, str]:
    """The part of this environment that every process needs."""
    return {"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", "")}


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(url: str, path: str = "/health") -> None:
    """Wait until the server at this URL responds."""

    def is_healthy() -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return HTTP.get(f"{url}{path}", timeout=LIMIT_SECONDS).status_code == 200
        return False

    wait_until(is_healthy, f"the start of {url}")
