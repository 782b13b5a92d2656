"""The embeddings operation: its request, its result (OpenAI, "Create embeddings"), and what it reserves."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from msgspec import Meta

from tollgate.gateway.budget import Reservation
from tollgate.gateway.metering import cost_of, estimate_tokens, price_terms
from tollgate.gateway.ports import Images
from tollgate.gateway.request_body import RequestBody
from tollgate.gateway.routing import Route, other_models
from tollgate.gateway.types import Usage, utf8_length

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


class EmbeddingsRequest(RequestBody, frozen=True, kw_only=True):
    """The body of `POST /v1/embeddings`."""

    input: Text | Annotated[list[Text | Token | TokenArray], Meta(min_length=1, max_length=MAX_TOKENS)]
    """A text, a list of texts, the tokens of a text, or a list of such arrays."""
    dimensions: Annotated[int, Meta(ge=1, le=65_536)] | None = None
    encoding_format: Literal["float", "base64"] = "float"
    user: str | None = None

    @property
    def stream(self) -> bool:
        """Embeddings are never streamed."""
        return False

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
    """One embedding for each input, in their order: base64 of float32 little-endian, as a list of floats, or both."""

    vectors: Sequence[str | Sequence[float]]
    usage: Usage | None = None
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])
    finish_reason: None = None
    text_bytes: int = 0

    @property
    def has_content(self) -> bool:
        """Whether it has vectors."""
        return bool(self.vectors)


class EmbeddingsOperation:
    """See `gateway.operations.Operation`."""

    name = "embeddings"

    def other_models(self, request: EmbeddingsRequest) -> tuple[str, ...]:
        """Models in the fields for a router."""
        return other_models(request.extra)

    def reserve(self, request: EmbeddingsRequest, route: Route) -> Reservation:
        """The tokens of the input; there is no output."""
        usual = Usage(input_tokens=_input_tokens(request))
        cost = cost_of(usual, route.prices, price_terms(request))
        return Reservation(usual, None, 0, cost.micro_usd, cost.micro_usd, False, cost.usd is not None)

    def limit_output(
        self, request: EmbeddingsRequest, route: Route, reservation: Reservation, held_micro_usd: int
    ) -> tuple[EmbeddingsRequest, tuple[str, ...]]:
        """Nothing to limit: a budget that does not pay for the input refuses the request."""
        return request, ()

    async def prepare(
        self, request: EmbeddingsRequest, images: Images, fetches_url: Callable[[str], bool]
    ) -> EmbeddingsRequest:
        """Nothing to prepare."""
        return request


EMBEDDINGS = EmbeddingsOperation()


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
