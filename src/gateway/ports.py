"""Protocols of what the core calls but does not implement: provider calls, the network, the stores and the clock."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from tollgate.gateway.catalog import Provider
from tollgate.gateway.errors import GatewayError
from tollgate.gateway.routing import Route
from tollgate.gateway.speed import Speed
from tollgate.gateway.store_ports import KeyStore, Ledger
from tollgate.gateway.types import Result, UpstreamRequest

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

    async def find_credential(self, provider: Provider) -> bool:
        """Whether the provider's credential can be read, which may take a call to where it is kept."""
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

    def may_probe(self, route: Route) -> bool:
        """Whether the request that asks may try a route on cooldown first: when its time is over, one request of one
        instance may."""
        ...

    def failed(self, route: Route, error: GatewayError) -> None:
        """An attempt failed."""
        ...

    def succeeded(self, route: Route) -> None:
        """A response was complete."""
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
