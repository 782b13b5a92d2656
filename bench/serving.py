"""Serving: CPU per request, peak memory, and how long after leaving the provider a first token arrives.

The provider is in this process, so its CPU is not counted. The store is the SQLite file of local runs.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator, Iterable
from pathlib import Path
from typing import Any

import httpx

from bench.figures import Row
from support.running_gateway import RunningGateway, run_gateway

REQUESTS, STREAMS, TOKENS, PAUSE = 300, 100, 100, 0.1
WORDS = " ".join(["word"] * 50)
JSON_HEAD = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
USAGE = {"prompt_tokens": 10, "completion_tokens": 50, "total_tokens": 60}


async def measure(folder: Path) -> list[Row]:
    """Rows for both streaming doors."""
    rows: list[Row] = []
    async with _provider() as url:
        catalog = folder / "bench.toml"
        catalog.write_text(_catalog(url))
        for kind in ("asgi", "lambda"):
            place = folder / kind
            place.mkdir()
            with run_gateway(kind, place, catalog) as gateway:
                rows += await _measure_door(kind, gateway)
    return rows


async def _measure_door(kind: str, gateway: RunningGateway) -> list[Row]:
    headers = {"authorization": f"Bearer {gateway.api_key}"}
    async with httpx.AsyncClient(base_url=gateway.base_url, headers=headers, timeout=60) as client:
        await _ask(client, "whole", 30)
        await _ask(client, "stream", 10)
        whole = [await _cpu_ms(gateway, client, "whole", REQUESTS // 5) for _ in range(5)]
        stream = [await _cpu_ms(gateway, client, "stream", STREAMS // 5) for _ in range(5)]
        delays = await _first_token_delays(client)
    return [
        Row(f"{kind} door: buffered request, ms CPU", whole),
        Row(f"{kind} door: stream of {TOKENS} chunks, ms CPU", stream),
        Row(f"{kind} door: provider's first token to client's, ms", delays, 1),
        Row(f"{kind} door: peak memory, MB", [gateway.peak_megabytes()], 0),
    ]


async def _ask(client: httpx.AsyncClient, model: str, times: int) -> None:
    body = {"model": f"bench/{model}", "messages": [{"role": "user", "content": "x"}], "stream": model != "whole"}
    for _ in range(times):
        answer = await client.post("/chat/completions", json=body)
        assert answer.status_code == 200, answer.text


async def _cpu_ms(gateway: RunningGateway, client: httpx.AsyncClient, model: str, times: int) -> float:
    before = _cpu_seconds(gateway.processes())
    await _ask(client, model, times)
    return (_cpu_seconds(gateway.processes()) - before) / times * 1000


async def _first_token_delays(client: httpx.AsyncClient) -> list[float]:
    """The provider writes the time into its first token; both clocks are this machine's."""
    delays: list[float] = []
    body = {"model": "bench/slow", "messages": [{"role": "user", "content": "x"}], "stream": True}
    for _ in range(10):
        async with client.stream("POST", "/chat/completions", json=body) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data: {"):
                    sent = float(json.loads(line[6:])["choices"][0]["delta"]["content"])
                    delays.append((time.monotonic() - sent) * 1000)
                    break
    return delays


def _cpu_seconds(processes: Iterable[int]) -> float:
    total = 0
    for process in processes:
        user, system = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
        total += int(user) + int(system)
    return total / 100


def _catalog(url: str) -> str:
    rows = [f'[providers.bench]\nfamily = "openai"\nbase_url = "{url}"\nauth = "none"\n']
    rows += [
        f'[models."bench/{name}"]\ncreated = 2026-01-01\nowned_by = "bench"\ncontext_length = 1000\n'
        f'routes = [{{ provider = "bench", model = "{name}" }}]\n'
        for name in ("whole", "stream", "slow")
    ]
    return "\n".join(rows)


@contextlib.asynccontextmanager
async def _provider() -> AsyncGenerator[str]:
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            model = json.loads(await reader.readexactly(length))["model"]
            if model == "whole":
                message = {"role": "assistant", "content": WORDS}
                choice = {"index": 0, "message": message, "finish_reason": "stop"}
                body = json.dumps({"choices": [choice], "usage": USAGE}).encode()
                head = (
                    f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode()
                )
                writer.write(head + body)
                continue
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
            for at in range(TOKENS):
                text = str(time.monotonic()) if model == "slow" else "word "
                _chunk(writer, {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})
                await writer.drain()
                if model == "slow":
                    await asyncio.sleep(PAUSE)
                elif at % 10 == 9:
                    await asyncio.sleep(0)
            _chunk(writer, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": USAGE})
            writer.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")


def _chunk(writer: asyncio.StreamWriter, value: Any) -> None:
    event = b"data: " + json.dumps(value).encode() + b"\n\n"
    writer.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")
