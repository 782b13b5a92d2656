"""One attempt at an image over InvokeModel with Stability's models (AWS, Amazon Bedrock User Guide, "Stability AI")."""

from typing import Any, cast
from urllib.parse import quote

from tollgate.adapters.bedrock.errors import parse_error
from tollgate.adapters.dropped_params import DroppedParams
from tollgate.adapters.image_sizes import aspect_ratio
from tollgate.adapters.json_access import encode, parse_object
from tollgate.gateway.errors import BadRequestError, UpstreamError
from tollgate.gateway.image_generation import MAX_RESPONSE_BYTES, Images, ImagesRequest
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json, UpstreamRequest, Usage

RATIOS = ("1:1", "2:3", "3:2", "4:5", "5:4", "9:16", "16:9", "9:21", "21:9")
_PASSED_ON = ("negative_prompt", "seed")
_READ = frozenset({"model", "prompt", "n", "size", "stream", "output_format", "provider", *_PASSED_ON})
_NEUTRAL = ("auto", "b64_json", None)


class ImagesCall:
    """See `gateway.ports.ProviderCall`."""

    parse_error = staticmethod(parse_error)

    def __init__(self, request: ImagesRequest, route: Route) -> None:
        dropped = DroppedParams(request)
        for name, value in request.wire().items():
            if name not in _READ and value not in _NEUTRAL:
                dropped.drop(name)
        body: Json = {"prompt": request.prompt, "mode": "text-to-image"}
        body |= {name: request.extra[name] for name in _PASSED_ON if name in request.extra}
        if ratio := aspect_ratio(request.size, RATIOS):
            body["aspect_ratio"] = ratio
        if request.output_format in ("png", "jpeg"):
            body["output_format"] = request.output_format
        elif request.output_format is not None:
            dropped.drop("output_format")
        url = f"{route.provider.base_url.rstrip('/')}/model/{quote(route.upstream_model, safe='')}/invoke"
        self.request = UpstreamRequest(url, encode(body), dropped=dropped.names, max_response_bytes=MAX_RESPONSE_BYTES)

    def parse_response(self, body: bytes) -> Images:
        """See ProviderCall. A reason beside an image means that a filter has replaced it."""
        response = parse_object(body)
        images, reasons = _list(response, "images"), _list(response, "finish_reasons")
        if any(isinstance(reason, str) for reason in reasons):
            message = "The provider's filter refused to make an image of this prompt."
            raise BadRequestError(message, param="prompt", code="content_policy_violation")
        data: list[Json] = [{"b64_json": image} for image in images if isinstance(image, str) and image]
        if not data:
            raise UpstreamError("The provider returned no image.", code="unusable_response")
        return Images(data, Usage(images=len(data)))

    def open_stream(self) -> None:
        """Images are not streamed."""
        return


def _list(response: Json, name: str) -> list[Any]:
    value = response.get(name)
    return cast("list[Any]", value) if isinstance(value, list) else []
