"""What is remembered of each invocation, and the script of misbehaviour that a test may ask for."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Outcome = Literal["pending", "streamed", "buffered", "error", "truncated", "refused", "exited", "timeout"]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Payload bytes as one HTTP chunk brought them, and when (seconds of ``time.monotonic``)."""

    at: float
    data: bytes


@dataclass(frozen=True, slots=True)
class Opened:
    """The head of a streamed answer has come."""

    prelude: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Closed:
    """Nothing more will come. ``whole`` is False when the answer was cut off."""

    whole: bool


Part = Opened | bytes | Closed


@dataclass(slots=True, eq=False)
class Invocation:
    """One invocation from the queue to the /next that follows it. Times are seconds of ``time.monotonic``.

    ``first_read`` holds what the first TCP read of the streamed POST brought (request head included), ``chunk_sizes``
    the sizes of the HTTP chunks as they were on the wire (prelude included), ``response`` a buffered answer,
    ``error`` what was posted to /error. ``done`` is set when the outcome is known, ``released`` when the runtime has
    asked for its next work (only told apart where one invocation runs at a time).
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
        """The streamed payload so far."""
        return b"".join(chunk.data for chunk in self.chunks)

    @property
    def response_mode(self) -> str | None:
        """Lambda-Runtime-Function-Response-Mode as the runtime sent it."""
        return self.headers.get("lambda-runtime-function-response-mode")

    @property
    def echoed_invocation_id(self) -> str | None:
        """Lambda-Runtime-Invocation-Id as the runtime sent it back."""
        return self.headers.get("lambda-runtime-invocation-id")

    def close(self, outcome: Outcome) -> None:
        """Fix the outcome; the first one counts."""
        if self.outcome == "pending":
            self.outcome = outcome
            self.ended_at = time.monotonic()
            self.parts.put_nowait(Closed(whole=outcome in ("streamed", "buffered")))
            self.done.set()


@dataclass(slots=True)
class Script:
    """Misbehaviour to order: each list is used up from the front, one entry a call; empty means behave.

    ``next_statuses`` answer /next, ``response_statuses`` answer a POST to /response as soon as its head is there (410
    is "that invocation timed out", 413 "too large"); ``hold_reading`` is how many seconds a POST's body stays unread.
    """

    next_statuses: list[int] = field(default_factory=list[int])
    response_statuses: list[int] = field(default_factory=list[int])
    hold_reading: float = 0.0
