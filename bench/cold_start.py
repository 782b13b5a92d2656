"""Cold start: the CPU time from a fresh process to ready, of both functions, with and without .pyc.

The baseline is a naive build: the same packages as SAM's own builder installs them, complete and without .pyc.
The API Gateway function is ready when its entry point is imported, as the managed runtime does before the first event.
The streaming function is ready at its first request for an invocation. Both have a table, as in AWS.
"""

import asyncio
import contextlib
import os
import shutil
import subprocess
from pathlib import Path

from bench.figures import Row
from support.artifact import ARTIFACT, CHECKOUT, artifact_python

RUNS = 7
READY = "import os, tollgate.handler.api_gateway; os._exit(0)"
NAIVE = """
import boto3, httpx, os
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities import parameters
from fastapi import FastAPI
from mangum import Mangum
from pydantic import BaseModel

class Body(BaseModel):
    model: str

app = FastAPI()

@app.post("/v1/chat/completions")
async def chat(body: Body): ...

logger = Logger(service="naive")
table = boto3.resource("dynamodb").Table("bench")
client = httpx.AsyncClient()
handler = Mangum(app)
os._exit(0)
"""
WRAPPER = CHECKOUT / "layers/streaming/exec-wrapper"
LAMBDA = {
    "PATH": os.environ["PATH"],
    "TOLLGATE_TABLE": "bench",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "bench",
    "PYTHONDONTWRITEBYTECODE": "1",
}


def measure(folder: Path) -> list[Row]:
    """CPU seconds. `folder` gets copies without .pyc."""
    uncompiled, layer = folder / "function", folder / "layer"
    shutil.copytree(ARTIFACT, uncompiled, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(CHECKOUT / "layers/streaming", layer, ignore=shutil.ignore_patterns("__pycache__"))
    compiled = folder / "compiled-layer"
    shutil.copytree(layer, compiled)
    subprocess.run([artifact_python(), "-m", "compileall", "-q", str(compiled)], check=True)
    return [
        Row("naive build, s CPU", [_run(_naive(folder), NAIVE) for _ in range(RUNS)]),
        Row("API Gateway function, with .pyc, s CPU", [_run(ARTIFACT, READY) for _ in range(RUNS)]),
        Row("API Gateway function, no .pyc, s CPU", [_run(uncompiled, READY) for _ in range(RUNS)]),
        Row("streaming function, with .pyc, s CPU", [_first_poll(ARTIFACT, compiled) for _ in range(RUNS)]),
        Row("streaming function, no .pyc, s CPU", [_first_poll(uncompiled, layer) for _ in range(RUNS)]),
    ]


def _naive(folder: Path) -> Path:
    target = folder / "naive"
    if not target.exists():
        pip = [artifact_python(), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
        pins = ["--no-deps", "--require-hashes", "-r", str(CHECKOUT / "src/requirements.txt")]
        subprocess.run([*pip, *pins, "--target", str(target)], check=True)
    return target


def _run(artifact: Path, code: str) -> float:
    process = subprocess.Popen(
        [artifact_python(), "-c", code],
        env={**LAMBDA, "PYTHONPATH": str(artifact)},
        stdout=subprocess.DEVNULL,
    )
    return _cpu_of(process)


def _first_poll(artifact: Path, layer: Path) -> float:
    return asyncio.run(_until_first_poll(artifact, layer))


async def _until_first_poll(artifact: Path, layer: Path) -> float:
    polled = asyncio.Event()

    async def poll(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        polled.set()
        with contextlib.suppress(asyncio.CancelledError):
            await reader.read()
        writer.close()

    server = await asyncio.start_server(poll, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    env = {
        **LAMBDA,
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}",
        "_HANDLER": "tollgate.handler.lambda_function.app",
        "LAMBDA_TASK_ROOT": str(artifact),
        "AWS_LAMBDA_FUNCTION_NAME": "bench",
    }
    command = [str(layer / "exec-wrapper"), artifact_python()]
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)  # noqa: ASYNC220 - its start is measured
    await asyncio.wait_for(polled.wait(), 60)
    process.kill()
    server.close()
    return _cpu_of(process)


def _cpu_of(process: "subprocess.Popen[bytes]") -> float:
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    return usage.ru_utime + usage.ru_stime
