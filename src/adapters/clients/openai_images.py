"""OpenAI's Images (API reference, "Create image" and "Create image edit")."""

from collections.abc import Callable, Mapping
from functools import partial

from tollgate.adapters.attachments import detect_type
from tollgate.adapters.clients.audio_events import EventEncoder
from tollgate.adapters.clients.json_body import parse_json
from tollgate.adapters.clients.multipart import read_form
from tollgate.adapters.clients.openai import bearer_key, error_body
from tollgate.gateway.audio import AudioEvent
from tollgate.gateway.client_format import Encoder, ResponseInfo
from tollgate.gateway.image_generation import IMAGE_EDIT, IMAGE_GENERATION, ImageEditRequest, Images, ImagesRequest
from tollgate.gateway.json_text import dump
from tollgate.gateway.sse import encode
from tollgate.gateway.types import Json, Usage
from tollgate.gateway.uploads import File
from tollgate.gateway.validation import invalid

EDITABLE = ("image/png", "image/jpeg", "image/webp")
"""Types of images that can be edited (API reference, "Create image edit", `image`)."""


class OpenAIImageGenerations:
    """See `gateway.client_format.ClientFormat`."""

    operation = IMAGE_GENERATION
    api_key = staticmethod(bearer_key)
    error = staticmethod(error_body)

    def parse(self, headers: Mapping[str, str], body: bytes) -> tuple[ImagesRequest, Callable[[ResponseInfo], Encoder]]:
        """The request. Raises BadRequestError."""
        return parse_json(headers, body, ImagesRequest), partial(ImagesEncoder, event="image_generation")


class OpenAIImageEdits:
    """See `gateway.client_format.ClientFormat`."""

    operation = IMAGE_EDIT
    api_key = staticmethod(bearer_key)
    error = staticmethod(error_body)

    def parse(self, headers: Mapping[str, str], body: bytes) -> tuple[ImagesRequest, Callable[[ResponseInfo], Encoder]]:
        """The request in a form. Raises BadRequestError, UnsupportedMediaTypeError."""
        request = ImageEditRequest.of(read_form(headers, body, {"image"}), from_text=True)
        for index, file in enumerate(request.image):
            _check_type(file, f"image[{index}]" if len(request.image) > 1 else "image")
        if request.mask is not None:
            _check_type(request.mask, "mask")
        return request, partial(ImagesEncoder, event="image_edit")


def _check_type(file: File, path: str) -> None:
    """Give the file the type that its bytes show: clients send some without one. Raises BadRequestError."""
    media_type = detect_type(bytes(file.content[:12]))
    if media_type not in EDITABLE:
        raise invalid(path, "it is a PNG, a JPEG or a WebP image")
    file.content_type = media_type


class ImagesEncoder(EventEncoder):
    """The images with the usage in OpenAI's fields, or the provider's events; no `[DONE]` follows the last one."""

    media_type = "application/json"

    def __init__(self, info: ResponseInfo, *, event: str) -> None:
        super().__init__(info)
        self._info = info
        self._event = event

    def result(self, result: Images, usage: Usage | None) -> bytes:
        """The response."""
        body: Json = {"created": self._info.created, **result.extra, "data": [*result.data]}
        if usage is not None and usage.input_tokens:
            body.setdefault(
                "usage",
                {
                    "input_tokens": usage.input_tokens,
                    "output_tokens": usage.output_tokens,
                    "total_tokens": usage.input_tokens + usage.output_tokens,
                },
            )
        return dump({**body, "provider": self._info.provider})

    def chunk(self, chunk: AudioEvent | Images) -> bytes:
        """The event; whole images, of a provider that has no stream, as the event that ends one."""
        if isinstance(chunk, AudioEvent):
            return super().chunk(chunk)
        event = {"type": f"{self._event}.completed", "created_at": self._info.created, **chunk.extra}
        return b"".join(encode({**event, **image}) for image in chunk.data)
