"""`tollgate usage --watch` in a terminal, and progress bars of what takes long."""

import os
import pty
import subprocess
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.command_line import run_command
from support.running_gateway import TOLLGATE, RunningGateway, run_gateway
from support.waiting import LIMIT_SECONDS


class Terminal:
    """A command in a terminal of 120 columns, and what it has written there."""

    def __init__(self, master: int) -> None:
        self._master = master
        self.written = ""

    def read_until(self, text: str) -> None:
        """Read until the text is there; at the end of the terminal an OSError is raised."""
        while text not in self.written:
            self.written += os.read(self._master, 65536).decode(errors="replace")


@contextmanager
def terminal(*words: str) -> Generator[Terminal]:
    master, slave = pty.openpty()
    env = {**os.environ, "COLUMNS": "120", "TERM": "xterm"}
    process = subprocess.Popen([str(TOLLGATE), *words], stdin=slave, stdout=slave, stderr=slave, env=env)
    os.close(slave)
    try:
        yield Terminal(master)
    finally:
        process.terminate()
        process.wait(LIMIT_SECONDS)
        os.close(master)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with run_gateway("server", tmp_path_factory.mktemp("gateway")) as running:
        yield running


def ask(gateway: RunningGateway, model: str) -> None:
    env = {"TOLLGATE_BASE_URL": gateway.base_url, "TOLLGATE_API_KEY": gateway.api_key}
    answered = run_command("chat", "Hello", "-m", model, env=env)
    assert answered.exit_code == 0, answered.output


def test_usage_is_shown_again_while_requests_come(gateway: RunningGateway) -> None:
    ask(gateway, "gpt-4o")
    with terminal("usage", "--by", "model", "--watch", "--db", str(gateway.db)) as shown:
        shown.read_until("gpt-4o")
        assert "claude-sonnet-4-6" not in shown.written
        ask(gateway, "claude-sonnet-4-6")
        shown.read_until("claude-sonnet-4-6")


def test_long_work_shows_its_progress_in_a_terminal_only(gateway: RunningGateway) -> None:
    with terminal("usage", "--by", "model", "--db", str(gateway.db)) as shown:
        shown.read_until("total")
        assert "Reading usage" in shown.written
    assert "Reading usage" not in run_command("usage", "--db", str(gateway.db)).output


def test_watch_is_for_terminals_and_tables(tmp_path: Path) -> None:
    for flags, reason in (((), "needs a terminal"), (("--json",), "leave out --csv and --json")):
        refused = run_command("usage", "--watch", *flags, "--db", str(tmp_path / "t.db"))
        assert (refused.exit_code, reason in refused.output) == (1, True)
