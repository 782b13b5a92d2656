"""Serving: CPU per request, peak memory, and the delay of the first token from the provider to the client.

The provider runs in this process, so its CPU is not counted. The store is the SQLite file of local runs.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator, Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx

from bench.figures import Row
from support.running_gateway import Kind, RunningGateway, run_gateway

REQUESTS, STREAMS, TOKENS, PAUSE = 300, 100, 100, 0.1
WORDS = " ".join(["word"] * 50)
KINDS: Mapping[Kind, str] = {"server": "server", "function": "streaming function"}
USAGE = {"prompt_tokens": 10, "completion_tokens": 50, "total_tokens": 60}


async def measure(folder: Path) -> list[Row]:
    """Rows for the server and for the streaming function."""
    rows: list[Row] = []
    async with _provider() as url:
        for kind, name in KINDS.items():
            gateway_folder = folder / kind
            gateway_folder.mkdir()
            with run_gateway(kind, gateway_folder, _catalog(url)) as gateway:
                rows += await _measure_gateway(name, gateway)
    return rows


async def _measure_gateway(name: str, gateway: RunningGateway) -> list[Row]:
    headers = {"authorization": f"Bearer {gateway.api_key}"}
    async with httpx.AsyncClient(base_url=gateway.base_url, headers=headers, timeout=60) as client:
        await _chat(client, "buffered", 30)
        await _chat(client, "stream", 10)
        buffered = [await _cpu_ms(gateway, client, "buffered", REQUESTS // 5) for _ in range(5)]
        stream = [await _cpu_ms(gateway, client, "stream", STREAMS // 5) for _ in range(5)]
        delays = await _first_token_delays(client)
    return [
        Row(f"{name}: buffered request, ms CPU", buffered),
        Row(f"{name}: stream of {TOKENS} chunks, ms CPU", stream),
        Row(f"{name}: provider's first token to client's, ms", delays, 1),
        Row(f"{name}: peak memory, MB", [gateway.peak_megabytes()], 0),
    ]


async def _chat(client: httpx.AsyncClient, model: str, times: int) -> None:
    body = {"model": f"bench/{model}", "messages": [{"role": "user", "content": "x"}], "stream": model != "buffered"}
    for _ in range(times):
        response = await client.post("/chat/completions", json=body)
        assert response.status_code == 200, response.text


async def _cpu_ms(gateway: RunningGateway, client: httpx.AsyncClient, model: str, times: int) -> float:
    before = _cpu_seconds(gateway.processes())
    await _chat(client, model, times)
    return (_cpu_seconds(gateway.processes()) - before) / times * 1000


async def _first_token_delays(client: httpx.AsyncClient) -> list[float]:
    """The provider writes its time into the first token. Both clocks are of this machine."""
    delays: list[float] = []
    body = {"model": "bench/slow", "messages": [{"role": "user", "content": "x"}], "stream": True}
    for _ in range(10):
        async with client.stream("POST", "/chat/completions", json=body) as response:
            async for line in response.aiter_lines():
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
        for name in ("buffered", "stream", "slow")
    ]
    return "\n".join(rows)


@contextlib.asynccontextmanager
async def _provider() -> AsyncGenerator[str]:
    server = await asyncio.start_server(_serve, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            model = json.loads(await reader.readexactly(length))["model"]
            if model == "buffered":
                _write_whole(writer)
            else:
                await _write_stream(writer, slow=model == "slow")


def _write_whole(writer: asyncio.StreamWriter) -> None:
    message = {"role": "assistant", "content": WORDS}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = json.dumps({"choices": [choice], "usage": USAGE}).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)


async def _write_stream(writer: asyncio.StreamWriter, slow: bool) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    for number in range(TOKENS):
        text = str(time.monotonic()) if slow else "word "
        _write_chunk(writer, {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})
        await writer.drain()
        if slow:
            await asyncio.sleep(PAUSE)
        elif number % 10 == 9:
            await asyncio.sleep(0)
    _write_chunk(writer, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": USAGE})
    writer.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")


def _write_chunk(writer: asyncio.StreamWriter, value: Any) -> None:
    event = b"data: " + json.dumps(value).encode() + b"\n\n"
    writer.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")
