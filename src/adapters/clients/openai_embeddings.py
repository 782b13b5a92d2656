"""OpenAI's Embeddings (API reference, "Create embeddings")."""

import base64
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import msgspec

from tollgate.adapters.clients.json_body import parse_json
from tollgate.adapters.clients.openai import bearer_key, error_body
from tollgate.gateway.client_format import Encoder, ResponseInfo
from tollgate.gateway.embeddings import EMBEDDINGS, MAX_VALUES, Embeddings, EmbeddingsRequest
from tollgate.gateway.json_text import dump
from tollgate.gateway.types import Json, Usage

PIECE_BYTES = 256 * 1024
"""Bytes of a response that are written at once, in a few milliseconds."""


class OpenAIEmbeddings:
    """See `gateway.client_format.ClientFormat`."""

    operation = EMBEDDINGS
    api_key = staticmethod(bearer_key)
    error = staticmethod(error_body)

    def parse(
        self, headers: Mapping[str, str], body: bytes
    ) -> tuple[EmbeddingsRequest, Callable[[ResponseInfo], Encoder]]:
        """The request. Raises BadRequestError."""
        request = parse_json(headers, body, EmbeddingsRequest, MAX_VALUES)
        return request, partial(EmbeddingsEncoder, as_base64=request.encoding_format == "base64")


class EmbeddingsEncoder:
    """A list of `embedding` objects, as floats or as base64 of float32 little-endian, whatever the provider sent."""

    media_type = "application/json"

    def __init__(self, info: ResponseInfo, *, as_base64: bool) -> None:
        self._info = info
        self._as_base64 = as_base64

    def result(self, result: Embeddings, usage: Usage | None) -> Iterator[bytes]:
        """The list, in the order of the inputs, in pieces: as numbers the largest has 130 MB."""
        convert = _as_base64 if self._as_base64 else _as_floats
        envelope: Json = {"model": self._info.model, **result.extra}
        if usage is not None:
            envelope["usage"] = {"prompt_tokens": usage.input_tokens, "total_tokens": usage.input_tokens}
        piece = bytearray(b'{"object":"list","data":[')
        for index, vector in enumerate(result.vectors):
            if len(piece) > PIECE_BYTES:
                yield bytes(piece)
                piece.clear()
            piece += b'%s{"object":"embedding","index":%d,"embedding":' % (b"," if index else b"", index)
            piece += convert(vector) + b"}"
        yield bytes(piece) + b"]," + dump({**envelope, "provider": self._info.provider})[1:]


def _as_base64(vector: str | Sequence[float]) -> bytes:
    if not isinstance(vector, str):
        vector = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")
    return b'"%s"' % vector.encode("ascii")


def _as_floats(vector: str | Sequence[float]) -> bytes:
    if not isinstance(vector, str):
        return msgspec.json.encode([*vector])
    data = base64.b64decode(vector)
    return msgspec.json.encode(struct.unpack(f"<{len(data) // 4}f", data))
