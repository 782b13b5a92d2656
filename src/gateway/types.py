"""Types that every operation uses: JSON, what was used, and a request to a provider."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import reduce
from typing import Any, Literal, NamedTuple, Protocol, get_args

Json = dict[str, Any]


Unit = Literal["images", "seconds", "characters", "searches"]
"""What is billed beside tokens: images made, seconds of audio, characters spoken, searches run (of the
web, or units of a reranker's search)."""
UNITS: tuple[Unit, ...] = get_args(Unit)


class Usage(NamedTuple):
    """What one response used: tokens, and other units that providers bill (see Unit).

    `input_tokens` includes cached and cache-write tokens, and those of audio and images; `output_tokens` includes
    reasoning. `cache_write_1h_tokens` are those of `cache_write_tokens` that are cached for an hour,
    `cached_audio_tokens` those that are both cached and audio. `cost_usd` is what the provider itself says the response
    cost, if it does.
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
    input_image_tokens: int = 0
    images: int = 0
    seconds: int = 0
    characters: int = 0
    searches: int = 0
    cost_usd: Decimal | None = None

    def to_wire(self) -> Json:
        """OpenAI's `CompletionUsage` object, with the cost if it is known: OpenRouter's guide "Usage Accounting"."""
        cost = None if self.cost_usd is None else float(self.cost_usd)
        priced = {} if cost is None else {"cost": cost, "cost_details": {"upstream_inference_cost": cost}}
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
            **priced,
        }

    def larger(self, other: "Usage") -> "Usage":
        """Combines two cumulative reports: the larger of each count and of the cost."""
        cost, other_cost = self.cost_usd, other.cost_usd
        if cost is None or (other_cost is not None and other_cost > cost):
            cost = other_cost
        return Usage._make((*map(max, self[:-1], other[:-1]), cost))

    def plus(self, other: "Usage") -> "Usage":
        """The sum of two responses' usage; its cost is known if both are."""
        costs = (self.cost_usd, other.cost_usd)
        cost = None if None in costs else sum(filter(None, costs), Decimal(0))
        return Usage._make((*map(int.__add__, self[:-1], other[:-1]), cost))

    @property
    def has_units(self) -> bool:
        """Whether anything was used that is billed beside tokens."""
        return any(getattr(self, unit) for unit in UNITS)

    def counts(self) -> dict[str, int]:
        """Every count by its name, for records and metrics."""
        return dict(zip(self._fields[:-1], self[:-1], strict=True))


def add_usages(usages: Sequence[Usage | None]) -> Usage | None:
    """The sum, of at least one; None if one of them is not known."""
    known = [usage for usage in usages if usage is not None]
    return reduce(Usage.plus, known) if len(known) == len(usages) else None


class Request(Protocol):
    """What every operation's request has."""

    @property
    def model(self) -> str:
        """The name of the model that the client requests."""
        ...

    @property
    def stream(self) -> bool:
        """Whether the client requests a stream."""
        ...

    @property
    def extra(self) -> Json:
        """Fields that the gateway does not declare, as the client sent them."""
        ...


class Result(Protocol):
    """What accounting reads of an operation's whole response, or of one chunk of it."""

    @property
    def usage(self) -> Usage | None:
        """What the provider says was used; None if this part does not say."""
        ...

    @property
    def extra(self) -> Mapping[str, Any]:
        """Further top-level fields, which are relayed (`service_tier`)."""
        ...

    @property
    def has_content(self) -> bool:
        """Whether it carries any part of the answer, and not only usage."""
        ...

    @property
    def finish_reason(self) -> str | None:
        """Why the answer ended, if this part says so."""
        ...

    @property
    def text_bytes(self) -> int:
        """The length of its text, in bytes of UTF-8: the measure of what was delivered."""
        ...


MAX_RESPONSE_BYTES = 16 * 1024 * 1024
"""Maximum size of a whole response: an image has some megabytes, text some hundred kilobytes. When it is parsed, it
takes far more memory."""


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """One HTTP request to a provider, without its credential, which `upstream` adds.

    `dropped` names parameters that are not sent (`seed`), or sent with another value (`temperature=1`). A whole
    response with more than `max_response_bytes` is an error. With `binary_types`, which are beginnings of content
    types, the response is bytes of such a type, which are passed on as they come, and anything else is an error.
    """

    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})
    method: str = "POST"
    dropped: tuple[str, ...] = ()
    max_response_bytes: int = MAX_RESPONSE_BYTES
    binary_types: tuple[str, ...] = ()


def utf8_length(text: str) -> int:
    """The length of a text in bytes of UTF-8, which estimates of tokens are made from (see gateway.metering)."""
    if text.isascii():
        return len(text)
    pieces = (text[start : start + _PIECE] for start in range(0, len(text), _PIECE))
    return sum(len(piece.encode("utf-8", "surrogatepass")) for piece in pieces)


_PIECE = 65_536
"""Characters that are encoded at once: a long text needs no second copy."""
