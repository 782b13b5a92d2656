"""The embeddings operation: its request, its result (OpenAI, "Create embeddings"), what it reserves,
and how it is split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from msgspec import Meta

from tollgate.gateway.metering import estimate_tokens
from tollgate.gateway.operations import Batching, InputOperation
from tollgate.gateway.request_body import InputBody
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Usage, add_usages, utf8_length

MAX_INPUTS = 2048
MAX_TOKENS = 300_000
"""Inputs in one request, and tokens in one of them (OpenAI's API reference, "Create embeddings", `input`)."""
MAX_RESPONSE_BYTES = 48 * 1024 * 1024
"""More than 2,048 vectors of 3,072 float32 in base64."""
MAX_VALUES = 320_000
"""Values of a request body: the most tokens, and the brackets around them."""
MAX_TOKEN_ID = 2**31 - 1

Text = Annotated[str, Meta(min_length=1)]
Token = Annotated[int, Meta(ge=0, le=MAX_TOKEN_ID)]
TokenArray = Annotated[list[Token], Meta(min_length=1, max_length=MAX_TOKENS)]


class EmbeddingsRequest(InputBody, frozen=True, kw_only=True):
    """The body of `POST /v1/embeddings`."""

    input: Text | Annotated[list[Text | Token | TokenArray], Meta(min_length=1, max_length=MAX_TOKENS)]
    """A text, a list of texts, the tokens of a text, or a list of such arrays."""
    dimensions: Annotated[int, Meta(ge=1, le=65_536)] | None = None
    encoding_format: Literal["float", "base64"] = "float"
    user: str | None = None

    @property
    def inputs(self) -> int:
        """How many inputs there are, each of which gets one embedding."""
        first = self.input[0] if isinstance(self.input, list) else self.input
        return 1 if isinstance(self.input, str) or isinstance(first, int) else len(self.input)

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.input, str):
            return
        kinds = {type(part) for part in self.input}
        if len(kinds) > 1:
            raise ValueError("input: it is a list of texts, of tokens, or of arrays of tokens")
        if len(self.input) > MAX_INPUTS and kinds != {int}:
            raise ValueError(f"input: it has at most {MAX_INPUTS} texts or arrays of tokens")


@dataclass(frozen=True, slots=True)
class Embeddings:
    """One embedding for each input, in their order: base64 of float32 little-endian, numbers, or both."""

    vectors: Sequence[str | Sequence[float]]
    usage: Usage | None = None
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])
    finish_reason: None = None
    text_bytes: int = 0

    @property
    def has_content(self) -> bool:
        """Whether it has vectors."""
        return bool(self.vectors)


def _input_tokens(request: EmbeddingsRequest) -> int:
    """About how many tokens the inputs have; token arrays are counted."""
    value = request.input
    if isinstance(value, str):
        return estimate_tokens(utf8_length(value))
    return sum(_tokens_of(item) for item in value)


def _tokens_of(item: str | int | list[int]) -> int:
    if isinstance(item, int):
        return 1
    return estimate_tokens(utf8_length(item)) if isinstance(item, str) else len(item)


def _expected(request: EmbeddingsRequest, route: Route) -> Usage:
    return Usage(input_tokens=_input_tokens(request))


def _split(request: EmbeddingsRequest, route: Route) -> Sequence[EmbeddingsRequest]:
    """Requests with at most as many inputs as the model takes in one."""
    most = route.model.capabilities.max_inputs
    if most is None or request.inputs <= most:
        return (request,)
    assert isinstance(request.input, list)
    starts = range(0, len(request.input), most)
    return [request.with_fields(input=request.input[start : start + most]) for start in starts]


def _join(results: Sequence[Embeddings]) -> Embeddings:
    usages = [result.usage for result in results]
    vectors = [vector for result in results for vector in result.vectors]
    return Embeddings(vectors, add_usages(usages), results[0].extra)


EMBEDDINGS = InputOperation("embeddings", _expected, Batching(_split, _join), text_fields=("input",))
"""See `gateway.operations.Operation`."""
