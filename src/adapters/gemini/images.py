"""One attempt at an image over generateContent (Gemini API documentation, "Image generation")."""

import base64
from urllib.parse import quote

from tollgate.adapters.dropped_params import DroppedParams
from tollgate.adapters.gemini.chat_response import candidates_of, generate_usage, raise_if_error
from tollgate.adapters.image_sizes import aspect_ratio
from tollgate.adapters.json_access import child, children, encode, parse_object, text
from tollgate.adapters.provider_errors import error_from_response
from tollgate.gateway.errors import BadRequestError, UpstreamError
from tollgate.gateway.image_generation import MAX_RESPONSE_BYTES, Images, ImagesRequest
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json, UpstreamRequest

RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
"""API reference, "ImageConfig", `aspectRatio`."""
_READ = frozenset({"model", "prompt", "n", "size", "stream", "image", "provider"})
_NEUTRAL = ("auto", "b64_json", None)
_REFUSED = ("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "NO_IMAGE", "SAFETY", "PROHIBITED_CONTENT")
"""API reference, "FinishReason": the model makes no image of this prompt."""


class ImagesCall:
    """See `gateway.ports.ProviderCall`."""

    parse_error = staticmethod(error_from_response)

    def __init__(self, request: ImagesRequest, route: Route) -> None:
        dropped = DroppedParams(request)
        for name, value in request.wire().items():
            if name not in _READ and value not in _NEUTRAL:
                dropped.drop(name)
        url = f"{route.provider.base_url.rstrip('/')}/models/{quote(route.upstream_model, safe='')}:generateContent"
        body = encode(_body(request))
        self.request = UpstreamRequest(url, body, dropped=dropped.names, max_response_bytes=MAX_RESPONSE_BYTES)

    def parse_response(self, body: bytes) -> Images:
        """See ProviderCall. Raises BadRequestError if the model refuses the prompt, UpstreamError for no image."""
        response = parse_object(body)
        raise_if_error(response)
        candidates = candidates_of(response)
        parts = [part for each in candidates for part in children(child(each, "content"), "parts")]
        found = [text(child(part, "inlineData"), "data") for part in parts if part.get("thought") is not True]
        data: list[Json] = [{"b64_json": image} for image in found if image]
        if not data:
            if any(text(each, "finishReason") in _REFUSED for each in candidates):
                message = "The provider's safety system refused to make an image of this prompt."
                raise BadRequestError(message, param="prompt", code="content_policy_violation")
            raise UpstreamError("The provider returned no image.", code="unusable_response")
        return Images(data, generate_usage(response))

    def open_stream(self) -> None:
        """Images are not streamed."""
        return


def _body(request: ImagesRequest) -> Json:
    """The images to edit come before the prompt."""
    sources: list[Json] = [
        {"inlineData": {"mimeType": file.content_type, "data": base64.b64encode(file.content).decode("ascii")}}
        for file in request.sources
    ]
    config: Json = {"responseModalities": ["IMAGE"]}
    if ratio := aspect_ratio(request.size, RATIOS):
        config["imageConfig"] = {"aspectRatio": ratio}
    contents = [{"role": "user", "parts": [*sources, {"text": request.prompt}]}]
    return {"contents": contents, "generationConfig": config}
