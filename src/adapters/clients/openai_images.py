"""OpenAI's Images (API reference, "Create image" and "Create image edit")."""

from collections.abc import Callable, Mapping

from tollgate.adapters.clients.json_body import parse_json
from tollgate.adapters.clients.multipart import read_form
from tollgate.adapters.clients.openai import bearer_key, error_body
from tollgate.adapters.dropped_params import unsupported
from tollgate.gateway.client_format import Encoder, ResponseInfo
from tollgate.gateway.image_generation import IMAGE_EDIT, IMAGE_GENERATION, ImageEditRequest, Images, ImagesRequest
from tollgate.gateway.json_text import dump
from tollgate.gateway.types import Json, Usage


class OpenAIImageGenerations:
    """See `gateway.client_format.ClientFormat`."""

    operation = IMAGE_GENERATION
    api_key = staticmethod(bearer_key)
    error = staticmethod(error_body)

    def parse(self, headers: Mapping[str, str], body: bytes) -> tuple[ImagesRequest, Callable[[ResponseInfo], Encoder]]:
        """The request. Raises BadRequestError."""
        return _checked(parse_json(body, ImagesRequest)), ImagesEncoder


class OpenAIImageEdits:
    """See `gateway.client_format.ClientFormat`."""

    operation = IMAGE_EDIT
    api_key = staticmethod(bearer_key)
    error = staticmethod(error_body)

    def parse(self, headers: Mapping[str, str], body: bytes) -> tuple[ImagesRequest, Callable[[ResponseInfo], Encoder]]:
        """The request in a form. Raises BadRequestError, UnsupportedMediaTypeError."""
        form = read_form(headers, body, {"image"})
        return _checked(ImageEditRequest.of(form, from_text=True)), ImagesEncoder


class ImagesEncoder:
    """The images with the usage in OpenAI's fields."""

    media_type = "application/json"

    def __init__(self, info: ResponseInfo) -> None:
        self._info = info

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


def _checked(request: ImagesRequest) -> ImagesRequest:
    if request.extra.get("stream") not in (None, False, "false"):
        raise unsupported("stream", "The gateway does not stream images yet; leave stream out.")
    return request
