"""Protocols of what the core calls but does not implement: provider calls, the network, the stores and the clock."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from tollgate.gateway.admission import Account, Hold
from tollgate.gateway.catalog import Provider
from tollgate.gateway.documents import Documents
from tollgate.gateway.errors import GatewayError
from tollgate.gateway.keys import AuditEntry, Change, KeyRecord
from tollgate.gateway.metering import UsageRecord
from tollgate.gateway.routing import Route
from tollgate.gateway.speed import Speed
from tollgate.gateway.types import Result, UpstreamRequest
from tollgate.gateway.usage_totals import DailyTotal

ChunkT_co = TypeVar("ChunkT_co", covariant=True)


class StreamParser(Protocol[ChunkT_co]):
    """Parses one stream: bytes in, chunks out. It holds the state of that stream and does no I/O.

    Chunks are those of the operation (see `gateway.types.Result`). Chat's are normalised: the role in each choice's
    first delta, one finish_reason per choice, nothing after it. The finish_reason comes when the response has ended: at
    its terminal marker, or in `close`.
    """

    @property
    def done(self) -> bool:
        """Whether the stream's terminal marker has been read; nothing after it matters."""
        ...

    @property
    def grace(self) -> float | None:
        """Seconds to wait for more although every choice has ended: a stream that then sends nothing is complete. None
        while it is not."""
        ...

    def feed(self, data: bytes) -> Iterator[ChunkT_co]:
        """The chunks that these bytes complete. Raises GatewayError if the provider reports a failure in the stream."""
        ...

    def close(self) -> Iterator[ChunkT_co]:
        """The remaining chunks, once the provider has closed. Raises UpstreamError if no terminal marker came."""
        ...


