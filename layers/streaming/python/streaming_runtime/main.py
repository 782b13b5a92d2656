"""The runtime's main loop: load the app, then get and serve invocations, several at once if Lambda allows it."""

import asyncio
import os
import sys
import traceback
from contextlib import suppress

from streaming_runtime import app_call, log, snapstart
from streaming_runtime.events import Request, UnsupportedEventError, read_event
from streaming_runtime.failures import ErrorFormat
from streaming_runtime.invocation import Deadline, Invocation, LambdaContext
from streaming_runtime.loading import InitError, LoadedApp, load_app, set_up_path
from streaming_runtime.log import logger
from streaming_runtime.responses import BufferedResponse, Response, StreamedResponse
from streaming_runtime.runtime_api import ACCEPTED, RuntimeApi, RuntimeApiError
from streaming_runtime.settings import Settings

_MAX_NEXT_FAILURES = 5


class RuntimeApiUnavailableError(Exception):
    """/next failed _MAX_NEXT_FAILURES times in a row; the process must end."""


def main() -> None:
    """Run until Lambda ends the process. Exits with 1 if the app cannot be loaded or the Runtime API is unavailable."""
    settings = Settings.read(os.environ)
    log.install(settings.log_level)
    set_up_path(settings)
    api = RuntimeApi(settings.runtime_api)
    with asyncio.Runner() as runner:
        # Outside the running event loop, as any import, because the app's modules may call asyncio.run.
        try:
            loaded = load_app(settings.handler)
        except (Exception, SystemExit) as error:
            runner.run(_report_init(api, error))
            sys.exit(1)
        if settings.snap_start:
            snapstart.snapshot_and_restore(runner, api)
        try:
            runner.run(_poll_all(loaded, api, settings))
        except RuntimeApiUnavailableError as error:
            logger.error("The Runtime API is unavailable, the process ends: %s", error)
            sys.exit(1)


async def _report_init(api: RuntimeApi, error: BaseException) -> None:
    logger.error("The app could not be loaded", exc_info=error)
    error_type = error.error_type if isinstance(error, InitError) else type(error).__name__
    with suppress(OSError, EOFError):
        await api.post_init_error(error_type, str(error), traceback.format_exception(error))


async def _poll_all(loaded: LoadedApp, api: RuntimeApi, settings: Settings) -> None:
    try:
        await asyncio.gather(*(_poll(loaded, api, settings) for _ in range(settings.max_concurrency)))
    finally:
        await api.aclose()


async def _poll(loaded: LoadedApp, api: RuntimeApi, settings: Settings) -> None:
    failures = 0
    while True:
        try:
            invocation = await api.next()
        except (RuntimeApiError, OSError, EOFError, ValueError) as error:
            failures += 1
            logger.error("The Runtime API returned no invocation (%d times in a row): %r", failures, error)
            if failures == _MAX_NEXT_FAILURES:
                raise RuntimeApiUnavailableError(repr(error)) from error
            await asyncio.sleep(0.05 * 2**failures)
            continue
        failures = 0
        log.request_id.set(invocation.request_id)
        try:
            await _serve(loaded, api, invocation, settings)
        except Exception as error:
            # A fault of the runtime: only this invocation fails; the environment and its other invocations continue.
            logger.error("The runtime failed", exc_info=error)
            with suppress(OSError, EOFError, ValueError):
                await api.post_error(invocation, "Runtime.RuntimeFault", "The runtime failed to serve the event")


async def _serve(loaded: LoadedApp, api: RuntimeApi, invocation: Invocation, settings: Settings) -> None:
    try:
        event = invocation.take_event()
        request = read_event(event, settings.base_path)
    except (UnsupportedEventError, ValueError) as error:
        logger.error("The event is not supported", exc_info=error)
        status = await api.post_error(invocation, "Runtime.UnsupportedEvent", str(error))
        if status != ACCEPTED:
            logger.warning("Lambda rejected the error with HTTP status %s", status)
        return
    request.scope["aws.event"] = event
    request.scope["aws.context"] = LambdaContext.of(invocation, settings)
    deadline = Deadline(invocation.deadline_ms, settings.margin_seconds)
    response = _response(api, invocation, request, ErrorFormat(loaded.error_hook, request.scope), settings)
    await app_call.run(loaded.app, request, response, deadline, settings.settle_seconds)


def _response(
    api: RuntimeApi, invocation: Invocation, request: Request, error_format: ErrorFormat, settings: Settings
) -> Response:
    # /next does not report whether the invoker accepts a stream, so the format of the event decides.
    if request.format == "function_url" or (request.format == "rest" and settings.rest_stream):
        return StreamedResponse(api, invocation, request.format, error_format, settings.pad_bytes)
    return BufferedResponse(api, invocation, request.format, error_format)
