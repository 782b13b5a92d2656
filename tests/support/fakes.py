"""In-memory implementations of the gateway's ports: clocks, a store, an upstream and its responses."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from tollgate.gateway import keys
from tollgate.gateway.admission import Account, Hold, decide
from tollgate.gateway.catalog import Provider
from tollgate.gateway.errors import GatewayError
from tollgate.gateway.keys import AuditEntry, Change, KeyRecord
from tollgate.gateway.limits import full
from tollgate.gateway.metering import UsageRecord
from tollgate.gateway.ports import TimeLimits, UpstreamResponse
from tollgate.gateway.routing import Route
from tollgate.gateway.speed import UNKNOWN, Speed
from tollgate.gateway.types import UpstreamRequest

SSE = {"content-type": "text/event-stream"}
NOW = 1_000_000.5
"""The wall clock of `TickingClock` and of `FakeStore`, in Unix seconds."""


@dataclass
class FakeClock:
    """A clock that shows the time that a test sets; `epoch` is the Unix time at monotonic zero."""

    at: float = 100.0
    epoch: float = 1_000_000.0

    def now(self) -> float:
        return self.epoch + self.at

    def monotonic(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds


class TickingClock:
    """A clock whose monotonic time advances by a millisecond with every read."""

    at = 50.0

    def now(self) -> float:
        return NOW

    def monotonic(self) -> float:
        self.at += 0.001
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds


class NoHealth:
    """Knows nothing of any route."""

    def refresh(self) -> None: ...

    def is_on_cooldown(self, route: Route) -> bool:
        return False

    def may_probe(self, route: Route) -> bool:
        return False

    def failed(self, route: Route, error: GatewayError) -> None: ...

    def succeeded(self, route: Route) -> None: ...


class LocalSpeeds:
    """Remembers what was measured last."""

    def __init__(self) -> None:
        self.measured: dict[str, Speed] = {}

    def refresh(self) -> None: ...

    def speed(self, route: Route) -> Speed:
        return self.measured.get(route.target, UNKNOWN)

    def observed(self, route: Route, speed: Speed) -> None:
        self.measured[route.target] = speed


@dataclass
class FakeStore:
    """Keys and ledger in memory.

    `settlements` has every settlement that was requested, also those that fail with `settle_error`. While
    `admission_gate` is not set, admissions wait.
    """

    settle_error: Exception | None = None
    admission_gate: asyncio.Event | None = None
    records: dict[str, KeyRecord] = field(default_factory=dict[str, KeyRecord])
    holds: dict[str, Hold] = field(default_factory=dict[str, Hold])
    settlements: list[UsageRecord] = field(default_factory=list[UsageRecord])
    admitting: asyncio.Event = field(default_factory=asyncio.Event)

    async def admit(self, hold: Hold) -> Account:
        self.admitting.set()
        if self.admission_gate is not None:
            await _complete(self.admission_gate.wait())
        account = await self.get(hold.key.key_id)
        keys.verify(account and account.record, hold.key, hold.opened_at)
        assert account is not None
        account = decide(account, hold)
        self.holds[hold.hold_id] = hold
        return account

    async def extend(self, hold: Hold, amount: int, minimum: int) -> int:
        raise NotImplementedError

    async def settle(self, record: UsageRecord, hold: Hold) -> bool:
        self.settlements.append(record)
        if self.settle_error is not None:
            raise self.settle_error
        return self.holds.pop(record.request_id, None) is not None

    async def create(self, record: KeyRecord, by: str) -> None:
        self.records[record.key_id] = record

    async def get(self, key_id: str) -> Account | None:
        record = self.records.get(key_id)
        return None if record is None else Account(record, full(record.limits, NOW))

    async def list(self) -> Sequence[KeyRecord]:
        return [*self.records.values()]

    async def teams(self) -> Sequence[KeyRecord]:
        return []

    async def key_ids(self) -> Set[str]:
        raise NotImplementedError

    async def update(self, key_id: str, change: Change, by: str) -> KeyRecord:
        raise NotImplementedError

    async def reset(self, key_id: str, by: str) -> None:
        raise NotImplementedError

    async def delete(self, key_id: str, by: str) -> None:
        raise NotImplementedError

    async def audit(self, key_id: str) -> Sequence[AuditEntry]:
        raise NotImplementedError


async def _complete(operation: Coroutine[Any, Any, Any]) -> None:
    """Complete a started operation before a cancellation takes effect, as every store must do in `admit`."""
    task = asyncio.ensure_future(operation)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        caller = asyncio.current_task()
        assert caller is not None
        caller.cancel()


@dataclass
class FakeResponse:
    """A provider's response in pieces: bytes to yield, exceptions to raise and events to wait for."""

    pieces: Sequence[bytes | Exception | asyncio.Event] = ()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: SSE)
    close_error: Exception | None = None
    closed: int = 0
    read_so_far: int = 0
    end_limits: list[float | None] = field(default_factory=list[float | None])

    async def read(self) -> bytes:
        return b"".join([piece async for piece in self.stream()])

    def end_within(self, seconds: float | None) -> None:
        self.end_limits.append(seconds)

    async def stream(self) -> AsyncIterator[bytes]:
        while self.read_so_far < len(self.pieces):
            piece = self.pieces[self.read_so_far]
            self.read_so_far += 1
            if isinstance(piece, Exception):
                raise piece
            if isinstance(piece, asyncio.Event):
                await piece.wait()
            else:
                yield piece

    async def aclose(self) -> None:
        self.closed += 1
        if self.close_error is not None:
            raise self.close_error


@dataclass
class FakeUpstream:
    """Returns one response each time, or raises one error, and records each request with its provider and deadline."""

    response: FakeResponse | Exception
    without_credential: str = ""
    sent: list[tuple[UpstreamRequest, str, float | None]] = field(
        default_factory=list[tuple[UpstreamRequest, str, float | None]]
    )

    async def send(self, request: UpstreamRequest, provider: Provider, limits: TimeLimits) -> UpstreamResponse:
        self.sent.append((request, provider.name, limits.deadline))
        if isinstance(self.response, Exception):
            raise self.response
        self.response.read_so_far = 0
        return self.response

    def has_credential(self, provider: Provider) -> bool:
        return provider.name not in self.without_credential

    async def find_credential(self, provider: Provider) -> bool:
        return self.has_credential(provider)

    async def reread_credential(self, provider: Provider) -> bool:
        return False


class NoImages:
    """An image fetcher that must not be called."""

    async def fetch_all(self, requested: Sequence[tuple[str, str]]) -> Sequence[str]:
        raise AssertionError(requested)
