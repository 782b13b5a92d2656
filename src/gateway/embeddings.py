"""The embeddings operation: its request, its result (OpenAI, "Create embeddings"), and what it reserves."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field

from tollgate.gateway.budget import Reservation
from tollgate.gateway.metering import cost_of, estimate_tokens, price_terms
from tollgate.gateway.ports import Images
from tollgate.gateway.routing import Route, other_models
from tollgate.gateway.types import Json, Usage, utf8_length

MAX_INPUTS = 2048
MAX_TOKENS = 300_000
"""Inputs in one request, and tokens in one of them (OpenAI's API reference, "Create embeddings", `input`)."""
MAX_RESPONSE_BYTES = 48 * 1024 * 1024
"""More than 2,048 vectors of 3,072 float32 in base64."""
MAX_VALUES = 320_000
"""Values of a request body: the most tokens, and the brackets around them."""
MAX_TOKEN_ID = 2**31 - 1

TokenArray = Annotated[
    list[Annotated[int, Field(ge=0, le=MAX_TOKEN_ID)]], Field(min_length=1, max_length=MAX_TOKENS, fail_fast=True)
]
Text = Annotated[str, Field(min_length=1)]


class EmbeddingsRequest(BaseModel):
    """The body of `POST /v1/embeddings`. Fields that are not declared are kept as the client sent them."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    model: Annotated[str, Field(min_length=1, max_length=256)]
    input: (
        Text
        | Annotated[list[Text], Field(min_length=1, max_length=MAX_INPUTS, fail_fast=True)]
        | TokenArray
        | Annotated[list[TokenArray], Field(min_length=1, max_length=MAX_INPUTS, fail_fast=True)]
    )
    """A text, a list of texts, the tokens of a text, or a list of such arrays."""
    dimensions: Annotated[int, Field(ge=1, le=65_536)] | None = None
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

    def wire(self) -> Json:
        """The body with the fields that the client sent, less those that are null."""
        return self.model_dump(exclude_unset=True)


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
        return other_models(request.model_extra or {})

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
    return sum(_tokens_of(item) for item in cast("list[str | int | list[int]]", value))


def _tokens_of(item: str | int | list[int]) -> int:
    if isinstance(item, int):
        return 1
    return estimate_tokens(utf8_length(item)) if isinstance(item, str) else len(item)
