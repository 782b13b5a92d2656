"""A running gateway in a process of its own, as its owner starts it: `tollgate serve`, or `make run-lambda`."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from support.command_line import create_key
from support.waiting import LIMIT_SECONDS, wait_until

CHECKOUT = Path(__file__).parents[2]
TOLLGATE = Path(sys.executable).parent / "tollgate"
Kind = Literal["server", "function"]


@dataclass
class RunningGateway:
    """A gateway: its kind, its base URL, a key, its SQLite file, and the lines of its output."""

    kind: Kind
    base_url: str
    api_key: str
    db: Path
    pid: int
    lines: list[str] = field(default_factory=list[str])

    def key(self, *flags: str) -> str:
        """A new key, created by `tollgate keys create` with these flags."""
        return create_key("--db", str(self.db), *flags)

    def processes(self) -> list[int]:
        """The processes that run the app: the server itself, or the environments of the local function URL."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [int(child) for child in children] or [self.pid]

    def peak_megabytes(self) -> float:
        """The largest peak memory of its processes."""
        peaks: list[int] = []
        for process in self.processes():
            lines = Path(f"/proc/{process}/status").read_text().splitlines()
            peaks.append(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")))
        return max(peaks) / 1000

    def open_holds(self) -> int:
        """The number of requests that are admitted and not settled."""
        return len(records_in(self.db)[1])

    def log_of(self, request_id: str) -> dict[str, Any]:
        """The only log line of a request, which is written after the last byte of the response."""
        wait_until(lambda: any(request_id in line for line in list(self.lines)), f"the log line of {request_id}")
        found = [json.loads(line) for line in list(self.lines) if request_id in line]
        assert len(found) == 1, found
        return found[0]

    def settled(self, request_id: str) -> dict[str, Any]:
        """The usage record of a request, which has no open hold."""
        self.log_of(request_id)
        records, holds = records_in(self.db)
        (record,) = [record for record in records if record["request_id"] == request_id]
        assert request_id not in holds
        return record


@contextlib.contextmanager
def run_gateway(
    kind: Kind, folder: Path, catalog: str | None = None, env: Mapping[str, str] | None = None
) -> Generator[RunningGateway]:
    """A gateway on a free port until the block ends: the server, or the built artifact as a function.

    `catalog` is the text of an overlay.
    """
    db = folder / f"{kind}.db"
    serve = [str(TOLLGATE), "serve"] if kind == "server" else [sys.executable, "-m", "devtools.run_artifact"]
    command = [*serve, "--json", "--port", "0", "--db", str(db)]
    if catalog is not None:
        (folder / "overlay.toml").write_text(catalog)
        command += ["--catalog", str(folder / "overlay.toml")]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        env={**_clean_environment(), "PYTHONPATH": str(CHECKOUT), **(env or {})},
    )
    assert process.stdout is not None
    stdout = process.stdout
    try:
        first = stdout.readline()
        assert first.startswith("{"), first + stdout.read()
        address = json.loads(first)
        gateway = RunningGateway(kind, address["base_url"], address["api_key"], db, process.pid)
        reader = threading.Thread(target=lambda: gateway.lines.extend(iter(stdout.readline, "")), daemon=True)
        reader.start()
        yield gateway
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        stdout.close()


def records_in(db: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Every usage record of an SQLite file, and the ids of its open holds."""
    with contextlib.closing(sqlite3.connect(db)) as connection:
        connection.row_factory = sqlite3.Row
        records = connection.execute("SELECT * FROM usage").fetchall()
        holds = connection.execute("SELECT hold_id FROM holds").fetchall()
    return [dict(record) for record in records], [hold["hold_id"] for hold in holds]


def _clean_environment() -> dict[str, str]:
    """This environment without credentials and settings, so that a gateway has only those of its test."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.endswith("_API_KEY") and not name.startswith(("TOLLGATE_", "AWS_"))
    }
