"""One invocation as the Runtime API returns it, its context object and its deadline."""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from streaming_runtime.settings import Settings


@dataclass(slots=True)
class Invocation:
    """The response to /next (Lambda Runtime API, "Next invocation"). The deadline is Unix time in milliseconds."""

    request_id: str
    deadline_ms: int
    function_arn: str
    trace_id: str | None
    tenant_id: str | None
    invocation_id: str | None
    _payload: bytes = field(repr=False)

    def take_event(self) -> Any:
        """The event. It can be taken once: a large one is not kept while it is served. Raises ValueError."""
        payload, self._payload = self._payload, b""
        return json.loads(payload)

    @classmethod
    def from_fields(cls, fields: Mapping[str, str], payload: bytes) -> "Invocation":
        """Parse lower-case response headers. Raises KeyError or ValueError if the id or the deadline is not valid."""
        prefix = "lambda-runtime-"
        return cls(
            request_id=fields[prefix + "aws-request-id"],
            deadline_ms=int(fields[prefix + "deadline-ms"]),
            function_arn=fields.get(prefix + "invoked-function-arn", ""),
            trace_id=fields.get(prefix + "trace-id"),
            tenant_id=fields.get(prefix + "aws-tenant-id"),
            invocation_id=fields.get(prefix + "invocation-id"),
            _payload=payload,
        )


@dataclass(frozen=True, slots=True)
class Identity:
    """The Cognito identity of the invoker, which HTTP events never have."""

    cognito_identity_id: str | None = None
    cognito_identity_pool_id: str | None = None


@dataclass(frozen=True, slots=True)
class LambdaContext:
    """The context object, with the attributes that the Lambda developer guide has for Python (sizes are strings)."""

    aws_request_id: str
    invoked_function_arn: str
    function_name: str
    function_version: str
    memory_limit_in_mb: str
    log_group_name: str
    log_stream_name: str
    tenant_id: str | None
    trace_id: str | None
    deadline_ms: int
    identity: Identity = Identity()
    client_context: None = None

    @classmethod
    def of(cls, invocation: Invocation, settings: Settings) -> "LambdaContext":
        """The context of one invocation of this function."""
        return cls(
            aws_request_id=invocation.request_id,
            invoked_function_arn=invocation.function_arn,
            function_name=settings.function_name,
            function_version=settings.function_version,
            memory_limit_in_mb=settings.memory_limit_in_mb,
            log_group_name=settings.log_group_name,
            log_stream_name=settings.log_stream_name,
            tenant_id=invocation.tenant_id,
            trace_id=invocation.trace_id,
            deadline_ms=invocation.deadline_ms,
        )

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the function times out, at least 0."""
        return max(0, self.deadline_ms - int(time.time() * 1000))


class Deadline:
    """The time that is left to one invocation, by the event loop's clock: the wall clock jumps after a freeze."""

    __slots__ = ("_cancel_at", "_kill_at", "_loop")

    def __init__(self, deadline_ms: int, margin_seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        remaining = deadline_ms / 1000 - time.time()
        self._kill_at = self._loop.time() + remaining
        # With a short timeout, the margin is only a part of it.
        self._cancel_at = self._kill_at - min(margin_seconds, max(0.0, remaining) * 0.2)

    def until_cancel(self) -> float:
        """Seconds until the app is cancelled, so that the error can still be sent to the client."""
        return max(0.0, self._cancel_at - self._loop.time())

    def until_kill(self) -> float:
        """Seconds in which the runtime may still write, until shortly before Lambda ends the process."""
        return max(0.05, self._kill_at - 0.1 - self._loop.time())
