"""One attempt at images over OpenAI's API (API reference, "Create image", "Create image edit") and compatible ones."""

from tollgate.adapters.dialects import in_dialect
from tollgate.adapters.event_stream import EventStream
from tollgate.adapters.form_data import encode_form
from tollgate.adapters.json_access import children, encode, parse_object, text
from tollgate.adapters.openai.audio_events import AudioEvents
from tollgate.adapters.openai.chat_response import raise_if_error
from tollgate.adapters.openai.usage import read_usage
from tollgate.adapters.provider_errors import error_from_response, too_long_in
from tollgate.gateway.audio import AudioEvent
from tollgate.gateway.errors import UpstreamError
from tollgate.gateway.image_generation import (
    MAX_RESPONSE_BYTES,
    PARTIAL_IMAGE_TOKENS,
    ImageEditRequest,
    Images,
    ImagesRequest,
    expected_usage,
)
from tollgate.gateway.metering import BYTES_PER_TOKEN
from tollgate.gateway.ports import StreamParser
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json, UpstreamRequest, Usage

CHANGES_THE_RESULT = frozenset({"prompt", "n", "size", "background", "mask", "response_format"})
JSON = {"content-type": "application/json"}
_ENVELOPE = frozenset({"created", "data", "error", "provider"})
"""Top-level fields of a response that the gateway writes itself; the others are relayed."""


class ImagesCall:
    """See `gateway.ports.ProviderCall`."""

    parse_error = staticmethod(too_long_in("prompt", error_from_response))

    def __init__(self, request: ImagesRequest, route: Route) -> None:
        body, dialect = request.wire(), route.provider.quirks.images
        body.pop("stream", None)  # `in_dialect` is for what is not streamed
        stream = {"stream": True} if request.stream and "stream" not in dialect.unsupported else {}
        body, dropped = in_dialect(body, request, route, dialect, CHANGES_THE_RESULT)
        self._is_edit = isinstance(request, ImageEditRequest)
        self._is_streamed = request.stream
        self._expected = expected_usage(request, route)
        self._number = request.n or 1
        url = f"{route.provider.base_url.rstrip('/')}/images/{'edits' if self._is_edit else 'generations'}"
        content, headers = encode_form({**body, **stream}) if self._is_edit else (encode({**body, **stream}), JSON)
        self.request = UpstreamRequest(url, content, headers, dropped=dropped, max_response_bytes=MAX_RESPONSE_BYTES)

    def parse_response(self, body: bytes) -> Images:
        """See ProviderCall. Raises UpstreamError unless there are images."""
        response = parse_object(body)
        raise_if_error(response)
        data = [image for image in children(response, "data") if text(image, "b64_json") or text(image, "url")]
        if not data:
            raise UpstreamError("The provider returned no image.", code="unusable_response")
        size = self._expected.output_tokens * BYTES_PER_TOKEN * len(data) // self._number
        return Images(data, self._usage(response, len(data)), _relayed(response), text_bytes=size)

    def open_stream(self) -> StreamParser[AudioEvent] | None:
        """See ProviderCall. A response to a request without `stream` is read whole."""
        if not self._is_streamed:
            return None
        last = "image_edit.completed" if self._is_edit else "image_generation.completed"
        size = PARTIAL_IMAGE_TOKENS * BYTES_PER_TOKEN
        return EventStream(AudioEvents(last, lambda event: self._usage(event, 1), lambda _: size))

    def _usage(self, response: Json, images: int) -> Usage | None:
        """The images, if these alone are what the model costs, or the tokens that the provider reports with them."""
        if not self._expected.output_tokens:
            return Usage(images=images)
        return read_usage(response)


def _relayed(response: Json) -> Json:
    return {name: value for name, value in response.items() if name not in _ENVELOPE}
