"""Serving on this machine: the app under uvicorn, or the built Lambda artifact under a local function URL."""

import asyncio
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import uvicorn

from gateway.errors import ConfigurationError
from handler.app import create_app
from handler.connections import bounded_protocol, listen
from handler.deps import build
from handler.settings import Settings

CHECKOUT = Path(__file__).parent.parent.parent
STOP_SECONDS = 5  # how long open streams may go on after Ctrl-C
ARTIFACT = CHECKOUT / ".build" / "function"


def serve_app(settings: Settings, host: str, port: int, announce: Callable[[str], None]) -> None:
    """The app itself, until Ctrl-C; `announce` gets the base URL once it is known."""
    asyncio.run(_serve_app(settings, host, port, announce))


async def _serve_app(settings: Settings, host: str, port: int, announce: Callable[[str], None]) -> None:
    house = build(settings)
    try:
        config = uvicorn.Config(
            create_app(house),
            lifespan="off",
            access_log=False,
            log_level="warning",
            http=bounded_protocol(),
            timeout_graceful_shutdown=STOP_SECONDS,
        )
        listener = listen(host, port)
        announce(f"http://{host}:{listener.getsockname()[1]}/v1")
        await uvicorn.Server(config).serve(sockets=[listener])
    finally:
        await _settled()
        await house.close()


async def _settled() -> None:
    """Wait for the requests that the server has broken off: each still lets its provider go and settles."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    if left:
        await asyncio.wait(left, timeout=STOP_SECONDS)


def serve_artifact(settings: Settings, host: str, port: int, announce: Callable[[str], None]) -> None:
    """The artifact of `make artifact` under a local function URL, until Ctrl-C.

    Raises ConfigurationError where there is none.
    """
    marker = CHECKOUT / ".build" / "python"
    if not marker.exists():
        raise ConfigurationError(f"There is no Lambda artifact in {ARTIFACT}: run `make artifact` in a checkout first.")
    env = {"TOLLGATE_TABLE": "", "TOLLGATE_DB": str(Path(settings.db).resolve())}
    if settings.catalog is not None:
        env["TOLLGATE_CATALOG"] = str(Path(settings.catalog).resolve())
    try:
        asyncio.run(_serve_artifact(marker.read_text().strip(), env, host, port, announce))
    except OSError as error:
        raise ConfigurationError(f"{host}:{port} cannot be listened on: {error.strerror}") from error


async def _serve_artifact(
    python: str, env: Mapping[str, str], host: str, port: int, announce: Callable[[str], None]
) -> None:
    # The local function URL is a tool of this checkout and not of the package: it lies beside the layer it runs.
    sys.path[:0] = [str(CHECKOUT / "layers/streaming/python"), str(CHECKOUT / "layers/streaming")]
    from local_function_url.local import LocalFunctionUrl

    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with LocalFunctionUrl(
        artifact=ARTIFACT,
        handler="handler.lambda_function.app",
        python=python,
        env=env,
        environments=4,
        host=host,
        port=port,
        log=print,
        keep=0,
    ) as url:
        announce(f"{url.url}/v1")
        await stopped.wait()
