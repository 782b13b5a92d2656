"""One execution environment: the process that runs the function, watched, killed at its deadline, started again."""

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from devtools.local_function_url.records import Invocation, Script
from devtools.local_function_url.runtime_api import RuntimeApi

WRAPPER = Path(__file__).resolve().parents[2] / "layers/streaming/exec-wrapper"

_LINE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Function:
    """What is run: a folder, a handler in it, an interpreter; ``timeout`` in seconds, ``env`` goes over our own."""

    artifact: Path
    handler: str
    python: str
    timeout: float = 900.0
    memory_mb: int = 512
    max_concurrency: int = 1
    snap_start: bool = False
    env: Mapping[str, str] = field(default_factory=dict[str, str])

    def environ(self, runtime_api: str) -> dict[str, str]:
        """The process environment as Lambda sets it ("Using Lambda environment variables"), over an inherited one."""
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
    """Keeps one process of the function alive from ``start`` to ``stop`` and its Runtime API with it."""

    def __init__(
        self, function: Function, queue: asyncio.Queue[Invocation], script: Script, log: Callable[[str], None]
    ) -> None:
        self._function = function
        self._queue = queue
        self._log = log
        expire = self._kill if function.max_concurrency == 1 else None
        self.api = RuntimeApi(queue, script, function.timeout, expire)
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the Runtime API and begin to keep the process alive."""
        port = await self.api.listener.open("127.0.0.1")
        self._watch = asyncio.create_task(self._keep_alive(f"127.0.0.1:{port}"))

    async def stop(self) -> None:
        """End the process, at once, and everything that waits for it."""
        if self._watch:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        await self.api.close()
        await self.api.listener.close()

    async def _keep_alive(self, address: str) -> None:
        while True:
            await self._run_once(address)
            was_ready = self.api.ready
            await self.api.close()
            if not was_ready:
                # It cannot start: the next request pays for it, as in Lambda, and buys the next attempt.
                (await self._queue.get()).close("exited")

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
            # Ctrl-C is for us; the process ends when we end it.
            start_new_session=True,
        )
        try:
            await self._pump(process)
            status = await process.wait()
        except asyncio.CancelledError:
            self._kill()
            # Hear it out, so that no pipe stays open behind us.
            await self._pump(process)
            await process.wait()
            raise
        self._log(f"the runtime process ended with status {status}")

    async def _pump(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout
        while line := await process.stdout.readline():
            self._log(line.decode(errors="replace").rstrip("\n"))

    def _kill(self) -> None:
        if self._process and self._process.returncode is None:
            self._process.kill()
