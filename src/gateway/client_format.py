"""The interface of a client format: how a request is parsed, and how results and errors are encoded for the client."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

from tollgate.gateway.errors import GatewayError
from tollgate.gateway.operations import Operation
from tollgate.gateway.types import Json, Usage

Req_co = TypeVar("Req_co", covariant=True)


@dataclass(frozen=True, slots=True)
class ResponseInfo:
    """What an encoder writes around a result.

    `created` is in Unix seconds, `model` is the name that the client requested, or that of the model that stands in,
    `provider` is the name of the provider's row in the catalog, and `family` the wire protocol that it speaks.
    `content_type` is that of the provider's response; empty if it has none.
    """

    request_id: str
    created: int
    model: str
    provider: str
    family: str
    content_type: str = ""


@runtime_checkable
class Encoder(Protocol):
    """Writes one response in the client's format."""

    @property
    def media_type(self) -> str:
        """The content type of a whole response."""
        ...

    def result(self, result: Any, usage: Usage | None) -> bytes | Iterator[bytes]:
        """A whole response, or the pieces of a large one, at least one; `usage` is None if it is not known."""
        ...


@runtime_checkable
class StreamEncoder(Protocol):
    """Writes one streamed response in the client's format. It keeps that stream's state, such as sequence numbers."""

    @property
    def stream_media_type(self) -> str:
        """The content type of a streamed response."""
        ...

    @property
    def keep_alive(self) -> bytes:
        """What is sent while the provider is silent, without a meaning for the client."""
        ...

    def chunk(self, chunk: Any) -> bytes:
        """One chunk."""
        ...

    def end(self, usage: Usage | None, extra: Mapping[str, Any]) -> bytes:
        """The end of a complete stream, with the usage if it is known and `extra` fields that came with it."""
        ...

    def error(self, error: GatewayError) -> bytes | None:
        """The end of a stream that fails; None if the format has none, so that the connection has to be cut."""
        ...


class ClientFormat(Protocol[Req_co]):
    """How a client speaks one operation."""

    @property
    def operation(self) -> Operation[Any]:
        """The operation that it requests."""
        ...

    def api_key(self, headers: Mapping[str, str]) -> str:
        """The API key in a request's headers. Raises AuthenticationError if there is none in the form of a key."""
        ...

    def parse(
        self, headers: Mapping[str, str], body: bytes
    ) -> tuple[Req_co, Callable[[ResponseInfo], Encoder | StreamEncoder]]:
        """The request, and how its response is encoded. Raises BadRequestError that names the field at fault.

        Header names are lower-case.
        """
        ...

    def error(self, error: GatewayError) -> Json:
        """The body of an error response."""
        ...
