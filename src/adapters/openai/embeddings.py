"""One attempt at embeddings over OpenAI's API (API reference, "Create embeddings") and compatible servers.

Vectors are requested in base64, which takes a quarter of the bytes of numbers: OpenAI's own clients do so too, whatever
their caller requests, so that every compatible server reads it. One that ignores it sends numbers.
"""

from msgspec import Raw, Struct

from tollgate.adapters.dialects import in_dialect
from tollgate.adapters.embeddings import CHANGES_THE_RESULT, check_vectors
from tollgate.adapters.json_access import child, count, encode, parse, parse_as
from tollgate.adapters.openai.chat_response import raise_if_error
from tollgate.adapters.openai.usage import read_usage
from tollgate.adapters.provider_errors import error_from_response, too_long_in
from tollgate.gateway.embeddings import MAX_RESPONSE_BYTES, Embeddings, EmbeddingsRequest
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json, UpstreamRequest, Usage

_ENVELOPE = frozenset({"id", "object", "created", "model", "data", "usage", "error", "provider"})
"""Top-level fields of a response that the gateway writes itself; the others are relayed."""


_NOTHING = Raw(b"[]")


class _Item(Struct):
    """One of `data`; the embedding is parsed apart."""

    index: int = 0
    embedding: Raw = Raw(b"null")


class EmbeddingsCall:
    """See `gateway.ports.ProviderCall`."""

    parse_error = staticmethod(too_long_in("input", error_from_response))

    def __init__(self, request: EmbeddingsRequest, route: Route) -> None:
        self.request = _build_request(request, route)
        self._inputs = request.inputs

    def parse_response(self, body: bytes) -> Embeddings:
        """See ProviderCall. Raises UpstreamError unless there is one vector for each input.

        Vectors are parsed one after the other: all numbers of a batch at once would take ten times the memory.
        """
        fields: dict[str, Raw] = parse_as(body, dict[str, Raw])
        response = {name: parse(bytes(value)) for name, value in fields.items() if name != "data"}
        raise_if_error(response)
        items: list[_Item] = parse_as(fields.get("data", _NOTHING), list[_Item])
        items.sort(key=lambda item: item.index)
        in_order = (parse_as(item.embedding) for place, item in enumerate(items) if item.index == place)
        extra = {name: value for name, value in response.items() if name not in _ENVELOPE}
        return Embeddings(check_vectors(in_order, self._inputs), _usage(response), extra)

    def open_stream(self) -> None:
        """Embeddings are not streamed."""
        return


def _build_request(request: EmbeddingsRequest, route: Route) -> UpstreamRequest:
    body, dialect = request.wire(), route.provider.quirks.embeddings
    body["encoding_format"] = "base64"
    if "encoding_format" in dialect.unsupported:
        del body["encoding_format"]  # it is not the client's
    body, dropped = in_dialect(body, request, route, dialect, CHANGES_THE_RESULT)
    url = f"{route.provider.base_url.rstrip('/')}/embeddings"
    return UpstreamRequest(url, encode(body), dropped=dropped, max_response_bytes=MAX_RESPONSE_BYTES)


def _usage(response: Json) -> Usage | None:
    """The usage; Voyage reports `total_tokens` alone (its API reference, "Text embeddings")."""
    usage = read_usage(response)
    total = count(child(response, "usage"), "total_tokens")
    return Usage(input_tokens=total) if usage is None and total else usage
