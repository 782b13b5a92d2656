"""Serves the built Lambda artifact on this machine (`make run-lambda`), as `tollgate serve` serves the app."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from devtools.local_function_url.local import LocalFunctionUrl
from tollgate.gateway.errors import ConfigurationError
from tollgate.handler.cli.local_run import announce, local_run
from tollgate.handler.cli.output import AsJson, CatalogFile, Db, fail
from tollgate.handler.settings import Settings

BUILD = Path(__file__).parents[1] / ".build"


def main(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8080,
    db: Db = None,
    catalog: CatalogFile = None,
    fresh_key: Annotated[
        bool, typer.Option("--fresh-key", help="Revoke the development key of the file and make a new one.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Serve the artifact of `make artifact` under a local function URL until Ctrl-C."""
    try:
        settings, api_key = local_run(db, catalog, fresh_key)
        python = artifact_python()
        asyncio.run(_serve(settings, python, host, port, lambda base_url: announce(base_url, api_key, as_json)))
    except ConfigurationError as error:
        fail(str(error))
    except OSError as error:
        fail(f"Cannot listen on {host}:{port}: {error.strerror}")


def artifact_python() -> str:
    """The interpreter that the artifact was built for. Raises ConfigurationError if there is no artifact."""
    path = BUILD / "python"
    if not path.exists():
        raise ConfigurationError(f"There is no Lambda artifact in {BUILD}. Run `make artifact` first.")
    return path.read_text().strip()


def function_environment(settings: Settings) -> dict[str, str]:
    """The environment variables of the function for these settings."""
    catalog = {} if settings.catalog is None else {"TOLLGATE_CATALOG": str(Path(settings.catalog).resolve())}
    return {"TOLLGATE_TABLE": "", "TOLLGATE_DB": str(Path(settings.db).resolve()), **catalog}


async def _serve(settings: Settings, python: str, host: str, port: int, announce_url: Callable[[str], None]) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with LocalFunctionUrl(
        artifact=BUILD / "function",
        handler="tollgate.handler.lambda_function.app",
        python=python,
        env=function_environment(settings),
        environments=4,
        host=host,
        port=port,
        log=print,
        keep=0,
    ) as url:
        announce_url(f"{url.url}/v1")
        await stopped.wait()


if __name__ == "__main__":
    typer.run(main)
