"""An execution environment: runs the function's process, kills it at its timeout and restarts it."""

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from devtools.local_function_url.invocations import Faults, Invocation
from devtools.local_function_url.runtime_api import RuntimeApi

WRAPPER = Path(__file__).resolve().parents[2] / "layers/streaming/exec-wrapper"

_LINE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Function:
    """The function: its folder, handler and interpreter. ``timeout`` is in seconds, ``env`` overrides variables."""

    artifact: Path
    handler: str
    python: str
    timeout: float = 900.0
    memory_mb: int = 512
    max_concurrency: int = 1
    snap_start: bool = False
    env: Mapping[str, str] = field(default_factory=dict[str, str])

    def environ(self, runtime_api: str) -> dict[str, str]:
        """The environment variables of the process: inherited ones and those that Lambda sets.

        Source: Lambda developer guide, "Using Lambda environment variables".
        """
        lambda_env = {
            "AWS_LAMBDA_RUNTIME_API": runtime_api,
            "_HANDLER": self.handler,
            "LAMBDA_TASK_ROOT": str(self.artifact),
            "AWS_LAMBDA_FUNCTION_NAME": "local",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(self.memory_mb),
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/local",
            "AWS_LAMBDA_LOG_STREAM_NAME": "local",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start" if self.snap_start else "on-demand",
        }
        if self.max_concurrency > 1:
            lambda_env["AWS_LAMBDA_MAX_CONCURRENCY"] = str(self.max_concurrency)
        return {**os.environ, **lambda_env, **self.env}


class Environment:
    """Runs one process of the function and its Runtime API from ``start`` to ``stop``."""

    def __init__(
        self, function: Function, queue: asyncio.Queue[Invocation], faults: Faults, log: Callable[[str], None]
    ) -> None:
        self._function = function
        self._queue = queue
        self._log = log
        on_timeout = self._kill if function.max_concurrency == 1 else None
        self.api = RuntimeApi(queue, faults, function.timeout, on_timeout)
        self._process: asyncio.subprocess.Process | None = None
        self._supervisor: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the Runtime API and start the process."""
        port = await self.api.listener.open("127.0.0.1")
        self._supervisor = asyncio.create_task(self._supervise(f"127.0.0.1:{port}"))

    async def stop(self) -> None:
        """Kill the process and end its invocations."""
        if self._supervisor:
            self._supervisor.cancel()
            await asyncio.gather(self._supervisor, return_exceptions=True)
        await self.api.drain()
        await self.api.listener.close()

    async def _supervise(self, address: str) -> None:
        while True:
            await self._run_once(address)
            was_ready = self.api.ready
            await self.api.drain()
            if not was_ready:
                # The process failed to start. As in Lambda, the next request fails and causes a new attempt.
                (await self._queue.get()).finish("exited")

    async def _run_once(self, address: str) -> None:
        self._process = process = await asyncio.create_subprocess_exec(
            str(WRAPPER),
            self._function.python,
            "/var/runtime/bootstrap.py",
            cwd=self._function.artifact,
            env=self._function.environ(address),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=_LINE,
            # Ctrl-C is sent to this process only, which ends the function's process.
            start_new_session=True,
        )
        try:
            await self._forward_log(process)
            status = await process.wait()
        except asyncio.CancelledError:
            self._kill()
            # Read its output to the end, so that the pipe is closed.
            await self._forward_log(process)
            await process.wait()
            raise
        self._log(f"the runtime process ended with status {status}")

    async def _forward_log(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout
        while line := await process.stdout.readline():
            self._log(line.decode(errors="replace").rstrip("\n"))

    def _kill(self) -> None:
        if self._process and self._process.returncode is None:
            self._process.kill()
