"""A canned provider for measurements, in this process, so that its CPU is not counted.

The model says what it responds with: `buffered`, a whole response; `stream`, 104 events, each in its own write;
`stream-N`, so many; `slow`, a stream with a pause before each event, each with the times at which the request was
received and the event was sent.
"""

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncGenerator
from typing import Any

EVENTS, SLOW_EVENTS, PAUSE = 104, 4, 0.1
"""Events of a stream, and of a slow one, each in its own write; seconds before each event of a slow stream."""
LENGTHS = (10, 100, 1_000, 10_000)
"""Events of the streams `stream-N`."""
WORDS = " ".join(["word"] * 50)
USAGE = {"prompt_tokens": 10, "completion_tokens": 50, "total_tokens": 60}
ENVELOPE = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "canned"}
MODELS = ("buffered", "stream", "slow", *(f"stream-{length}" for length in LENGTHS))
CATALOG = """
[providers.bench]
family = "openai"
base_url = "{url}"
auth = "none"
"""
MODEL = """
[models."bench/{name}"]
created = 2026-01-01
owned_by = "bench"
context_length = 1000
routes = [{{ provider = "bench", model = "{name}" }}]
prices = {{ input_usd_per_mtok = 1, output_usd_per_mtok = 2, source = "bench", date = 2026-01-01 }}
"""


def catalog(url: str) -> str:
    """The catalog rows of the provider at this URL."""
    return CATALOG.format(url=url) + "".join(MODEL.format(name=name) for name in MODELS)


@contextlib.asynccontextmanager
async def canned_provider() -> AsyncGenerator[str]:
    """The provider's base URL."""
    server = await asyncio.start_server(_serve, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            received = time.monotonic()
            length = re.search(rb"content-length: *(\d+)", head.lower())
            if length is None:  # LiteLLM also sends requests without a body
                break
            model = str(json.loads(await reader.readexactly(int(length[1])))["model"]).removeprefix("bench/")
            if model == "buffered":
                _write_whole(writer)
            else:
                is_slow = model == "slow"
                events = SLOW_EVENTS if is_slow else int(model.partition("-")[2] or EVENTS)
                await _write_stream(writer, events, received if is_slow else None)
    writer.close()


def _write_whole(writer: asyncio.StreamWriter) -> None:
    message = {"role": "assistant", "content": WORDS}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = json.dumps({**ENVELOPE, "object": "chat.completion", "choices": [choice], "usage": USAGE}).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)


async def _write_stream(writer: asyncio.StreamWriter, events: int, received: float | None) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    slow = received is not None
    for number in range(events - 2):
        # LiteLLM ends a stream that repeats a chunk
        text = f"{received} {time.monotonic()} " if slow else f"word {number} "
        _write_chunk(writer, {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})
        await writer.drain()
        await asyncio.sleep(PAUSE if slow else 0)
    _write_chunk(writer, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": USAGE})
    writer.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")


def _write_chunk(writer: asyncio.StreamWriter, fields: dict[str, Any]) -> None:
    event = b"data: " + json.dumps({**ENVELOPE, **fields}).encode() + b"\n\n"
    writer.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")
