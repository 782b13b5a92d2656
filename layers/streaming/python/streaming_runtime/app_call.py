"""Runs the app for one invocation: receive and send, cancellation before the timeout, work after the last byte."""

import asyncio

from streaming_runtime.asgi import App, Message, Scope
from streaming_runtime.events import Request
from streaming_runtime.failures import CRASHED, TIMEOUT, UNFINISHED, Failure
from streaming_runtime.invocation import Deadline
from streaming_runtime.log import logger
from streaming_runtime.response_head import ResponseHead
from streaming_runtime.responses import Response, TruncatedError
from streaming_runtime.runtime_api import ACCEPTED, ResponseRefusedError


class AppCall:
    """The ``receive`` and ``send`` of one request.

    ``ended`` is done once the app has sent its last byte. ``refused`` means that Lambda did not accept a payload.
    """

    def __init__(self, request: Request, response: Response) -> None:
        self._request = request
        self._is_read = False
        self._response = response
        self._head: ResponseHead | None = None
        self._writing = asyncio.Lock()  # a large payload is several writes, and an app may send from two tasks
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.refused = False

    async def receive(self) -> Message:
        """Return the request body, then wait forever: at a disconnect, frameworks would cancel their stream."""
        if self._is_read:
            await asyncio.get_running_loop().create_future()
        self._is_read = True
        return {"type": "http.request", "body": self._request.take_body(), "more_body": False}

    async def send(self, message: Message) -> None:
        """Send a message of the app. Raises RuntimeError if it is out of order, OSError if Lambda refuses it."""
        kind = message["type"]
        if self.ended.done():
            raise RuntimeError(f"{kind} after the response was complete")
        if kind == "http.response.start" and self._head is None:
            self._head = ResponseHead.from_message({"headers": (), **message})
        elif kind == "http.response.body" and self._head is not None:
            last = not message.get("more_body", False)
            try:
                async with self._writing:
                    await self._response.write(self._head, message.get("body", b""), last=last)
            except OSError:
                self.refused = True
                raise
            if last and not self.ended.done():
                self.ended.set_result(None)
        else:
            raise RuntimeError(f"{kind} is out of order")


async def run(app: App, request: Request, response: Response, deadline: Deadline, settle_seconds: float) -> None:
    """Run the app on one request until /next may be called. An exception of the app is reported, not raised.

    ``settle_seconds`` limits what the app does after its last byte; the client has the whole response by then.
    """
    app_call = AppCall(request, response)
    task = asyncio.create_task(_call(app, request.scope, app_call))
    await asyncio.wait((task, app_call.ended), timeout=deadline.until_cancel(), return_when=asyncio.FIRST_COMPLETED)
    if app_call.ended.done():
        await _finish(response, None, deadline)
        await _release(task, min(settle_seconds, deadline.until_cancel()), deadline)
    elif task.done():
        await _finish(response, _failure_of(task, app_call), deadline)
    else:
        logger.error("The app was cancelled: the function is about to time out")
        task.cancel()
        await _finish(response, TIMEOUT, deadline)
        await _release(task, deadline.until_kill(), deadline)


async def _call(app: App, scope: Scope, app_call: AppCall) -> None:
    # Called inside the task, so that an app that raises before its first await is treated like any other.
    await app(scope, app_call.receive, app_call.send)


def _failure_of(task: asyncio.Task[None], app_call: AppCall) -> Failure | None:
    error = asyncio.CancelledError() if task.cancelled() else task.exception()
    if app_call.refused:
        logger.warning("The app ended with %r after Lambda refused its response", error)
        return None
    if error is None:
        logger.error("The app returned before its response was complete")
        return UNFINISHED
    if not isinstance(error, ConnectionAbortedError):  # which an app raises to cut its response
        logger.error("The app failed before its response was complete", exc_info=error)
    return CRASHED


async def _finish(response: Response, failure: Failure | None, deadline: Deadline) -> None:
    """Complete the response, with the failure if there is one, and log if Lambda does not accept it."""
    try:
        async with asyncio.timeout(deadline.until_kill()):
            status = await _complete(response, failure)
    except TimeoutError:
        response.abort()
        logger.error("The response could not be completed before the deadline")
    except TruncatedError:
        response.abort()  # what failed is logged
    except (OSError, EOFError, ValueError) as error:
        response.abort()
        logger.error("The response could not be completed: %r", error)
    else:
        if status != ACCEPTED:
            logger.warning("Lambda did not accept the response: %s", status or "the connection broke")


async def _complete(response: Response, failure: Failure | None) -> int | None:
    if failure:
        try:
            await response.fail(failure)
        except ResponseRefusedError as error:
            logger.warning("The error could not be sent to the client: %s", error)
    return await response.finish()


async def _release(task: asyncio.Task[None], seconds: float, deadline: Deadline) -> None:
    """Wait for the app to return from its work after the response; cancel it if that takes too long."""
    await asyncio.wait((task,), timeout=seconds)
    if not task.done():
        logger.error("The app was still running %.1f s after its response and was cancelled", seconds)
        task.cancel()
        await asyncio.wait((task,), timeout=min(1.0, deadline.until_kill()))
    if task.done() and not task.cancelled() and (error := task.exception()):
        logger.error("The app failed after its response", exc_info=error)
