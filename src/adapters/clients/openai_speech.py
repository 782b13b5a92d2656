"""OpenAI's speech (API reference, "Create speech"): bytes of audio, or events with it."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from tollgate.adapters.clients.audio_events import EventEncoder
from tollgate.adapters.clients.json_body import parse_json
from tollgate.adapters.clients.openai import bearer_key, error_body
from tollgate.gateway.client_format import ResponseInfo, StreamEncoder
from tollgate.gateway.errors import GatewayError
from tollgate.gateway.speech import SPEECH, AudioPiece, SpeechRequest
from tollgate.gateway.types import Usage

MEDIA_TYPES = {"mp3": "audio/mpeg", "opus": "audio/ogg", "aac": "audio/aac", "flac": "audio/flac", "wav": "audio/wav"}
"""Content types by `response_format`, where the provider's response has none that says it."""


class OpenAISpeech:
    """See `gateway.client_format.ClientFormat`."""

    operation = SPEECH
    api_key = staticmethod(bearer_key)
    error = staticmethod(error_body)

    def parse(
        self, headers: Mapping[str, str], body: bytes
    ) -> tuple[SpeechRequest, Callable[[ResponseInfo], StreamEncoder]]:
        """The request. Raises BadRequestError."""
        request = parse_json(headers, body, SpeechRequest)
        if request.stream_format == "sse":
            return request, EventEncoder
        return request, partial(AudioEncoder, response_format=request.response_format)


class AudioEncoder:
    """The bytes of the provider, with its content type."""

    keep_alive = b""

    def __init__(self, info: ResponseInfo, *, response_format: str) -> None:
        is_named = info.content_type.startswith("audio/")
        self.stream_media_type = info.content_type if is_named else MEDIA_TYPES.get(response_format, "audio/pcm")

    def chunk(self, chunk: AudioPiece) -> bytes:
        """The bytes."""
        return chunk.data

    def end(self, usage: Usage | None, extra: Mapping[str, Any]) -> bytes:
        """Nothing: the body ends."""
        return b""

    def error(self, error: GatewayError) -> None:
        """Audio cannot say that it is broken."""
        return
