"""What the core asks of the floors above it, as protocols: adapters, the way out, the stores, and the clock."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence, Set
from typing import Protocol

from tollgate.gateway.admission import Account, Hold
from tollgate.gateway.catalog import Provider
from tollgate.gateway.errors import GatewayError
from tollgate.gateway.keys import AuditEntry, Change, KeyRecord
from tollgate.gateway.metering import UsageRecord
from tollgate.gateway.routing import Route
from tollgate.gateway.types import ChatRequest, Chunk, Completion, UpstreamRequest
from tollgate.gateway.usage_totals import DailyTotal


class StreamParser(Protocol):
    """Reads one stream: bytes in, chunks out. It holds that stream's state and does no I/O.

    Chunks come normalised: the role in each choice's first delta, one finish_reason per choice, nothing after it. Why
    an answer ended is told when it has ended: at its terminal marker, or in `close`.
    """

    @property
    def done(self) -> bool:
        """Whether the stream's terminal marker has been read; nothing after it matters."""
        ...

    @property
    def grace(self) -> float | None:
        """Seconds for which more is worth waiting for though every choice has ended: a stream that then goes on without
        saying anything is whole. None while it is not.
        """
        ...

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """The chunks that these bytes complete. Raises GatewayError where the provider reports a failure in-band."""
        ...

    def close(self) -> Iterator[Chunk]:
        """What is left when the provider has closed. Raises UpstreamError where the terminal marker never came."""
        ...


class Adapter(Protocol):
    """A wire family: five pure functions."""

    def fetches_url(self, url: str) -> bool:
        """Whether the provider itself fetches an image from there; if not, the gateway puts the image in its place."""
        ...

    def build_request(self, request: ChatRequest, route: Route) -> UpstreamRequest:
        """The provider's request. Raises BadRequestError for what this family cannot say."""
        ...

    def parse_response(self, body: bytes, request: ChatRequest, route: Route) -> Completion:
        """The provider's whole answer. Raises UpstreamError where it is none."""
        ...

    def parse_error(self, status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
        """What an answer with an error status means for the client. Header names are lower-case."""
        ...

    def open_stream(self, request: ChatRequest, route: Route) -> StreamParser:
        """A parser for this request's stream."""
        ...


class Images(Protocol):
    """The way out to images that a client names by URL."""

    async def fetch_all(self, wanted: Sequence[tuple[str, str]]) -> Sequence[str]:
        """Images as data URLs, each wanted as (param, URL). Raises BadRequestError, naming the one not to be had."""
        ...


class UpstreamResponse(Protocol):
    """A provider's answer whose status and headers have come; its body is read once."""

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
        """The body as it comes, decompressed. Raises UpstreamError, UpstreamTimeoutError."""
        ...

    def end_within(self, seconds: float | None) -> None:
        """From now on `stream` waits so long at most, and then ends as if the body had; None: it waits as it did."""
        ...

    async def aclose(self) -> None:
        """Let the connection go; before the body's end this aborts the call."""
        ...


class Upstream(Protocol):
    """The way out to providers."""

    async def send(self, request: UpstreamRequest, provider: Provider, deadline: float | None) -> UpstreamResponse:
        """Send with the provider's credential and wait for status and headers.

        At `deadline`, in the clock's monotonic seconds, the call ends wherever it is, its body included. Raises
        UpstreamError (unreachable), UpstreamAuthError (no credential), UpstreamTimeoutError.
        """
        ...

    def has_credential(self, provider: Provider) -> bool:
        """False where it is known, without asking anybody, that the provider's credential is missing."""
        ...


class Ledger(Protocol):
    """Admission and settlement, exact across every instance of the gateway."""

    async def admit(self, hold: Hold) -> Account:
        """Make `gateway.admission.decide`'s decision and open the hold, on the usual path in ONE conditional write.

        The account is how the key stands after it. Raises AuthenticationError and RefusedError, having changed nothing;
        StoreUnavailableError where the table does not answer. A repeated admission of one hold takes nothing twice.
        """
        ...

    async def extend(self, hold: Hold, wanted: int, least: int) -> int:
        """Hold more of the budget for an answer that grows, in micro-dollars; on the usual path ONE conditional write.

        `hold` is the open hold with what it holds now. It gets `wanted` more, or what is left, but not less than
        `least`. Returns what it then holds in all. Raises RefusedError `budget`, having changed nothing, where less is
        left or the hold is over; AuthenticationError where the key is gone; StoreUnavailableError.
        """
        ...

    async def settle(self, record: UsageRecord, hold: Hold) -> bool:
        """Write the request's usage record and close its hold; what was held and not used goes back to the key.

        Each is done only once, however often this is called and wherever an earlier call was cut off. False where the
        request was settled already; then nothing changed. Raises StoreUnavailableError.
        """
        ...


class KeyStore(Protocol):
    """The keys themselves. Every change is audited: who, when, what."""

    async def create(self, record: KeyRecord, by: str) -> None:
        """Store a new key with a full balance. Raises KeyExistsError where the key_id is taken."""
        ...

    async def get(self, key_id: str) -> Account | None:
        """The key and how it stands, consistent with the last change to it; None where there is no such key."""
        ...

    async def list(self) -> Sequence[KeyRecord]:
        """Every key, oldest first."""
        ...

    async def key_ids(self) -> Set[str]:
        """The ids of all keys, and of those deleted so lately that usage records of theirs may be left."""
        ...

    async def update(self, key_id: str, change: Change, by: str) -> KeyRecord:
        """Replace a key's record by `change` of it, as one step among other changes. Raises KeyNotFoundError.

        Where its limits change, what was taken of them stays taken.
        """
        ...

    async def reset(self, key_id: str, by: str) -> None:
        """Fill a key's balance anew: nothing is taken, nothing is held. Raises KeyNotFoundError.

        Usage records stay. A request that is open meanwhile is recorded, and not charged to the new balance.
        """
        ...

    async def delete(self, key_id: str, by: str) -> None:
        """Forget a key. Its usage records stay. Raises KeyNotFoundError."""
        ...

    async def audit(self, key_id: str) -> Sequence[AuditEntry]:
        """What was done to a key, oldest first, also after it was deleted."""
        ...


class UsageStore(Protocol):
    """The usage records, to read."""

    async def totals(self, key_id: str, first: int, last: int) -> Sequence[DailyTotal]:
        """What a key used on the days from `first` to `last`, both included, one by model and day, in any order.

        It costs by the days and models there are, not by the records: a store keeps these totals.
        """
        ...

    def usage(self, key_id: str, start: float, end: float) -> AsyncIterator[UsageRecord]:
        """The records of a key whose request began in [start, end), Unix seconds, oldest first."""
        ...

    async def usage_of(self, key_id: str, request_id: str) -> UsageRecord | None:
        """The record of one request; None where it is not there, or not any more."""
        ...


class Store(Ledger, KeyStore, UsageStore, Protocol):
    """One place that keeps all of it."""

    def close(self) -> None:
        """Wait for what is under way and let go. Closing again is no error."""
        ...


class Clock(Protocol):
    """Time, as the core may know it."""

    def now(self) -> float:
        """Unix time in seconds."""
        ...

    def monotonic(self) -> float:
        """Seconds from an unknown start that never go back; for durations."""
        ...
