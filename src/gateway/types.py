"""The vocabulary: what clients send and what every family's answer is turned into, in OpenAI's wire names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Annotated, Any, Literal, NotRequired, Required, cast

from pydantic import BaseModel, ConfigDict, Field, with_config
from typing_extensions import TypedDict  # pydantic asks for this one below Python 3.12

Json = dict[str, Any]

MAX_MESSAGES = 10_000
MAX_PARTS = 2_000
MAX_TOOL_CALLS = 1_000
MAX_TOOLS = 1_000
MAX_STOPS = 64
"""More of these no provider takes (OpenAI's API reference, "Create chat completion": 128 tools, 4 stop sequences)."""


@with_config(extra="allow", strict=True)
class ContentPart(TypedDict, total=False):
    """One part of a message's content; `type` tells which of the other fields is there."""

    type: Required[str]
    text: str | None
    image_url: Json | None
    input_audio: Json | None
    file: Json | None


@with_config(extra="allow", strict=True)
class Message(TypedDict, total=False):
    """One message of a conversation. Fields the gateway does not read are kept and passed on."""

    role: Required[Literal["system", "developer", "user", "assistant", "tool", "function"]]
    content: NotRequired[str | Annotated[list[ContentPart], Field(max_length=MAX_PARTS, fail_fast=True)] | None]
    tool_calls: Annotated[list[Json], Field(max_length=MAX_TOOL_CALLS, fail_fast=True)] | None
    tool_call_id: str | None


@with_config(extra="allow", strict=True)
class StreamOptions(TypedDict, total=False):
    """How a stream is sent; `include_usage` asks for one last chunk that carries the usage."""

    include_usage: bool | None


class ChatRequest(BaseModel):
    """The body of `POST /v1/chat/completions` (OpenAI API reference, "Create chat completion").

    Only what the gateway itself reads is declared; every other field is kept as the client sent it. Top-level nulls
    are taken out before validation, because OpenAI's clients send null for "not given".
    """

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    model: Annotated[str, Field(min_length=1, max_length=256)]
    messages: Annotated[list[Message], Field(min_length=1, max_length=MAX_MESSAGES, fail_fast=True)]
    stream: bool = False
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    n: Annotated[int, Field(ge=1, le=128)] | None = None
    stop: str | Annotated[list[str], Field(max_length=MAX_STOPS, fail_fast=True)] | None = None
    tools: Annotated[list[Json], Field(max_length=MAX_TOOLS, fail_fast=True)] | None = None
    tool_choice: str | Json | None = None
    response_format: Json | None = None

    @property
    def wants_usage_chunk(self) -> bool:
        """Whether the client asked for the extra last chunk with the usage of a stream, in OpenAI's way or OpenRouter's
        (`usage.include`; its documentation, "Usage Accounting").
        """
        asked: Any = (self.model_extra or {}).get("usage")
        included = isinstance(asked, dict) and cast(Json, asked).get("include") is True
        return included or bool(self.stream_options and self.stream_options.get("include_usage"))

    @property
    def has_functions(self) -> bool:
        """Whether the client declares its tools as `functions`, which OpenAI had before `tools`."""
        return bool((self.model_extra or {}).get("functions")) and not self.tools

    @property
    def output_limit(self) -> int | None:
        """The most tokens the client wants answered, under either of the field's two names."""
        return self.max_completion_tokens or self.max_tokens

    def wire(self) -> Json:
        """The body as the client meant it: what was given, without what was null."""
        return self.model_dump(exclude_unset=True)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer. `input_tokens` includes cached and cache-write; `output_tokens` includes reasoning.

    `cache_write_1h_tokens` are those of `cache_write_tokens` that were written for an hour, `cached_audio_tokens` those
    that are both cached and audio. `cost_usd` is what the provider itself says the answer cost, where it says so.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    input_audio_tokens: int = 0
    reasoning_tokens: int = 0
    output_audio_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0
    cache_write_1h_tokens: int = 0
    cached_audio_tokens: int = 0
    cost_usd: Decimal | None = None

    def to_wire(self) -> Json:
        """OpenAI's `CompletionUsage` object."""
        return {
            "prompt_tokens": self.input_tokens,
            "completion_tokens": self.output_tokens,
            "total_tokens": self.input_tokens + self.output_tokens,
            "prompt_tokens_details": {
                "cached_tokens": self.cached_tokens,
                "cache_write_tokens": self.cache_write_tokens,
                "audio_tokens": self.input_audio_tokens,
            },
            "completion_tokens_details": {
                "reasoning_tokens": self.reasoning_tokens,
                "audio_tokens": self.output_audio_tokens,
                "accepted_prediction_tokens": self.accepted_prediction_tokens,
                "rejected_prediction_tokens": self.rejected_prediction_tokens,
            },
        }

    def larger(self, other: "Usage") -> "Usage":
        """Of two cumulative tellings, the larger count each; what is no count, as told last."""
        merged: dict[str, Any] = {}
        for f in fields(self):
            told = [value for value in (getattr(self, f.name), getattr(other, f.name)) if value is not None]
            is_count = all(isinstance(value, int | Decimal) for value in told)
            merged[f.name] = (max(told) if is_count else told[-1]) if told else None
        return Usage(**merged)

    def counts(self) -> dict[str, int]:
        """Every count by its name, for records and metrics."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "cost_usd"}


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole answer as an adapter reads it: OpenAI `choices`, without the envelope the gateway puts around them.

    `extra` holds further top-level fields to relay (`system_fingerprint`, `service_tier`).
    """

    choices: Sequence[Json]
    usage: Usage | None = None
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Chunk:
    """One step of a streamed answer as a parser reads it; `choices` may be empty when it only brings usage."""

    choices: Sequence[Json] = ()
    usage: Usage | None = None
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """One HTTP call to a provider, without its credential: that is added on the way out.

    `dropped` names what the client asked for and this provider is not told: a field (`seed`), or with the value it got
    instead (`temperature=1`).
    """

    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})
    method: str = "POST"
    dropped: tuple[str, ...] = ()
