"""The local function URL as one object: environments, queue and HTTP server."""

import asyncio
import sys
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from devtools.local_function_url.environment import Environment, Function
from devtools.local_function_url.http_server import HttpServer
from devtools.local_function_url.invocations import Faults, Invocation


class LocalFunctionUrl:
    """A function at a local HTTP address, started through the layer's exec-wrapper as in Lambda (async with).

    ``timeout`` is the function's timeout in seconds, after which its process is killed. ``environments`` is the number
    of processes; requests wait in a queue while all of them are busy. ``max_concurrency`` above 1 sets
    AWS_LAMBDA_MAX_CONCURRENCY, the number of concurrent invocations per process. ``log`` receives every line that the
    function writes. ``keep`` is the number of invocations and log lines to keep; None means all.
    """

    def __init__(
        self,
        *,
        artifact: str | Path,
        handler: str,
        python: str = sys.executable,
        env: Mapping[str, str] | None = None,
        timeout: float = 900.0,
        memory_mb: int = 512,
        environments: int = 1,
        max_concurrency: int = 1,
        snap_start: bool = False,
        host: str = "127.0.0.1",
        port: int = 0,
        log: Callable[[str], None] | None = None,
        keep: int | None = None,
    ) -> None:
        self.invocations: deque[Invocation] = deque(maxlen=keep)
        self.log_lines: deque[str] = deque(maxlen=keep)
        self.faults = Faults()
        self._log = log
        self._address = (host, port)
        self._port = port
        self._queue: asyncio.Queue[Invocation] = asyncio.Queue()
        function = Function(
            artifact=Path(artifact).resolve(),
            handler=handler,
            python=python,
            timeout=timeout,
            memory_mb=memory_mb,
            max_concurrency=max_concurrency,
            snap_start=snap_start,
            env=env or {},
        )
        self._environments = [
            Environment(function, self._queue, self.faults, self._add_log_line) for _ in range(environments)
        ]
        self._server = HttpServer(self._submit, _new_ids)

    async def __aenter__(self) -> Self:
        """Open the address and start the processes. Requests are queued until a process is ready."""
        host, port = self._address
        self._port = await self._server.listener.open(host, port)
        for environment in self._environments:
            await environment.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill the processes and abort all connections."""
        await asyncio.gather(*(environment.stop() for environment in self._environments))
        while not self._queue.empty():
            self._queue.get_nowait().finish("exited")
        await self._server.listener.close()

    @property
    def url(self) -> str:
        """The address, without a trailing slash."""
        return f"http://{self._address[0]}:{self._port}"

    @property
    def init_errors(self) -> list[dict[str, Any]]:
        """The errors posted to /init/error; ``header`` is the error type in the header."""
        return [error for environment in self._environments for error in environment.api.init_errors]

    @property
    def restore_errors(self) -> list[dict[str, Any]]:
        """The errors posted to /restore/error."""
        return [error for environment in self._environments for error in environment.api.restore_errors]

    async def invoke(self, event: object, *, tenant_id: str | None = None) -> Invocation:
        """Send an event of any format and wait for its outcome. The app may still run afterwards."""
        request_id, trace_id = _new_ids()
        invocation = self._submit(event, request_id, trace_id, tenant_id)
        await invocation.done.wait()
        return invocation

    def _submit(self, event: object, request_id: str, trace_id: str, tenant_id: str | None = None) -> Invocation:
        invocation = Invocation(request_id, event, trace_id, uuid.uuid4().hex, tenant_id)
        self.invocations.append(invocation)
        self._queue.put_nowait(invocation)
        return invocation

    def _add_log_line(self, line: str) -> None:
        self.log_lines.append(line)
        if self._log:
            self._log(line)


def _new_ids() -> tuple[str, str]:
    unique = uuid.uuid4()
    return str(unique), f"Root=1-{unique.hex[:8]}-{unique.hex[8:]};Sampled=0"
