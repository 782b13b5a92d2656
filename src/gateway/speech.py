"""The speech operation: its request, the pieces of its audio (OpenAI, "Create speech"), and what it reserves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypedDict

from msgspec import Meta

from tollgate.gateway.metering import estimate_tokens
from tollgate.gateway.operations import InputOperation
from tollgate.gateway.request_body import RequestBody
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Usage, utf8_length

TOKENS_PER_CHARACTER = 1.35
"""About how many tokens of audio a character of text has: 15 characters of English are spoken in a second, and a minute
has 1,250 tokens, by OpenAI's prices of gpt-4o-mini-tts: 12 USD per million tokens, about 0.015 USD per minute."""


class OwnVoice(TypedDict):
    """A voice that the client has made at the provider."""

    id: Annotated[str, Meta(min_length=1)]


class SpeechRequest(RequestBody, frozen=True, kw_only=True):
    """The body of `POST /v1/audio/speech`."""

    input: Annotated[str, Meta(min_length=1)]
    voice: Annotated[str, Meta(min_length=1)] | OwnVoice
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    speed: Annotated[float, Meta(ge=0.25, le=4)] = 1
    instructions: str | None = None
    stream_format: Literal["audio", "sse"] = "audio"

    @property
    def stream(self) -> bool:
        """Audio is always passed on as it comes."""
        return True


@dataclass(frozen=True, slots=True)
class AudioPiece:
    """Some bytes of the audio. See `gateway.types.Result`."""

    data: bytes
    usage: Usage | None = None
    text_bytes: int = 0
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])
    finish_reason: None = None
    has_content: bool = True


def expected_usage(request: SpeechRequest, route: Route) -> Usage:
    """The characters, if these are what the model costs, or about the tokens of text and audio."""
    characters, prices = len(request.input), route.prices
    if prices is not None and "characters" in prices.usd_per_unit:
        return Usage(characters=characters)
    text = utf8_length(request.input) + utf8_length(request.instructions or "")
    return Usage(estimate_tokens(text), round(characters * TOKENS_PER_CHARACTER))


SPEECH = InputOperation("speech", expected_usage, text_fields=("input", "instructions"))
"""See `gateway.operations.Operation`."""
