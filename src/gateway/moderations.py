"""The moderations operation: its request, its result (OpenAI, "Create moderation"), and what it reserves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from msgspec import Meta, Struct

from tollgate.gateway.metering import estimate_tokens
from tollgate.gateway.operations import InputOperation
from tollgate.gateway.request_body import InputBody
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json, Usage, utf8_length

DEFAULT_MODEL = "omni-moderation-latest"
"""OpenAI's default (API reference, "Create moderation", `model`)."""
MAX_INPUTS = 2048
"""Inputs in one request, as many as embeddings have."""
IMAGE_TOKENS = 1000
"""About how many tokens an image has."""


Text = Annotated[str, Meta(min_length=1)]


class ImageUrl(Struct):
    """An image, by URL or as a data URL."""

    url: Annotated[str, Meta(min_length=1)]


class TextPart(Struct, tag_field="type", tag="text"):
    """A text of an input of several parts."""

    text: str


class ImagePart(Struct, tag_field="type", tag="image_url"):
    """An image of an input of several parts."""

    image_url: ImageUrl


class ModerationsRequest(InputBody, frozen=True, kw_only=True):
    """The body of `POST /v1/moderations`."""

    model: Annotated[str, Meta(min_length=1, max_length=256)] = DEFAULT_MODEL
    input: Text | Annotated[list[Text | TextPart | ImagePart], Meta(min_length=1, max_length=MAX_INPUTS)]
    """A text, a list of texts, or the parts of one input."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.input, list) and len({isinstance(part, str) for part in self.input}) > 1:
            raise ValueError("input: it is a list of texts, or of objects")

    @property
    def parts(self) -> Sequence[Json]:
        """The parts of the input, as the client sent them; empty if it is a text or a list of texts."""
        parts: list[Any] = self.input if isinstance(self.input, list) else []
        return [part for part in parts if not isinstance(part, str)]

    @property
    def results(self) -> int:
        """How many results there are: one for each text, or one for all parts."""
        return 1 if isinstance(self.input, str) or self.parts else len(self.input)


@dataclass(frozen=True, slots=True)
class Moderations:
    """One result for each input, in their order, each with `flagged`, `categories` and `category_scores`."""

    results: Sequence[Json]
    usage: Usage | None = None
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])
    finish_reason: None = None
    text_bytes: int = 0

    @property
    def has_content(self) -> bool:
        """It always has results."""
        return True


def _expected(request: ModerationsRequest, route: Route) -> Usage:
    texts = (
        [request.input] if isinstance(request.input, str) else [part for part in request.input if isinstance(part, str)]
    )
    texts += [part["text"] for part in request.parts if part["type"] == "text"]
    images = sum(part["type"] == "image_url" for part in request.parts)
    return Usage(input_tokens=sum(estimate_tokens(utf8_length(text)) for text in texts) + images * IMAGE_TOKENS)


MODERATIONS = InputOperation("moderations", _expected, text_fields=("input",))
"""See `gateway.operations.Operation`."""
