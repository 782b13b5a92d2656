"""The response of one invocation: streamed, sent as the app writes it, or buffered, sent when it is complete."""

from typing import Protocol

from streaming_runtime import http1
from streaming_runtime.events import EventFormat
from streaming_runtime.failures import ErrorFormat, Failure
from streaming_runtime.invocation import Invocation
from streaming_runtime.response_head import ResponseHead, prelude, proxy_json
from streaming_runtime.runtime_api import ResponseRefusedError, ResponseStream, RuntimeApi


class Response(Protocol):
    """What `app_call` requires of both kinds of response."""

    async def write(self, head: ResponseHead, data: bytes, *, last: bool) -> None:
        """Send a payload of the app. Raises ResponseRefusedError (an OSError) if the response was ended."""
        ...

    async def fail(self, failure: Failure) -> None:
        """End the response with an error, in the app's place. Later writes of the app are refused."""
        ...

    async def finish(self) -> int | None:
        """Complete the response. Returns the HTTP status that Lambda responds with, or None if there is none."""
        ...

    def abort(self) -> None:
        """Drop the response."""
        ...


class TruncatedError(ConnectionAbortedError):
    """A response that has begun, and in which no error can be expressed, has to be cut."""


class StreamedResponse:
    """A response that is sent as it is written: prelude, delimiter and the first payload in one write, then chunks."""

    def __init__(
        self,
        api: RuntimeApi,
        invocation: Invocation,
        event_format: EventFormat,
        error_format: ErrorFormat,
        pad_bytes: int,
    ) -> None:
        self._api = api
        self._invocation = invocation
        self._event_format: EventFormat = event_format
        self._error_format = error_format
        self._pad_bytes = pad_bytes
        self._stream: ResponseStream | None = None
        self._is_event_stream = False
        self._tail = b""
        self._failed = False

    async def write(self, head: ResponseHead, data: bytes, *, last: bool) -> None:
        """Send a payload. The head is sent with the first byte or the end: before that, an error can replace it."""
        if self._failed:
            raise ResponseRefusedError("the response was ended before the app was done")
        if self._stream is not None:
            tail, self._tail = (self._tail + data[-4:])[-4:], b""  # a cancelled write may end anywhere
            await self._stream.write(data, last=last)
            self._tail = tail
        elif data or last:
            await self._begin(head, data, last=last)

    async def _begin(self, head: ResponseHead, data: bytes, *, last: bool, by_app: bool = True) -> None:
        connection = await self._api.connect_response()
        if self._failed and by_app:
            connection[1].close()
            raise ResponseRefusedError("the response was ended before the app was done")
        first = prelude(head, self._event_format)
        if not head.has_body:
            data = b""
        elif not data:
            # With a prelude and no payload at all, the client's connection stays open until the function times out.
            data = b"\n"
        if head.is_event_stream:
            self._is_event_stream = True
            data = _padding(self._pad_bytes) + data
        available = max(0, http1.MAX_CHUNK - len(first))
        fits = len(data) <= available
        # There is no await between the check above and the first write: from here on the response has begun.
        self._stream = self._api.begin_response(
            connection, self._invocation, first + data[:available], last=last and fits
        )
        await self._stream.write(data[available:], last=last and not fits)
        self._tail = data[-4:]

    async def fail(self, failure: Failure) -> None:
        """Send the error as JSON if nothing was sent, otherwise end an event stream with an SSE event and trailers.

        Any other body that has begun is truncated: clients would take it for whole, since they do not see trailers.
        """
        self._failed = True
        if self._stream is None:
            body = self._error_format.body(failure)
            await self._begin(_error_head(failure, self._invocation), body, last=True, by_app=False)
            return
        if not self._is_event_stream:
            raise TruncatedError("a response that is no event stream was truncated")
        # The app may have been cancelled inside an event: a blank line separates the error from it.
        is_complete = self._tail.endswith((b"\n\n", b"\r\n\r\n", b"\r\r"))
        event = (b"" if is_complete else b"\n\n") + self._error_format.sse_event(failure)
        await self._stream.end(event, failure.trailers())

    async def finish(self) -> int | None:
        """Read Lambda's status for the stream and close it."""
        return await self._stream.finish() if self._stream else None

    def abort(self) -> None:
        """Drop the connection; Lambda reports the response as truncated."""
        if self._stream:
            self._stream.abort()


class BufferedResponse:
    """A response that is collected and sent as proxy JSON, for invokers that do not accept a stream."""

    def __init__(
        self, api: RuntimeApi, invocation: Invocation, event_format: EventFormat, error_format: ErrorFormat
    ) -> None:
        self._api = api
        self._invocation = invocation
        self._event_format: EventFormat = event_format
        self._error_format = error_format
        self._head: ResponseHead | None = None
        self._parts: list[bytes] = []
        self._failed = False

    async def write(self, head: ResponseHead, data: bytes, *, last: bool) -> None:
        """Collect a payload."""
        if self._failed:
            raise ResponseRefusedError("the response was ended before the app was done")
        self._head = head
        self._parts.append(data)

    async def fail(self, failure: Failure) -> None:
        """Replace what was collected by the error."""
        self._failed = True
        self._head = _error_head(failure, self._invocation)
        self._parts = [self._error_format.body(failure)]

    async def finish(self) -> int | None:
        """Post the response."""
        if self._head is None:
            return None
        body = proxy_json(self._head, b"".join(self._parts), self._event_format)
        return await self._api.post_response(self._invocation, body)

    def abort(self) -> None:
        """Do nothing: no connection is open between calls."""


def _error_head(failure: Failure, invocation: Invocation) -> ResponseHead:
    fields = (("content-type", "application/json"), ("x-request-id", invocation.request_id))
    return ResponseHead(failure.status, fields)


def _padding(size: int) -> bytes:
    return b":" + b" " * size + b"\n\n" if size else b""
