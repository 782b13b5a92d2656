"""One attempt at speech over OpenAI's API (API reference, "Create speech") and compatible servers."""

from collections.abc import Iterator

from tollgate.adapters.dialects import in_dialect
from tollgate.adapters.event_stream import EventStream
from tollgate.adapters.json_access import encode, parse_object
from tollgate.adapters.openai.audio_events import AudioEvents
from tollgate.adapters.openai.chat_response import raise_if_error
from tollgate.adapters.openai.usage import read_usage
from tollgate.adapters.provider_errors import error_from_response, too_long_in
from tollgate.gateway.audio import AudioEvent
from tollgate.gateway.errors import UpstreamError
from tollgate.gateway.metering import BYTES_PER_TOKEN
from tollgate.gateway.ports import StreamParser
from tollgate.gateway.routing import Route
from tollgate.gateway.speech import AudioPiece, SpeechRequest, expected_usage
from tollgate.gateway.types import Result, UpstreamRequest, Usage

CHANGES_THE_RESULT = frozenset({"input", "voice", "instructions", "response_format", "speed", "stream_format"})
_AUDIO = ("audio/", "application/octet-stream", "binary/octet-stream")
"""How the content types of audio begin; some servers label it as bytes of any kind."""


class SpeechCall:
    """See `gateway.ports.ProviderCall`."""

    parse_error = staticmethod(too_long_in("input", error_from_response))

    def __init__(self, request: SpeechRequest, route: Route) -> None:
        dialect = route.provider.quirks.speech
        body, dropped = in_dialect(request.wire(), request, route, dialect, CHANGES_THE_RESULT)
        url = f"{route.provider.base_url.rstrip('/')}/audio/speech"
        self._is_event_stream = request.stream_format == "sse"
        binary_types = () if self._is_event_stream else _AUDIO
        self.request = UpstreamRequest(url, encode(body), dropped=dropped, binary_types=binary_types)
        self._expected = expected_usage(request, route)

    def parse_response(self, body: bytes) -> Result:
        """See ProviderCall. A response that is not audio is an error, with the provider's reason if it has one."""
        try:
            response = parse_object(body)
        except UpstreamError:
            response = {}
        raise_if_error(response)
        raise UpstreamError("The provider's response is not audio.", code="unusable_response")

    def open_stream(self) -> StreamParser[AudioPiece | AudioEvent]:
        """See ProviderCall."""
        reported = self._expected if self._expected.characters else None
        size = self._expected.output_tokens * BYTES_PER_TOKEN
        if not self._is_event_stream:
            return AudioStream(reported, size)
        sizes = iter((size,))  # what is made of the text is counted with the first piece, as in AudioStream
        events = AudioEvents("speech.audio.done", lambda event: reported or read_usage(event), lambda _: next(sizes, 0))
        return EventStream(events)


class AudioStream:
    """Passes bytes on. See `gateway.ports.StreamParser`.

    No usage is in them. The first piece reports what is known from the request, or else is measured as the whole.
    """

    done = False
    grace = None

    def __init__(self, usage: Usage | None, text_bytes: int) -> None:
        self._usage = usage
        self._text_bytes = text_bytes

    def feed(self, data: bytes) -> Iterator[AudioPiece]:
        """See StreamParser."""
        if data:
            yield AudioPiece(data, self._usage, self._text_bytes)
            self._usage, self._text_bytes = None, 0

    def close(self) -> Iterator[AudioPiece]:
        """See StreamParser. A body that is cut raises while it is read."""
        return iter(())
