"""OpenAI's transcriptions and translations of speech (API reference, "Audio")."""

from collections.abc import Callable, Mapping
from functools import partial

from tollgate.adapters.clients.audio_events import EventEncoder
from tollgate.adapters.clients.multipart import read_form
from tollgate.adapters.clients.openai import bearer_key, error_body
from tollgate.gateway.audio import AudioEvent
from tollgate.gateway.client_format import Encoder, ResponseInfo
from tollgate.gateway.json_text import dump
from tollgate.gateway.sse import encode
from tollgate.gateway.transcriptions import (
    TRANSCRIPTIONS,
    TRANSLATIONS,
    Transcript,
    TranscriptionRequest,
    TranslationRequest,
)
from tollgate.gateway.types import Usage

LISTS = frozenset({
    "timestamp_granularities", "include", "known_speaker_names", "known_speaker_references", "keywords", "languages",
})  # fmt: skip
"""Fields that may be repeated."""
_TEXT_TYPES = {"text": "text/plain; charset=utf-8", "srt": "text/plain; charset=utf-8", "vtt": "text/vtt"}


class OpenAITranscriptions:
    """See `gateway.client_format.ClientFormat`."""

    operation = TRANSCRIPTIONS
    api_key = staticmethod(bearer_key)
    error = staticmethod(error_body)
    request_type: type[TranslationRequest] = TranscriptionRequest

    def parse(
        self, headers: Mapping[str, str], body: bytes
    ) -> tuple[TranslationRequest, Callable[[ResponseInfo], Encoder]]:
        """The request. Raises BadRequestError, UnsupportedMediaTypeError."""
        request = self.request_type.of(read_form(headers, body, LISTS), from_text=True)
        return request, partial(TranscriptEncoder, response_format=request.response_format)


class OpenAITranslations(OpenAITranscriptions):
    """See `gateway.client_format.ClientFormat`."""

    operation = TRANSLATIONS
    request_type = TranslationRequest


class TranscriptEncoder(EventEncoder):
    """The provider's object, text or events."""

    def __init__(self, info: ResponseInfo, *, response_format: str) -> None:
        super().__init__(info)
        self.media_type = _TEXT_TYPES.get(response_format, "application/json")

    def result(self, result: Transcript, usage: Usage | None) -> bytes:
        """The answer, as the provider wrote it."""
        return result.body.encode() if isinstance(result.body, str) else dump(result.body)

    def chunk(self, chunk: AudioEvent | Transcript) -> bytes:
        """An event; the last one for the answer of a model that does not stream."""
        if isinstance(chunk, AudioEvent):
            return super().chunk(chunk)
        assert isinstance(chunk.body, dict)
        return encode({"type": "transcript.text.done", **chunk.body})