class ProviderCall(Protocol):
    """One attempt at one operation on one route, in the format of the provider's family. It does no I/O.

    It is made per attempt and keeps what both directions need (names of tools, the plan for JSON responses). Making one
    raises BadRequestError for what the family cannot express.
    """

    @property
    def request(self) -> UpstreamRequest:
        """The provider's request."""
        ...

    def parse_error(self, status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
        """The client's error for a response with an error status. Header names are lower-case."""
        ...

    def parse_response(self, body: bytes) -> Result:
        """The operation's result from a whole response. Raises UpstreamError if the body is not one."""
        ...

    def open_stream(self) -> StreamParser[Any] | None:
        """A parser for a streamed response; None if the operation has no streams, or the client requests none."""
        ...


OpenCall = Callable[[Any, Route], ProviderCall]
"""Makes the call for a request of one operation and a route."""


@dataclass(frozen=True, slots=True)
class Family:
    """A wire protocol that providers speak: its calls by the name of their operation.

    An operation that the family cannot serve is absent. `fetches_url` tells whether its providers fetch an image from a
    URL themselves; if not, the gateway sends the image in its place.
    """

    calls: Mapping[str, OpenCall]
    fetches_url: Callable[[str], bool]


class Images(Protocol):
    """Fetches images that a client names by URL."""

    async def fetch_all(self, requested: Sequence[tuple[str, str]]) -> Sequence[str]:
        """Images as data URLs, each requested as (param, URL). Raises BadRequestError, naming the one that cannot be
        fetched."""
        ...


class UpstreamResponse(Protocol):
    """A provider's response whose status and headers have arrived; its body is read once."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]:
        """By lower-case name."""
        ...

    async def read(self) -> bytes:
        """The body, or what is left of it, decompressed. Raises UpstreamError, UpstreamTimeoutError."""
        ...

    def stream(self) -> AsyncIterator[bytes]:
        """The body as it arrives, decompressed. Raises UpstreamError, UpstreamTimeoutError."""
        ...

    def end_within(self, seconds: float | None) -> None:
        """From now on `stream` waits at most so long, and then ends as if the body had ended; None: no such limit."""
        ...

    async def aclose(self) -> None:
        """Release the connection; before the end of the body this aborts the call."""
        ...


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """When one call must have ended, and when its first byte must have come, in the clock's monotonic seconds."""

    deadline: float | None = None
    first_byte_by: float | None = None


class Upstream(Protocol):
    """Sends requests to providers."""

    async def send(self, request: UpstreamRequest, provider: Provider, limits: TimeLimits) -> UpstreamResponse:
        """Send with the provider's credential and wait for status and headers, within these limits and the provider's.

        Raises UpstreamError (unreachable), UpstreamAuthError (no credential), UpstreamTimeoutError.
        """
        ...

    async def reread_credential(self, provider: Provider) -> bool:
        """Read a credential again that the provider refused. Returns whether it has changed."""
        ...

    def has_credential(self, provider: Provider) -> bool:
        """False if the provider's credential is known to be missing, without any I/O."""
        ...


class Health(Protocol):
    """What is known of the routes: which of them fail. No method waits for anything."""

    def refresh(self) -> None:
        """Read what other instances know, in the background, unless that was done a moment ago."""
        ...

    def is_on_cooldown(self, route: Route) -> bool:
        """Whether the route failed so often that others are tried first."""
        ...

    def avoids(self, route: Route) -> bool:
        """Whether the request that asks should try others first. When a cooldown is over, one request of one instance
        may try the route again."""
        ...

    def failed(self, route: Route, error: GatewayError) -> None:
        """An attempt failed."""
        ...

    def succeeded(self, route: Route) -> None:
        """A response has begun."""
        ...


class Speeds(Protocol):
    """How fast the routes answer, where there is a choice. No method waits for anything."""

    def refresh(self) -> None:
        """Read what other instances measured, in the background, unless that was done a moment ago."""
        ...

    def speed(self, route: Route) -> Speed:
        """What is known of a route."""
        ...

    def observed(self, route: Route, speed: Speed) -> None:
        """What one complete answer showed."""
        ...


class Ledger(Protocol):
    """Admission and settlement, exact across every instance of the gateway."""

    async def admit(self, hold: Hold) -> Account:
        """Make the decision of `gateway.admission.decide` and open the hold; on the usual path in ONE conditional
        write, and one more for the team of a key that has one.

        Returns the key's state after it, with the team's. Raises AuthenticationError and RefusedError, having changed
        nothing; StoreUnavailableError if the store does not respond. Admitting the same hold again reserves nothing
        twice.
        """
        ...

    async def extend(self, hold: Hold, amount: int, minimum: int) -> int:
        """Hold more of the budget for an output that grows, in micro-dollars; on the usual path ONE conditional write,
        and one more for the team.

        `hold` is the open hold with what it holds now. It gets `amount` more, or what is left, but at least `minimum`.
        Returns what it then holds in all. Raises RefusedError `budget`, having changed nothing, if less is left or the
        hold is over; AuthenticationError if the key is gone; StoreUnavailableError.
        """
        ...

    async def settle(self, record: UsageRecord, hold: Hold) -> bool:
        """Write the request's usage record and close its hold; what was held and not used is released.

        Each is done only once, however often this is called and wherever an earlier call was interrupted. False if the
        request was settled already; then nothing changed. Raises StoreUnavailableError.
        """
        ...


class KeyStore(Protocol):
    """The stored keys and teams. Every change is audited: who, when, what.

    A team is a key without a secret: what is said of a key here applies to a team, by its id, unless it says otherwise.
    """

    async def create(self, record: KeyRecord, by: str) -> None:
        """Store a new key with a full balance. Raises KeyExistsError if the key_id is taken, KeyNotFoundError if its
        team does not exist."""
        ...

    async def get(self, key_id: str) -> Account | None:
        """The key and its state, consistent with the last change to it; None if there is no such key."""
        ...

    async def list(self) -> Sequence[KeyRecord]:
        """Every key, oldest first; no teams."""
        ...

    async def teams(self) -> Sequence[KeyRecord]:
        """Every team, oldest first."""
        ...

    async def key_ids(self) -> Set[str]:
        """The ids of all keys, and of those deleted so recently that usage records of theirs may be left."""
        ...

    async def update(self, key_id: str, change: Change, by: str) -> KeyRecord:
        """Replace a key's record by `change` of it, atomically. Raises KeyNotFoundError, also for a new team of it.

        If its limits change, what was used of them stays used.
        """
        ...

    async def reset(self, key_id: str, by: str) -> None:
        """Refill a key's balance: nothing is used, nothing is held. Raises KeyNotFoundError.

        Usage records stay. A request that is open meanwhile is recorded, and not charged to the new balance.
        """
        ...

    async def delete(self, key_id: str, by: str) -> None:
        """Delete a key. Its usage records stay. Raises KeyNotFoundError, and TeamInUseError for a team with keys."""
        ...

    async def audit(self, key_id: str) -> Sequence[AuditEntry]:
        """The changes of a key, oldest first, also after it was deleted."""
        ...


class UsageStore(Protocol):
    """The stored usage records, to read."""

    async def totals(self, key_id: str, first: int, last: int) -> Sequence[DailyTotal]:
        """What a key used on the days from `first` to `last`, both included, one total per model and day, in any order.

        The cost depends on the number of days and models, not of records: a store keeps these totals.
        """
        ...

    def usage(self, key_id: str, start: float, end: float) -> AsyncIterator[UsageRecord]:
        """The records of a key whose request began in [start, end), Unix seconds, oldest first."""
        ...

    async def usage_of(self, key_id: str, request_id: str) -> UsageRecord | None:
        """The record of one request; None if it does not exist, or no longer."""
        ...


class Store(Ledger, KeyStore, UsageStore, Documents, Protocol):
    """One store with all of it."""

    def close(self) -> None:
        """Accept no more calls, and release everything once the open ones have ended. Closing again is no error."""
        ...


class Clock(Protocol):
    """The current time."""

    def now(self) -> float:
        """Unix time in seconds."""
        ...

    def monotonic(self) -> float:
        """Seconds from an unknown start that never go back; for durations."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Everything outside the core that the gateway calls; `families` by their names in the catalog."""

    families: Mapping[str, Family]
    upstream: Upstream
    images: Images
    keys: KeyStore
    ledger: Ledger
    clock: Clock
    health: Health
    speeds: Speeds
