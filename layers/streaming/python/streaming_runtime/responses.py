"""The way out for one invocation: a streamed reply leaves as it is written, a buffered one leaves whole."""

from typing import Protocol

from streaming_runtime import http1
from streaming_runtime.events import Shape
from streaming_runtime.failures import Failure
from streaming_runtime.invocation import Invocation
from streaming_runtime.response_head import ResponseHead, prelude, proxy_json
from streaming_runtime.runtime_api import ResponseRefusedError, ResponseStream, RuntimeApi


class Reply(Protocol):
    """What the exchange needs of either kind of reply."""

    async def write(self, head: ResponseHead, data: bytes, *, last: bool) -> None:
        """Take the next payload of the app. Raises ResponseRefusedError (an OSError) when nobody takes it any more."""
        ...

    async def fail(self, failure: Failure) -> None:
        """End the answer in the app's place, as cleanly as what has already left allows; the app is cut off."""
        ...

    async def finish(self) -> int | None:
        """See the answer off and give Lambda's verdict on it (an HTTP status), None when there was none."""
        ...

    def abort(self) -> None:
        """Drop what is still under way."""
        ...


class StreamedReply:
    """A reply that leaves as it is written: prelude, delimiter and the first payload in one write, then chunks."""

    def __init__(self, api: RuntimeApi, invocation: Invocation, shape: Shape, pad_bytes: int) -> None:
        self._api = api
        self._invocation = invocation
        self._shape: Shape = shape
        self._pad_bytes = pad_bytes
        self._stream: ResponseStream | None = None
        self._is_event_stream = False
        self._tail = b""
        self._cut = False

    async def write(self, head: ResponseHead, data: bytes, *, last: bool) -> None:
        """Send a payload. Nothing leaves before the first byte (or the end): until then an error can be a clean one."""
        if self._cut:
            raise ResponseRefusedError("the answer was ended before the app was done")
        if self._is_event_stream and data:
            self._tail = data[-4:] if len(data) >= 4 else (self._tail + data)[-4:]
        if self._stream is not None:
            await self._stream.write(data, last=last)
        elif data or last:
            await self._begin(head, data, last=last)

    async def _begin(self, head: ResponseHead, data: bytes, *, last: bool, by_app: bool = True) -> None:
        connection = await self._api.connect_response()
        if self._cut and by_app:
            connection[1].close()
            raise ResponseRefusedError("the answer was ended before the app was done")
        first = prelude(head, self._shape)
        if not head.has_body:
            data = b""
        elif not data:
            # With a prelude and no payload at all the caller's connection stays open until the function times out.
            data = b"\n"
        if head.is_event_stream:
            self._is_event_stream = True
            self._tail = data[-4:]
            data = _padding(self._pad_bytes) + data
        room = max(0, http1.MAX_CHUNK - len(first))
        fits = len(data) <= room
        # No wait between the check above and the first write: from here on the answer has begun.
        self._stream = self._api.begin_response(connection, self._invocation, first + data[:room], last=last and fits)
        await self._stream.write(data[room:], last=last and not fits)

    async def fail(self, failure: Failure) -> None:
        """Answer with the error as JSON if nothing has left, else end the stream with an in-band event and trailers."""
        self._cut = True
        if self._stream is None:
            await self._begin(_error_head(failure, self._invocation), failure.envelope(), last=True, by_app=False)
            return
        event = b""
        if self._is_event_stream:
            # The app may have been cut inside an event: a blank line keeps ours from becoming a part of it.
            whole = self._tail.endswith((b"\n\n", b"\r\n\r\n", b"\r\r"))
            event = (b"" if whole else b"\n\n") + failure.sse_event()
        await self._stream.end(event, failure.trailers())

    async def finish(self) -> int | None:
        """Read Lambda's verdict on the stream and close it."""
        return await self._stream.finish() if self._stream else None

    def abort(self) -> None:
        """Drop the connection: Lambda will call the response truncated."""
        if self._stream:
            self._stream.abort()


class BufferedReply:
    """A reply that is collected and leaves whole, as proxy JSON, for doors that cannot stream."""

    def __init__(self, api: RuntimeApi, invocation: Invocation, shape: Shape) -> None:
        self._api = api
        self._invocation = invocation
        self._shape: Shape = shape
        self._head: ResponseHead | None = None
        self._parts: list[bytes] = []
        self._cut = False

    async def write(self, head: ResponseHead, data: bytes, *, last: bool) -> None:
        """Keep a payload."""
        if self._cut:
            raise ResponseRefusedError("the answer was ended before the app was done")
        self._head = head
        self._parts.append(data)

    async def fail(self, failure: Failure) -> None:
        """Put the error in the place of whatever the app has said so far: nothing of it has left."""
        self._cut = True
        self._head = _error_head(failure, self._invocation)
        self._parts = [failure.envelope()]

    async def finish(self) -> int | None:
        """Post the answer."""
        if self._head is None:
            return None
        body = proxy_json(self._head, b"".join(self._parts), self._shape)
        return await self._api.post_response(self._invocation, body)

    def abort(self) -> None:
        """Nothing is under way between calls."""


def _error_head(failure: Failure, invocation: Invocation) -> ResponseHead:
    fields = (("content-type", "application/json"), ("x-request-id", invocation.request_id))
    return ResponseHead(failure.status, fields)


def _padding(size: int) -> bytes:
    return b":" + b" " * size + b"\n\n" if size else b""
