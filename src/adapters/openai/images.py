"""One attempt at images over OpenAI's API (API reference, "Create image", "Create image edit") and compatible ones."""

from tollgate.adapters.dialects import in_dialect
from tollgate.adapters.form_data import encode_form
from tollgate.adapters.json_access import children, encode, parse_object, text
from tollgate.adapters.openai.chat_response import raise_if_error
from tollgate.adapters.openai.usage import read_usage
from tollgate.adapters.provider_errors import error_from_response, too_long_in
from tollgate.gateway.errors import UpstreamError
from tollgate.gateway.image_generation import MAX_RESPONSE_BYTES, ImageEditRequest, Images, ImagesRequest
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json, UpstreamRequest, Usage

CHANGES_THE_RESULT = frozenset({"prompt", "n", "size", "background", "mask", "response_format"})
_ENVELOPE = frozenset({"created", "data", "error", "provider"})
"""Top-level fields of a response that the gateway writes itself; the others are relayed."""


class ImagesCall:
    """See `gateway.ports.ProviderCall`."""

    parse_error = staticmethod(too_long_in("prompt", error_from_response))

    def __init__(self, request: ImagesRequest, route: Route) -> None:
        body, dropped = in_dialect(request.wire(), request, route, route.provider.quirks.images, CHANGES_THE_RESULT)
        url = f"{route.provider.base_url.rstrip('/')}/images"
        if isinstance(request, ImageEditRequest):
            content, headers = encode_form(body)
            self.request = UpstreamRequest(
                f"{url}/edits", content, headers, dropped=dropped, max_response_bytes=MAX_RESPONSE_BYTES
            )
        else:
            self.request = UpstreamRequest(
                f"{url}/generations", encode(body), dropped=dropped, max_response_bytes=MAX_RESPONSE_BYTES
            )

    def parse_response(self, body: bytes) -> Images:
        """See ProviderCall. Raises UpstreamError unless there are images."""
        response = parse_object(body)
        raise_if_error(response)
        data = [image for image in children(response, "data") if text(image, "b64_json") or text(image, "url")]
        if not data:
            raise UpstreamError("The provider returned no image.", code="unusable_response")
        usage = (read_usage(response) or Usage())._replace(images=len(data))
        return Images(data, usage, _relayed(response))

    def open_stream(self) -> None:
        """Images are not streamed."""
        return


def _relayed(response: Json) -> Json:
    return {name: value for name, value in response.items() if name not in _ENVELOPE}
