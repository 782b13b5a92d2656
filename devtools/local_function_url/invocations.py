"""The record of an invocation, the parts of its response, and faults that a test can inject."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Outcome = Literal["pending", "streamed", "buffered", "error", "truncated", "refused", "exited", "timeout"]


@dataclass(frozen=True, slots=True)
class Chunk:
    """The payload of one HTTP chunk and the time of its arrival (``time.monotonic`` in seconds)."""

    at: float
    data: bytes


@dataclass(frozen=True, slots=True)
class ResponseBegun:
    """The first part of a streamed response: its prelude."""

    prelude: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ResponseEnded:
    """The last part of a response. ``complete`` is False if it was truncated."""

    complete: bool


Part = ResponseBegun | bytes | ResponseEnded


@dataclass(slots=True, eq=False)
class Invocation:
    """One invocation, from the queue to the /next that follows it. Times are ``time.monotonic`` in seconds.

    ``first_read`` is the data of the first TCP read of the streamed POST, with the request head. ``chunk_sizes`` are
    the sizes of the HTTP chunks, with the prelude. ``response`` is a buffered response, ``error`` the body of a POST to
    /error. ``done`` is set when there is an outcome, ``released`` when the runtime has called /next again (if the
    process runs one invocation at a time).
    """

    request_id: str
    event: Any
    trace_id: str
    invocation_id: str
    tenant_id: str | None = None
    outcome: Outcome = "pending"
    deadline_ms: int = 0
    queued_at: float = field(default_factory=time.monotonic)
    delivered_at: float | None = None
    ended_at: float | None = None
    next_at: float | None = None
    headers: dict[str, str] = field(default_factory=dict[str, str])
    first_read: bytes = b""
    prelude: dict[str, Any] | None = None
    chunks: list[Chunk] = field(default_factory=list[Chunk])
    chunk_sizes: list[int] = field(default_factory=list[int])
    trailers: dict[str, str] = field(default_factory=dict[str, str])
    response: Any = None
    error: dict[str, Any] | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    parts: asyncio.Queue[Part] = field(default_factory=asyncio.Queue[Part])

    @property
    def body(self) -> bytes:
        """The payload of the stream so far."""
        return b"".join(chunk.data for chunk in self.chunks)

    @property
    def response_mode(self) -> str | None:
        """The header Lambda-Runtime-Function-Response-Mode of the response."""
        return self.headers.get("lambda-runtime-function-response-mode")

    @property
    def echoed_invocation_id(self) -> str | None:
        """The header Lambda-Runtime-Invocation-Id of the response."""
        return self.headers.get("lambda-runtime-invocation-id")

    def finish(self, outcome: Outcome) -> None:
        """Set the outcome, unless it is already set."""
        if self.outcome == "pending":
            self.outcome = outcome
            self.ended_at = time.monotonic()
            self.parts.put_nowait(ResponseEnded(complete=outcome in ("streamed", "buffered")))
            self.done.set()


@dataclass(slots=True)
class Faults:
    """Faults of the Runtime API for tests. Each call takes the first entry of a list; an empty list means no fault.

    ``next_statuses`` are the statuses of /next. ``response_statuses`` are those of a POST to /response, sent after its
    head (410 means that the invocation timed out, 413 that the response is too large). ``read_delay`` is the number of
    seconds before the body of a POST is read.
    """

    next_statuses: list[int] = field(default_factory=list[int])
    response_statuses: list[int] = field(default_factory=list[int])
    read_delay: float = 0.0
