"""System calls of the function's process, and of the server's, for a stream: none that is not needed.

They are counted inside the process: those of its sockets and of its event loop in the main thread.
"""

from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from support.http import HTTP
from support.instances import SharedStore, base_env, function
from support.lockstep import LockstepProvider, lockstep_provider
from support.one_model import one_model
from support.running_gateway import CHECKOUT, run_gateway
from support.scenarios import chunk
from support.syscall_counter.sitecustomize import CALLS

EVENTS, SKIPPED = 104, 4
MAX_PER_EVENT = 4.1
"""One to receive, one to send, and two to wait: asyncio asks the system for events before it resumes a task."""
MAX_PER_BATCH = {"server": 60, "function": 40}
"""For a request with a stream of 104 events that came in one piece, those of admission and settlement included. Their
number varies by the half, because the store runs in a thread of its own.
"""
COUNTER = CHECKOUT / "tests/support/syscall_counter"
END = chunk({}, "stop") + b"data: [DONE]\n\n"


@dataclass
class CountingGateway:
    """A running gateway whose process writes the number of its system calls into a file in `counts`."""

    kind: str
    base_url: str
    api_key: str
    provider: LockstepProvider
    counts: Path

    def count(self) -> Counter[str]:
        """The system calls until now, by name."""
        (file,) = self.counts.iterdir()
        return Counter(dict(zip(CALLS, array("Q", file.read_bytes()), strict=True)))

    def stream(self, pieces: list[bytes], end: bytes) -> list[Counter[str]]:
        """Receive a stream that comes in these pieces. Returns the counts before it, and after each text."""
        self.provider.pieces, self.provider.end = pieces, end
        request = {"model": "lockstep", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
        headers = {"authorization": f"Bearer {self.api_key}"}
        counts = [self.count()]
        with HTTP.stream("POST", f"{self.base_url}/chat/completions", json=request, headers=headers) as response:
            for line in response.iter_lines():
                if '"content":' in line:
                    counts.append(self.count())
                    self.provider.received()
            assert response.status_code == httpx.codes.OK
        return counts


@pytest.fixture(scope="module", params=["server", "function"])
def gateway(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CountingGateway]:
    folder = tmp_path_factory.mktemp("syscalls")
    counts, catalog = folder / "counts", folder / "lockstep.toml"
    counts.mkdir()
    counting = {"PYTHONPATH": f"{COUNTER}:{CHECKOUT}", "SYSCALL_COUNTS": str(counts)}
    with lockstep_provider() as provider:
        catalog.write_text(one_model("lockstep", provider.url))
        if request.param == "server":
            with run_gateway("server", folder, catalog.read_text(), counting) as running:
                yield warm(CountingGateway("server", running.base_url, running.api_key, provider, counts))
        else:
            db = str(folder / "function.db")
            store = SharedStore(["--db", db], {**base_env(), "TOLLGATE_DB": db})
            key = store.key()
            with function(SharedStore(store.flags, {**store.env, **counting}), catalog, environments=1) as base_url:
                yield warm(CountingGateway("function", base_url, key, provider, counts))


def warm(gateway: CountingGateway) -> CountingGateway:
    """The gateway, with its connections open."""
    for _ in range(2):
        gateway.stream([], text(1) + END)
    return gateway


def text(number: int) -> bytes:
    return chunk({"content": f"word {number}"})


def test_event_of_a_stream_is_received_and_sent_once(gateway: CountingGateway) -> None:
    counts = gateway.stream([text(number) for number in range(EVENTS)], END)
    calls = counts[EVENTS] - counts[SKIPPED]
    per_event = calls.total() / (EVENTS - SKIPPED)
    assert per_event <= MAX_PER_EVENT, f"{per_event:.2f} system calls per event: {calls}"


def test_events_that_come_together_are_sent_together(gateway: CountingGateway) -> None:
    counts = gateway.stream([], b"".join(text(number) for number in range(EVENTS)) + END)
    calls = counts[-1] - counts[0]
    assert calls.total() <= MAX_PER_BATCH[gateway.kind], f"{calls.total()} system calls for a stream: {calls}"
