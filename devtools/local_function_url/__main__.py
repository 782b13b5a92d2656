"""Serve a built artifact at a local address until Ctrl-C or SIGTERM."""

import argparse
import asyncio
import signal
import sys

from devtools.local_function_url.local import LocalFunctionUrl


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m devtools.local_function_url", description=__doc__)
    parser.add_argument("--artifact", required=True, help="folder with the function and its dependencies")
    parser.add_argument(
        "--handler", default="tollgate.handler.lambda_function.app", help="module path and attribute of the app"
    )
    parser.add_argument("--python", default=sys.executable, help="interpreter that runs the function")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000, help="0 takes a free port")
    parser.add_argument("--timeout", type=float, default=900.0, help="the function's timeout in seconds")
    parser.add_argument("--memory", type=int, default=512, help="the function's memory in MB (reported, not enforced)")
    parser.add_argument("--concurrency", type=int, default=1, help="number of processes")
    parser.add_argument("--per-process", type=int, default=1, help="concurrent requests per process")
    return parser.parse_args()


def _print(line: str) -> None:
    print(line, flush=True)


async def _serve(arguments: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    local = LocalFunctionUrl(
        artifact=arguments.artifact,
        handler=arguments.handler,
        python=arguments.python,
        timeout=arguments.timeout,
        memory_mb=arguments.memory,
        environments=arguments.concurrency,
        max_concurrency=arguments.per_process,
        host=arguments.host,
        port=arguments.port,
        log=_print,
        keep=0,
    )
    async with local:
        _print(f"listening on {local.url}")
        await stopped.wait()


if __name__ == "__main__":
    asyncio.run(_serve(_arguments()))
