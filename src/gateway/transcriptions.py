"""The operations that turn speech into text: their requests, their result (OpenAI, "Create transcription"), and what
they reserve."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from msgspec import Meta

from tollgate.gateway.operations import InputOperation
from tollgate.gateway.request_body import RequestBody
from tollgate.gateway.routing import Route
from tollgate.gateway.types import Json, Usage
from tollgate.gateway.uploads import File

TOKENS_PER_SECOND = 10
TEXT_TOKENS_PER_SECOND = 7.5
"""Tokens of a second of audio at OpenAI, and of its text: with gpt-4o-transcribe a minute costs about 0.006 USD, at
2.50 and 10 USD per million (OpenAI, "Pricing")."""
BYTES_PER_SECOND = 4_000
"""Of speech at 32 kbit/s, which is as much as it is usually compressed: unknown audio is not taken as shorter."""
MAX_WAV_BYTES_PER_SECOND = 768_000
"""Two channels of 16 bits at 192 kHz: a header that states more is not believed, because the client pays by it."""
_WAV_HEADER_BYTES = 44
JSON_FORMATS = frozenset({"json", "verbose_json", "diarized_json"})


class TranslationRequest(RequestBody, frozen=True, kw_only=True):
    """The fields of `POST /v1/audio/translations`."""

    file: File
    prompt: str | None = None
    response_format: Literal["json", "text", "srt", "verbose_json", "vtt", "diarized_json"] = "json"
    temperature: Annotated[float, Meta(ge=0, le=1)] | None = None
    stream: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.file.content.nbytes:
            raise ValueError("file: it is empty")
        if self.stream and self.response_format not in JSON_FORMATS:
            raise ValueError("stream: only JSON can be streamed; response_format is a text")


class TranscriptionRequest(TranslationRequest, frozen=True, kw_only=True):
    """The fields of `POST /v1/audio/transcriptions`."""

    language: str | None = None
    timestamp_granularities: list[Literal["word", "segment"]] | None = None
    include: list[str] | None = None


@dataclass(frozen=True, slots=True)
class Transcript:
    """A whole answer: an object with the `text`, or a text in one of the formats. See `gateway.types.Result`."""

    body: Json | str
    usage: Usage | None = None
    text_bytes: int = 0
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])
    finish_reason: str = "stop"
    has_content: bool = True


def is_billed_by_time(route: Route) -> bool:
    """Whether the model costs seconds of audio, not tokens."""
    return route.prices is not None and "seconds" in route.prices.usd_per_unit


def seconds_of(file: File) -> int:
    """About how long the audio is, rounded up. Exact for uncompressed WAV: its header has the bytes of a second
    (Microsoft, "Multimedia Programming Interface and Data Specifications 1.0", `nAvgBytesPerSec`)."""
    content, per_second = file.content, BYTES_PER_SECOND
    if bytes(content[:4]) == b"RIFF" and bytes(content[8:16]) == b"WAVEfmt ":
        stated = int.from_bytes(content[28:32], "little")
        per_second = stated if BYTES_PER_SECOND <= stated <= MAX_WAV_BYTES_PER_SECOND else BYTES_PER_SECOND
    return max(1, math.ceil(max(0, content.nbytes - _WAV_HEADER_BYTES) / per_second))


def _expected(request: TranslationRequest, route: Route) -> Usage:
    seconds = seconds_of(request.file)
    if is_billed_by_time(route):
        return Usage(seconds=seconds)
    return Usage(seconds * TOKENS_PER_SECOND, math.ceil(seconds * TEXT_TOKENS_PER_SECOND))


TRANSCRIPTIONS = InputOperation("transcriptions", _expected, text_fields=("prompt",), grows=True)
TRANSLATIONS = InputOperation("translations", _expected, text_fields=("prompt",), grows=True)
"""See `gateway.operations.Operation`."""
