"""OpenAI's Embeddings (API reference, "Create embeddings")."""

import base64
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from tollgate.adapters.clients.json_body import parse_json
from tollgate.adapters.clients.openai import bearer_key, error_body
from tollgate.gateway.client_format import Encoder, ResponseInfo
from tollgate.gateway.embeddings import EMBEDDINGS, MAX_VALUES, Embeddings, EmbeddingsRequest
from tollgate.gateway.json_text import dump
from tollgate.gateway.types import Json, Usage


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

    def result(self, result: Embeddings, usage: Usage | None) -> bytes:
        """The list, in the order of the inputs."""
        convert = _as_base64 if self._as_base64 else _as_floats
        data: list[Json] = [
            {"object": "embedding", "index": index, "embedding": convert(vector)}
            for index, vector in enumerate(result.vectors)
        ]
        body: Json = {"object": "list", "data": data, "model": self._info.model, **result.extra}
        if usage is not None:
            body["usage"] = {"prompt_tokens": usage.input_tokens, "total_tokens": usage.input_tokens}
        return dump({**body, "provider": self._info.provider})


def _as_base64(vector: str | Sequence[float]) -> str:
    if isinstance(vector, str):
        return vector
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")


def _as_floats(vector: str | Sequence[float]) -> Sequence[float]:
    if not isinstance(vector, str):
        return [*vector]
    data = base64.b64decode(vector)
    return struct.unpack(f"<{len(data) // 4}f", data)
