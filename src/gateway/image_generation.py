"""The operations that make and edit images: their requests, their result, and what they reserve.

Source: OpenAI's API reference, "Create image" and "Create image edit".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from msgspec import Meta

from tollgate.gateway.metering import estimate_tokens
from tollgate.gateway.operations import Batching, InputOperation
from tollgate.gateway.request_body import RequestBody
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json, Usage, add_usages, utf8_length
from tollgate.gateway.uploads import File

MAX_IMAGES = 10
MAX_SOURCES = 16
"""Images that a request asks for, and that it edits."""
MAX_RESPONSE_BYTES = 96 * 1024 * 1024
"""Ten images of the largest size as base64 PNG."""
OUTPUT_TOKENS = {"low": 272, "medium": 1056, "high": 4160}
"""Tokens of an image of 1024x1024 by its quality; others have as many more as they have pixels (OpenAI, "Image
generation", "Calculating costs", gpt-image-1's table). An estimate, which is settled by what the provider reports."""
PIXELS = 1024 * 1024
LARGEST = "1536x1024"
PARTIAL_IMAGE_TOKENS = 100
"""Tokens of each partial image of a stream (OpenAI, "Image generation", "Partial images")."""
SOURCE_TOKENS = 1500
"""About how many tokens an image has that is edited."""


class ImagesRequest(RequestBody, frozen=True, kw_only=True):
    """The body of `POST /v1/images/generations`."""

    prompt: Annotated[str, Meta(min_length=1, max_length=32_000)]
    n: Annotated[int, Meta(ge=1, le=MAX_IMAGES)] | None = None
    size: Annotated[str, Meta(pattern=r"^(auto|[1-9][0-9]{1,4}x[1-9][0-9]{1,4})$")] | None = None
    quality: Literal["auto", "low", "medium", "high", "xhigh", "max"] | None = None
    background: Literal["auto", "transparent", "opaque"] | None = None
    output_format: Literal["png", "jpeg", "webp", "gif", "svg"] | None = None
    output_compression: Annotated[int, Meta(ge=0, le=100)] | None = None
    response_format: Literal["url", "b64_json"] | None = None
    stream: bool = False
    partial_images: Annotated[int, Meta(ge=0, le=3)] | None = None
    user: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stream and (self.n or 1) > 1:
            raise ValueError("n: a stream has one image")

    @property
    def sources(self) -> Sequence[File]:
        """The images that are edited."""
        return ()


class ImageEditRequest(ImagesRequest, frozen=True, kw_only=True):
    """The form of `POST /v1/images/edits`."""

    image: Annotated[list[File], Meta(min_length=1, max_length=MAX_SOURCES)]
    mask: File | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for index, file in enumerate(self.image):
            if not file.content.nbytes:
                raise ValueError(f"image[{index}]: the file is empty")
        if self.mask is not None and not self.mask.content.nbytes:
            raise ValueError("mask: the file is empty")

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


def expected_usage(request: ImagesRequest, route: Route) -> Usage:
    """The number of images, if these are what the model costs, or about the tokens of prompt and images."""
    number, prices = request.n or 1, route.prices
    if prices is not None and "images" in prices.usd_per_unit:
        return Usage(images=number)
    width, height = map(int, (LARGEST if request.size in (None, "auto") else str(request.size)).split("x"))
    tokens = OUTPUT_TOKENS.get(request.quality or "auto", OUTPUT_TOKENS["high"]) * max(1, width * height / PIXELS)
    partial = (request.partial_images or 0) * PARTIAL_IMAGE_TOKENS
    sources = SOURCE_TOKENS * len(request.sources)
    prompt = estimate_tokens(utf8_length(request.prompt)) + sources
    return Usage(prompt, number * (round(tokens) + partial), input_image_tokens=sources)


def _split(request: ImagesRequest, route: Route) -> Sequence[ImagesRequest]:
    """A request for each image, for a model that makes one at once."""
    if route.model.capabilities.max_inputs is None or (request.n or 1) <= route.model.capabilities.max_inputs:
        return (request,)
    return [request.with_fields(n=1)] * (request.n or 1)


def _join(results: Sequence[Images]) -> Images:
    data = [image for result in results for image in result.data]
    return Images(data, add_usages([result.usage for result in results]), results[0].extra)


IMAGE_GENERATION = InputOperation("image_generation", expected_usage, Batching(_split, _join), text_fields=("prompt",))
IMAGE_EDIT = InputOperation("image_edit", expected_usage, Batching(_split, _join), text_fields=("prompt",))
"""See `gateway.operations.Operation`."""
