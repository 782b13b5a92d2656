"""A running gateway, as a person would start it, in a process of its own: `tollgate serve`, or `make run-lambda`."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).parents[2]
TOLLGATE = Path(sys.executable).parent / "tollgate"


@dataclass
class RunningGateway:
    """Where it is, a key for it, its SQLite file, and every line it has written since."""

    base_url: str
    api_key: str
    db: Path
    pid: int
    lines: list[str] = field(default_factory=list[str])

    def key(self, *flags: str) -> str:
        """A new key, made as its owner makes one: `tollgate keys create` with these flags."""
        command = [str(TOLLGATE), "keys", "create", "--name", "test", "--db", str(self.db), *flags]
        return subprocess.run(command, env=_clean(), capture_output=True, text=True, check=True).stdout.strip()

    def processes(self) -> list[int]:
        """The processes that run the app: the server itself, or the function's below the local function URL."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [int(child) for child in children] or [self.pid]

    def peak_megabytes(self) -> float:
        """The most memory that any of its processes has had."""
        peaks: list[int] = []
        for process in self.processes():
            lines = Path(f"/proc/{process}/status").read_text().splitlines()
            peaks.append(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")))
        return max(peaks) / 1000

    def open_holds(self) -> int:
        """How many requests are admitted and not settled."""
        return len(records_in(self.db)[1])

    def log_of(self, request_id: str) -> dict[str, Any]:
        """The one log line of a request; it is written after the client has its last byte, so it is waited for."""
        end = time.monotonic() + 10
        while time.monotonic() < end:
            found = [json.loads(line) for line in list(self.lines) if request_id in line]
            if found:
                assert len(found) == 1, found
                return found[0]
            time.sleep(0.01)
        raise AssertionError(f"no log line for {request_id} in {self.lines[-20:]}")

    def settled(self, request_id: str) -> dict[str, Any]:
        """The request's usage record, when it is there and no hold is left."""
        self.log_of(request_id)
        records, holds = records_in(self.db)
        (record,) = [record for record in records if record["request_id"] == request_id]
        assert request_id not in holds
        return record


@contextlib.contextmanager
def run_gateway(
    kind: str, folder: Path, catalog: Path | None = None, env: Mapping[str, str] | None = None
) -> Generator[RunningGateway]:
    """A gateway on a free port until the block ends: the `app` itself, or the artifact of the function (`lambda`)."""
    db = folder / f"{kind}.db"
    serve = [str(TOLLGATE), "serve"] if kind == "asgi" else [sys.executable, "-m", "devtools.run_artifact"]
    command = [*serve, "--json", "--port", "0", "--db", str(db)]
    command += ["--catalog", str(catalog)] if catalog else []
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        env={**_clean(), "PYTHONPATH": str(CHECKOUT), **(env or {})},
    )
    assert process.stdout is not None
    stdout = process.stdout
    try:
        first = stdout.readline()
        assert first.startswith("{"), first + stdout.read()
        opened = json.loads(first)
        gateway = RunningGateway(opened["base_url"], opened["api_key"], db, process.pid)
        reader = threading.Thread(target=lambda: gateway.lines.extend(iter(stdout.readline, "")), daemon=True)
        reader.start()
        yield gateway
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        stdout.close()


def records_in(db: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Every usage record of an SQLite file, and the ids of the holds that are open in it."""
    with contextlib.closing(sqlite3.connect(db)) as connection:
        connection.row_factory = sqlite3.Row
        records = connection.execute("SELECT * FROM usage").fetchall()
        holds = connection.execute("SELECT hold_id FROM holds").fetchall()
    return [dict(record) for record in records], [hold["hold_id"] for hold in holds]


def _clean() -> dict[str, str]:
    """This environment without credentials and settings: a test's gateway knows only what the test tells it."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.endswith("_API_KEY") and not name.startswith(("TOLLGATE_", "AWS_"))
    }
