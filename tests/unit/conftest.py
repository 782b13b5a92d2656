"""Unit tests start no process and open no port: both fail here, so that `make unit` stays fast and needs nothing."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest

FORBIDDEN = frozenset({"subprocess.Popen", "os.posix_spawn", "os.fork", "socket.bind", "socket.connect"})
_running: list[str] = []


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if _running and event in FORBIDDEN:
        raise AssertionError(f"a unit test may not cause {event} {arguments!r}"[:200])


sys.addaudithook(_refuse)


@pytest.fixture(autouse=True)
def no_process_and_no_port(request: pytest.FixtureRequest) -> Iterator[None]:
    _running.append(request.node.nodeid)
    yield
    _running.pop()
