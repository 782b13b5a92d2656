"""The errors that the runtime reports in the app's place, and their formats: response body, SSE event and trailers."""

import binascii
import json
from collections.abc import Callable
from dataclasses import dataclass

from streaming_runtime.asgi import Scope
from streaming_runtime.log import logger

ERROR_TYPE = "Lambda-Runtime-Function-Error-Type"
ERROR_BODY = "Lambda-Runtime-Function-Error-Body"

ErrorHook = Callable[..., bytes]
"""See `loading.ERROR_HOOK`."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An error. ``error_type`` is for Lambda (``Runtime.Reason``), the rest for the client; there is no stack trace."""

    status: int
    message: str
    code: str
    error_type: str

    def lambda_error(self) -> bytes:
        """The error in the format that Lambda has for errors of functions, as JSON."""
        return json.dumps({"errorMessage": self.message, "errorType": self.error_type}).encode()

    def trailers(self) -> tuple[tuple[str, str], ...]:
        """The two trailers of a failed stream (Lambda Runtime API, "Building a custom runtime").

        The body must be base64 on ONE line: a line break turns it into Runtime.TruncatedResponse.
        """
        body = binascii.b2a_base64(self.lambda_error(), newline=False).decode()
        return ((ERROR_TYPE, self.error_type), (ERROR_BODY, body))


@dataclass(frozen=True, slots=True)
class ErrorFormat:
    """Formats failures for the client of one request: by the app's hook, or as Lambda's error JSON if it has none."""

    hook: ErrorHook | None
    scope: Scope

    def body(self, failure: Failure) -> bytes:
        """The JSON body of a response that has not begun."""
        return self._from_hook(failure, in_stream=False) or failure.lambda_error()

    def sse_event(self, failure: Failure) -> bytes:
        """One event at the end of a stream that has begun."""
        return self._from_hook(failure, in_stream=True) or b"data: " + failure.lambda_error() + b"\n\n"

    def _from_hook(self, failure: Failure, *, in_stream: bool) -> bytes | None:
        if self.hook is None:
            return None
        try:
            return self.hook(
                scope=self.scope,
                status=failure.status,
                code=failure.code,
                message=failure.message,
                in_stream=in_stream,
            )
        except Exception as error:
            logger.error("The app's error hook failed", exc_info=error)
            return None


TIMEOUT = Failure(504, "The function timed out before the response was complete.", "timeout", "Runtime.Timeout")
CRASHED = Failure(500, "The server had an error while processing the request.", "internal_error", "Runtime.AppError")
UNFINISHED = Failure(
    500, "The server ended before the response was complete.", "internal_error", "Runtime.AppUnfinished"
)
