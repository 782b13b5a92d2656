"""One attempt at transcription or translation of speech over OpenAI's API (API reference, "Audio") and compatible
servers."""

import math
from typing import Any, cast

from tollgate.adapters.dialects import in_dialect
from tollgate.adapters.event_stream import EventStream
from tollgate.adapters.form_data import encode_form
from tollgate.adapters.json_access import child, count, parse, parse_object, text
from tollgate.adapters.openai.audio_events import AudioEvents
from tollgate.adapters.openai.chat_response import raise_if_error
from tollgate.adapters.openai.usage import read_usage
from tollgate.adapters.provider_errors import error_from_response, too_long_in
from tollgate.gateway.audio import AudioEvent
from tollgate.gateway.errors import UpstreamError
from tollgate.gateway.ports import StreamParser
from tollgate.gateway.routing import Route
from tollgate.gateway.transcriptions import JSON_FORMATS, Transcript, TranslationRequest, is_billed_by_time
from tollgate.gateway.types import Json, UpstreamRequest, Usage, utf8_length

CHANGES_THE_RESULT = frozenset({"language", "response_format", "timestamp_granularities"})
MAX_SECONDS = 1_000_000
"""More than a file can have: what a provider reports beyond it is no length."""


class TranscriptionCall:
    """See `gateway.ports.ProviderCall`."""

    parse_error = staticmethod(too_long_in("file", error_from_response))
    path = "audio/transcriptions"

    def __init__(self, request: TranslationRequest, route: Route) -> None:
        fields = {name: value for name, value in request.wire().items() if name != "stream"}
        dialect = route.provider.quirks.transcriptions
        if fields.get("response_format") == "json" and "response_format" in dialect.unsupported:
            del fields["response_format"]  # JSON is every server's default
        fields, dropped = in_dialect(fields, request, route, dialect, CHANGES_THE_RESULT)
        if request.stream and "stream" not in dialect.unsupported:
            fields["stream"] = True
        body, headers = encode_form(fields)
        url = f"{route.provider.base_url.rstrip('/')}/{self.path}"
        self.request = UpstreamRequest(url, body, headers, dropped=dropped)
        self._is_json = request.response_format in JSON_FORMATS
        self._is_stream = request.stream
        self._by_time = is_billed_by_time(route)

    def parse_response(self, body: bytes) -> Transcript:
        """See ProviderCall. Raises UpstreamError for JSON without a text, and the error that a response reports."""
        value = parse_object(body) if self._is_json else _object_in(body)
        if value is None:
            plain = body.decode(errors="replace")
            if plain.lstrip()[:1] == "<":
                raise UpstreamError("The provider's response is a page and no transcript.", code="unusable_response")
            return Transcript(plain, text_bytes=self._length(plain))
        raise_if_error(value)
        transcript: Any = value.get("text")
        if not isinstance(transcript, str):  # silence has an empty text
            raise UpstreamError("The provider's response has no transcript.", code="unusable_response")
        length = self._length(transcript)
        return Transcript(value if self._is_json else transcript, self._usage(value), length)

    def open_stream(self) -> StreamParser[AudioEvent] | None:
        """See ProviderCall."""
        if not self._is_stream:
            return None
        return EventStream(
            AudioEvents("transcript.text.done", self._usage, lambda event: self._length(text(event, "delta") or ""))
        )

    def _length(self, transcript: str) -> int:
        """What the text adds to the bill, if only its tokens are billed."""
        return 0 if self._by_time else utf8_length(transcript)

    def _usage(self, response: Json) -> Usage | None:
        """Tokens, or seconds: `usage` of type `duration`, Mistral's `prompt_audio_seconds`, or `duration` of
        verbose_json, which some servers send as text."""
        fields = child(response, "usage")
        if not self._by_time:
            usage, audio = read_usage(response), count(child(fields, "input_token_details"), "audio_tokens")
            return usage._replace(input_audio_tokens=min(audio, usage.input_tokens)) if usage and audio else usage
        reported = (fields.get("seconds"), fields.get("prompt_audio_seconds"), response.get("duration"))
        seconds = next((found for value in reported if (found := _seconds(value))), 0)
        return Usage(seconds=seconds) if seconds else None


class TranslationCall(TranscriptionCall):
    """The same for a translation into English."""

    path = "audio/translations"


def _seconds(value: Any) -> int:
    """Whole seconds, rounded up as OpenAI does; 0 for what is no length."""
    try:
        seconds = float(value)
    except (TypeError, ValueError, OverflowError):
        return 0
    return math.ceil(seconds) if 0 < seconds <= MAX_SECONDS else 0


def _object_in(body: bytes) -> Json | None:
    """The object with the text, where a server sends JSON although text is requested; None if the body is the text."""
    try:
        value = parse(body)
    except UpstreamError:
        return None
    if isinstance(value, str):
        return {"text": value}
    return cast(Json, value) if isinstance(value, dict) else None
