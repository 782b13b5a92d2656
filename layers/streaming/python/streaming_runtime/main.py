"""The loop: load the app, ask for work, run it, ask again; N at once where Lambda allows; one event loop for life."""

import asyncio
import json
import os
import sys
import traceback
from contextlib import suppress

from streaming_runtime import app_call, log, snapstart
from streaming_runtime.asgi import App
from streaming_runtime.events import Request, UnsupportedEventError, read_event
from streaming_runtime.invocation import Deadline, Invocation, LambdaContext
from streaming_runtime.loading import InitError, arrange_path, load_app
from streaming_runtime.log import logger
from streaming_runtime.replies import BufferedReply, Reply, StreamedReply
from streaming_runtime.runtime_api import ACCEPTED, RuntimeApi, RuntimeApiError
from streaming_runtime.settings import Settings

_MAX_NEXT_FAILURES = 5


class RuntimeApiGoneError(Exception):
    """/next failed too often in a row: only a new process can help."""


def main() -> None:
    """Run until Lambda ends the process. Exits with 1 when the app cannot be loaded or the Runtime API is gone."""
    settings = Settings.read(os.environ)
    log.install(settings.log_level)
    arrange_path(settings)
    api = RuntimeApi(settings.runtime_api)
    with asyncio.Runner() as runner:
        # Outside the running loop, like any import: the app's modules may use asyncio.run of their own.
        try:
            app = load_app(settings.handler)
        except (Exception, SystemExit) as error:
            runner.run(_report_init(api, error))
            sys.exit(1)
        if settings.snap_start:
            snapstart.pass_through(runner, api)
        try:
            runner.run(_poll_all(app, api, settings))
        except RuntimeApiGoneError as error:
            logger.error("Giving up: %s", error)
            sys.exit(1)


async def _report_init(api: RuntimeApi, error: BaseException) -> None:
    logger.error("The app could not be loaded", exc_info=error)
    error_type = error.error_type if isinstance(error, InitError) else type(error).__name__
    with suppress(OSError, EOFError):
        await api.post_init_error(error_type, str(error), traceback.format_exception(error))


async def _poll_all(app: App, api: RuntimeApi, settings: Settings) -> None:
    await asyncio.gather(*(_poll(app, api, settings) for _ in range(settings.max_concurrency)))


async def _poll(app: App, api: RuntimeApi, settings: Settings) -> None:
    failures = 0
    while True:
        try:
            invocation = await api.next()
        except (RuntimeApiError, OSError, EOFError, ValueError) as error:
            failures += 1
            logger.error("No work from the Runtime API (%d in a row): %r", failures, error)
            if failures == _MAX_NEXT_FAILURES:
                raise RuntimeApiGoneError(repr(error)) from error
            await asyncio.sleep(0.05 * 2**failures)
            continue
        failures = 0
        log.request_id.set(invocation.request_id)
        try:
            await _serve(app, api, invocation, settings)
        except Exception as error:
            # A fault of ours: the invocation is lost, the environment and the other invocations in it are not.
            logger.error("The runtime itself failed", exc_info=error)
            with suppress(OSError, EOFError, ValueError):
                await api.post_error(invocation, "Runtime.RuntimeFault", "The runtime failed to serve the event")


async def _serve(app: App, api: RuntimeApi, invocation: Invocation, settings: Settings) -> None:
    if settings.max_concurrency == 1:
        _set_trace_id(invocation.trace_id)
    try:
        event = json.loads(invocation.payload)
        request = read_event(event, settings.base_path)
    except (UnsupportedEventError, ValueError) as error:
        logger.error("The event cannot be served", exc_info=error)
        status = await api.post_error(invocation, "Runtime.UnsupportedEvent", str(error))
        if status != ACCEPTED:
            logger.warning("Lambda did not take the error: %s", status)
        return
    request.scope["aws.event"] = event
    request.scope["aws.context"] = LambdaContext.of(invocation, settings)
    deadline = Deadline(invocation.deadline_ms, settings.margin_seconds)
    reply = _reply(api, invocation, request, settings)
    await app_call.run(app, request.scope, request.body, reply, deadline, settings.settle_seconds)


def _reply(api: RuntimeApi, invocation: Invocation, request: Request, settings: Settings) -> Reply:
    # Nothing in /next says whether the caller can take a stream, so the shape of the event decides.
    if request.shape == "function_url" or (request.shape == "rest" and settings.rest_stream):
        return StreamedReply(api, invocation, request.shape, settings.pad_bytes)
    return BufferedReply(api, invocation, request.shape)


def _set_trace_id(trace_id: str | None) -> None:
    # One variable for the whole process, so only where one invocation runs at a time; else see context.trace_id.
    if trace_id:
        os.environ["_X_AMZN_TRACE_ID"] = trace_id
    else:
        os.environ.pop("_X_AMZN_TRACE_ID", None)
