"""One invocation through the app: receive and send, the cut-off before the kill, the work after the last byte."""

import asyncio

from streaming_runtime.asgi import App, Message, Scope
from streaming_runtime.failures import CRASHED, TIMEOUT, UNFINISHED, Failure
from streaming_runtime.invocation import Deadline
from streaming_runtime.log import logger
from streaming_runtime.replies import Reply
from streaming_runtime.response_head import ResponseHead
from streaming_runtime.runtime_api import ACCEPTED, ResponseRefusedError


class AppCall:
    """The app's two callables for one request.

    ``ended`` is done as soon as the app has sent its last byte; ``refused`` says that Lambda did not take them all.
    """

    def __init__(self, body: bytes, reply: Reply) -> None:
        self._body: bytes | None = body
        self._reply = reply
        self._head: ResponseHead | None = None
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.refused = False

    async def receive(self) -> Message:
        """Give the request body, then wait for ever: a disconnect would make frameworks cancel their own stream."""
        if self._body is None:
            await asyncio.get_running_loop().create_future()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Message) -> None:
        """Take a message of the app. Raises RuntimeError out of order, OSError when the answer reaches nobody."""
        kind = message["type"]
        if self.ended.done():
            raise RuntimeError(f"{kind} after the response was complete")
        if kind == "http.response.start" and self._head is None:
            self._head = ResponseHead.from_message({"headers": (), **message})
        elif kind == "http.response.body" and self._head is not None:
            last = not message.get("more_body", False)
            try:
                await self._reply.write(self._head, message.get("body", b""), last=last)
            except OSError:
                self.refused = True
                raise
            if last and not self.ended.done():
                self.ended.set_result(None)
        else:
            raise RuntimeError(f"{kind} is out of place here")


async def run(app: App, scope: Scope, body: bytes, reply: Reply, deadline: Deadline, settle_seconds: float) -> None:
    """Run the app on one request, up to the moment when /next may be asked for. Never raises for the app's sake.

    ``settle_seconds`` bounds what the app does after its last byte (the caller has everything by then).
    """
    app_call = AppCall(body, reply)
    task = asyncio.create_task(_call(app, scope, app_call))
    await asyncio.wait((task, app_call.ended), timeout=deadline.until_cut_off(), return_when=asyncio.FIRST_COMPLETED)
    if app_call.ended.done():
        await _finish(reply, None, deadline)
        await _release(task, min(settle_seconds, deadline.until_cut_off()), deadline)
    elif task.done():
        await _finish(reply, _failure_of(task, app_call), deadline)
    else:
        logger.error("The app was cut off: the function is about to time out")
        task.cancel()
        await _finish(reply, TIMEOUT, deadline)
        await _release(task, deadline.until_kill(), deadline)


async def _call(app: App, scope: Scope, app_call: AppCall) -> None:
    # Called inside the task: an app that raises before its first await is no different from any other.
    await app(scope, app_call.receive, app_call.send)


def _failure_of(task: asyncio.Task[None], app_call: AppCall) -> Failure | None:
    error = asyncio.CancelledError() if task.cancelled() else task.exception()
    if app_call.refused:
        logger.warning("The app ended with %r after its answer was refused", error)
        return None
    if error is None:
        logger.error("The app returned before its answer was complete")
        return UNFINISHED
    logger.error("The app failed before its answer was complete", exc_info=error)
    return CRASHED


async def _finish(reply: Reply, failure: Failure | None, deadline: Deadline) -> None:
    """Complete the answer, with the failure if there is one, and hear what Lambda says to it. Nothing here is fatal."""
    try:
        async with asyncio.timeout(deadline.until_kill()):
            status = await _complete(reply, failure)
    except TimeoutError:
        reply.abort()
        logger.error("The answer could not be completed before the deadline")
    except (OSError, EOFError, ValueError) as error:
        reply.abort()
        logger.error("The answer could not be completed: %r", error)
    else:
        if status != ACCEPTED:
            logger.warning("Lambda did not take the answer: %s", status or "the connection broke")


async def _complete(reply: Reply, failure: Failure | None) -> int | None:
    if failure:
        try:
            await reply.fail(failure)
        except ResponseRefusedError as error:
            logger.warning("The caller could not be told of the failure: %s", error)
    return await reply.finish()


async def _release(task: asyncio.Task[None], seconds: float, deadline: Deadline) -> None:
    """Wait for the app to return from its own work after the answer; cancel it when it takes too long."""
    await asyncio.wait((task,), timeout=seconds)
    if not task.done():
        logger.error("The app was still at work %.1f s after its answer and was cancelled", seconds)
        task.cancel()
        await asyncio.wait((task,), timeout=min(1.0, deadline.until_kill()))
    if task.done() and not task.cancelled() and (error := task.exception()):
        logger.error("The app failed after its answer", exc_info=error)
