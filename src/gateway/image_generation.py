"""The operations that make and edit images: their requests, their result, and what they reserve.

Source: OpenAI's API reference, "Create image" and "Create image edit".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from msgspec import Meta

from tollgate.gateway.metering import estimate_tokens
from tollgate.gateway.operations import Batching, InputOperation
from tollgate.gateway.request_body import InputBody
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json, Usage, add_usages, utf8_length
from tollgate.gateway.uploads import File

MAX_IMAGES = 10
MAX_SOURCES = 16
"""Images that a request asks for, and that it edits."""
MAX_RESPONSE_BYTES = 96 * 1024 * 1024
"""Ten images of the largest size as base64 PNG."""
OUTPUT_TOKENS = {"low": 400, "medium": 1600, "high": 6300}
"""About how many tokens an image has by its quality, in the largest of the usual sizes (OpenAI, "Image generation")."""
SOURCE_TOKENS = 1500
"""About how many tokens an image has that is edited."""


class ImagesRequest(InputBody, frozen=True, kw_only=True):
    """The body of `POST /v1/images/generations`."""

    prompt: Annotated[str, Meta(min_length=1, max_length=32_000)]
    n: Annotated[int, Meta(ge=1, le=MAX_IMAGES)] | None = None
    size: Annotated[str, Meta(pattern=r"^(auto|[1-9][0-9]{1,4}x[1-9][0-9]{1,4})$")] | None = None
    quality: Literal["auto", "low", "medium", "high", "xhigh", "max"] | None = None
    background: Literal["auto", "transparent", "opaque"] | None = None
    output_format: Literal["png", "jpeg", "webp", "gif", "svg"] | None = None
    output_compression: Annotated[int, Meta(ge=0, le=100)] | None = None
    response_format: Literal["url", "b64_json"] | None = None

    @property
    def sources(self) -> Sequence[File]:
        """The images that are edited."""
        return ()


class ImageEditRequest(ImagesRequest, frozen=True, kw_only=True):
    """The form of `POST /v1/images/edits`."""

    image: Annotated[list[File], Meta(min_length=1, max_length=MAX_SOURCES)]
    mask: File | None = None

    @property
    def sources(self) -> Sequence[File]:
        """The images that are edited."""
        return self.image


@dataclass(frozen=True, slots=True)
class Images:
    """Images in the order of the provider, each `{"b64_json"}` or `{"url"}` with what else the provider says of it."""

    data: Sequence[Json]
    usage: Usage | None = None
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])
    finish_reason: None = None
    text_bytes: int = 0

    @property
    def has_content(self) -> bool:
        """Whether it has images."""
        return bool(self.data)


def _expected(request: ImagesRequest, route: Route) -> Usage:
    number = request.n or 1
    return Usage(
        input_tokens=estimate_tokens(utf8_length(request.prompt)) + SOURCE_TOKENS * len(request.sources),
        output_tokens=number * OUTPUT_TOKENS.get(request.quality or "auto", OUTPUT_TOKENS["high"]),
        images=number,
    )


def _split(request: ImagesRequest, route: Route) -> Sequence[ImagesRequest]:
    """A request for each image, for a model that makes one at once."""
    if route.model.capabilities.max_inputs is None or (request.n or 1) <= route.model.capabilities.max_inputs:
        return (request,)
    return [request.with_fields(n=1)] * (request.n or 1)


def _join(results: Sequence[Images]) -> Images:
    data = [image for result in results for image in result.data]
    return Images(data, add_usages([result.usage for result in results]), results[0].extra)


IMAGE_GENERATION = InputOperation("image_generation", _expected, Batching(_split, _join))
IMAGE_EDIT = InputOperation("image_edit", _expected, Batching(_split, _join))
"""See `gateway.operations.Operation`."""
