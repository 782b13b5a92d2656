"""AWS's Lambda Web Adapter in front of the naive relay, under the local function URL."""

import asyncio
import contextlib
import threading
from collections.abc import Generator
from pathlib import Path
from urllib.parse import urlsplit

from bench.subjects import naive_relay
from devtools.local_function_url import http1
from devtools.local_function_url.local import LocalFunctionUrl
from devtools.local_function_url.runtime_api import RuntimeApi
from support.artifact import CHECKOUT
from support.instances import base_env, wait_for

TIMEOUT = 900.0


class ExtensionsApi(RuntimeApi):
    """A Runtime API that also registers the adapter as an extension, for which no event ever comes.

    Source: Lambda developer guide, "Using the Lambda Extensions API".
    """

    async def _call(self, head: http1.RequestHead, reader: http1.RecordingReader, writer: asyncio.StreamWriter) -> bool:
        if head.target.endswith("/extension/register"):
            await http1.read_body(reader, head)
            writer.write(http1.response(200, b"{}", [("lambda-extension-identifier", "adapter")]))
            return True
        if head.target.endswith("/extension/event/next"):
            await asyncio.Event().wait()
        return await super()._call(head, reader, writer)


class AdaptedFunctionUrl(LocalFunctionUrl):
    """A local function URL whose environments have that Runtime API."""

    async def __aenter__(self) -> "AdaptedFunctionUrl":
        for environment in self._environments:
            environment.api = ExtensionsApi(self._queue, self.faults, TIMEOUT, None)
        await super().__aenter__()
        return self


@contextlib.contextmanager
def adapted_relay(adapter: Path, provider: str, folder: Path) -> Generator[str]:
    """Run the relay, and the adapter in front of it, until the block ends. Yields the adapter's base URL."""
    interpreter = folder / "lambda-web-adapter"
    interpreter.write_text(f"#!/bin/sh\nexec {adapter}\n")  # it is started with arguments that the adapter refuses
    interpreter.chmod(0o755)
    with naive_relay(provider) as relay, _function_url(interpreter, urlsplit(relay).port) as url:
        wait_for(url, "/openapi.json")
        yield f"{url}/v1"


@contextlib.contextmanager
def _function_url(interpreter: Path, port: int | None) -> Generator[str]:
    env = {
        **base_env(),
        "AWS_LWA_PORT": str(port),
        "AWS_LWA_READINESS_CHECK_PATH": "/openapi.json",
        "AWS_LWA_INVOKE_MODE": "response_stream",
    }
    url = AdaptedFunctionUrl(
        artifact=CHECKOUT, handler="app", python=str(interpreter), env=env, timeout=TIMEOUT, keep=0
    )
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(url.__aenter__(), loop).result(TIMEOUT)
        yield url.url
    finally:
        asyncio.run_coroutine_threadsafe(url.__aexit__(None, None, None), loop).result(TIMEOUT)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
