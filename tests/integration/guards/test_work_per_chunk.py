"""The work of the whole app for one chunk of a stream, counted so that neither machine nor load matters.

The provider sends the next chunk when the app has sent the one before. A bound is about a quarter above what the code
needs today: whoever exceeds it has added work to every chunk.
"""

import asyncio
import json
import sys
from array import array
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest

from support.families import ALL
from support.lockstep import LockstepProvider, lockstep_provider
from support.long_streams import long_stream
from support.one_model import one_model
from support.python_calls import Calls, counted_calls
from tollgate.handler.components import build
from tollgate.handler.http.app import Application
from tollgate.handler.settings import Settings

CHUNKS = 100
SKIPPED = 20
"""Chunks before those that are counted: the first ones need more."""
EVENTS = SKIPPED + CHUNKS + 1
MAX_PAYLOADS = EVENTS + 3
"""One for each event, and the end."""
MAX_CALLS = {"openai": 130, "anthropic": 125, "bedrock": 115, "gemini": 155}
"""Calls of Python functions, and resumed generators and coroutines, per chunk, those of asyncio included."""
MAX_HELD_BLOCKS = {"openai": 0.5, "anthropic": 0.5, "bedrock": 0.5, "gemini": 2.5}
"""Blocks of memory per chunk that are still held when it was sent. Gemini's citations need the text before them."""
KEY = f"sk-tg-{'1' * 12}-{'2' * 64}"


class Client:
    """The other side of the app. It sends one request, and notes after every payload of the response what was counted
    until then: calls, and allocated blocks of memory.
    """

    def __init__(self, provider: LockstepProvider, calls: Calls) -> None:
        self._provider = provider
        self._calls = calls
        request = {"model": "lockstep", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
        self._bodies = [json.dumps(request).encode()]
        self.calls = array("Q", bytes(8 * EVENTS))
        self.blocks = array("Q", bytes(8 * EVENTS))
        self.payloads = 0
        self.status = 0

    async def receive(self) -> MutableMapping[str, Any]:
        """The request, and then nothing: the client stays connected."""
        if not self._bodies:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": self._bodies.pop(), "more_body": False}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Accept a part of the response."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            return
        if self.payloads < EVENTS:
            self.calls[self.payloads] = self._calls.count
            self.blocks[self.payloads] = sys.getallocatedblocks()
        self.payloads += 1
        self._provider.received()

    def per_chunk(self, counted: "array[int]") -> float:
        """The growth of a number per chunk, without the first chunks and the last ones."""
        return (counted[EVENTS - 1] - counted[SKIPPED]) / CHUNKS


@pytest.fixture(scope="module", params=ALL)
def family(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def client(family: str, tmp_path_factory: pytest.TempPathFactory) -> Client:
    """A client that has received a whole stream of this family."""
    folder = tmp_path_factory.mktemp("lockstep")
    with lockstep_provider() as provider, counted_calls() as calls:
        stream = long_stream(family)
        text = stream.family.encode([stream.text])
        provider.pieces = [stream.family.encode([*stream.before, stream.text]), *[text] * (EVENTS - 1)]
        provider.end = stream.family.encode(stream.after)
        (folder / "lockstep.toml").write_text(one_model("lockstep", provider.url, family=family))
        client = Client(provider, calls)
        asyncio.run(call_app(folder, client))
    assert client.status == 200
    assert client.payloads <= MAX_PAYLOADS, f"{client.payloads} payloads for {EVENTS} events"
    return client


async def call_app(folder: Path, client: Client) -> None:
    """Call the app, on an SQLite file in this folder."""
    settings = Settings(db=str(folder / "tollgate.db"), catalog=str(folder / "lockstep.toml"), dev_key=KEY)
    components = build(settings)
    headers = [(b"authorization", f"Bearer {KEY}".encode()), (b"content-type", b"application/json")]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/chat/completions",
        "query_string": b"",
        "headers": headers,
    }
    await Application(components)(scope, client.receive, client.send)
    await components.close()


def test_few_functions_are_called_for_each_chunk(family: str, client: Client) -> None:
    calls = client.per_chunk(client.calls)
    assert calls <= MAX_CALLS[family], f"{family}: {calls:.1f} calls per chunk, at most {MAX_CALLS[family]}"


def test_nothing_is_kept_of_a_chunk_that_was_sent(family: str, client: Client) -> None:
    held = client.per_chunk(client.blocks)
    assert held <= MAX_HELD_BLOCKS[family], f"{family}: {held:.2f} blocks held, at most {MAX_HELD_BLOCKS[family]}"
