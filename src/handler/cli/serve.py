"""Serve the app on this machine, under uvicorn."""

import asyncio
import gc
import logging
from collections.abc import Callable
from contextlib import nullcontext
from typing import Literal

import uvicorn

from tollgate.handler.cli.connections import bounded_protocol, listen
from tollgate.handler.cli.request_log import RequestLines, RequestTable
from tollgate.handler.components import build
from tollgate.handler.http.app import Application
from tollgate.handler.http.responses import is_no_broken_stream
from tollgate.handler.settings import Settings

RequestLog = Literal["lines", "json", "live"]
STOP_SECONDS = 5
"""How long open streams may continue after Ctrl-C."""


def serve_app(
    settings: Settings, host: str, port: int, announce: Callable[[str], None], requests: RequestLog = "json"
) -> None:
    """Serve the app until Ctrl-C; `announce` gets the base URL, and `requests` says how requests are shown."""
    with RequestTable() if requests == "live" else nullcontext() as table:
        handler = RequestLines() if requests == "lines" else table
        asyncio.run(_serve_app(settings, host, port, announce, handler))


async def _serve_app(
    settings: Settings, host: str, port: int, announce: Callable[[str], None], log: logging.Handler | None
) -> None:
    components = build(settings)
    if log is not None:
        components.telemetry.write_to(log)
    try:
        config = uvicorn.Config(
            Application(components),
            lifespan="off",
            access_log=False,
            log_level="warning",
            http=bounded_protocol(),
            ws="none",  # a client that asks for a WebSocket gets the response of its path
            timeout_graceful_shutdown=STOP_SECONDS,
        )
        logging.getLogger("uvicorn.error").addFilter(is_no_broken_stream)
        gc.collect()
        gc.freeze()  # a collection that looks through what stays would block every stream for 20 ms
        listener = listen(host, port)
        announce(f"http://{host}:{listener.getsockname()[1]}/v1")
        await uvicorn.Server(config).serve(sockets=[listener])
    finally:
        await _settled()
        await components.close()


async def _settled() -> None:
    """Wait for the requests that the server has cancelled: each still closes its provider's connection and settles."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    if left:
        await asyncio.wait(left, timeout=STOP_SECONDS)
