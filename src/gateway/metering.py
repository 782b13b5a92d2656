"""What usage costs, and the usage record of an admitted request."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Literal

from tollgate.gateway.prices import Prices, Rates, TierRates
from tollgate.gateway.types import UNITS, Json, Request, Usage

MICRO_DOLLAR = Decimal("0.000001")
BYTES_PER_TOKEN = 4
"""Bytes of English text per token, by the rule of thumb of OpenAI's documentation ("What are tokens and how to count
them?")."""

CostSource = Literal["provider", "catalog", "estimated", "unknown", "cache"]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a response cost in USD, exact to the micro-dollar, and the source of that figure; `usd` is None if it is
    unknown.

    `priced_on` is the day that the catalog's price was read, if the cost is computed from it. `note` says why a cost is
    only estimated.
    """

    usd: Decimal | None
    source: CostSource
    priced_on: date | None = None
    note: str | None = None

    @property
    def micro_usd(self) -> int:
        """The cost in whole micro-dollars; an unknown cost takes nothing from a budget."""
        return 0 if self.usd is None else int(self.usd * 1_000_000)


NO_COST = Cost(Decimal(0), "estimated", note="No provider took the request up.")
"""The cost of a request that no provider accepted."""

_ORDINARY = frozenset({"", "auto", "default", "standard", "unspecified", "on_demand"})
"""Names of the service tier that the row's own prices are for; `on_demand` is Groq's."""


@dataclass(frozen=True, slots=True)
class PriceTerms:
    """What determines the price of a request beside its tokens: the service tier, and whether it searches the web."""

    tier: str | None = None
    searches: bool = False


STANDARD_TERMS = PriceTerms()


def price_terms(request: Request) -> PriceTerms:
    """The terms that a client requests."""
    extra = request.extra
    return PriceTerms(service_tier(extra), bool(extra.get("web_search_options")))


def service_tier(fields: Mapping[str, Any]) -> str | None:
    """The `service_tier` among these fields of a request or a response; None if there is none."""
    tier = fields.get("service_tier")
    return tier if isinstance(tier, str) and tier else None


def cost_of(
    usage: Usage | None, prices: Prices | None, terms: PriceTerms = STANDARD_TERMS, *, estimated: bool = False
) -> Cost:
    """The cost of one response: the provider's own figure if it reports one, else computed from the catalog's prices.

    If the catalog has no price for what happened, the nearest price makes an estimate, and the note says why. An
    unknown price is unknown, never zero.
    """
    if usage is None:
        return Cost(None, "unknown")
    if usage.cost_usd is not None:
        return Cost(_round(usage.cost_usd), "provider")
    if prices is None:
        return Cost(None, "unknown")
    rates, doubts = _rates(usage, prices, (terms.tier or "").lower())
    if terms.searches and not usage.searches:
        doubts.append("Searches of the web are charged apart.")
    if estimated:
        doubts.append("The provider did not tell what was used.")
    per_million = _input_cost(usage, rates, doubts) + _output_cost(usage, rates, doubts)
    other_units = _unit_cost(usage, prices, doubts)
    note = " ".join(doubts) or None
    return Cost(_round(per_million / 1_000_000 + other_units), "estimated" if doubts else "catalog", prices.date, note)


def total_cost(costs: Sequence[Cost]) -> Cost:
    """The cost of all attempts that a provider bills; unknown if that of one is."""
    if len(costs) < 2:
        return costs[0] if costs else NO_COST
    known = [cost.usd for cost in costs if cost.usd is not None]
    note = " ".join(dict.fromkeys(cost.note for cost in costs if cost.note)) or None
    if len(known) < len(costs):
        return Cost(None, "unknown", note=note)
    is_estimated = any(cost.source == "estimated" for cost in costs)
    source: CostSource = "estimated" if is_estimated else costs[-1].source
    return Cost(sum(known, Decimal(0)), source, costs[-1].priced_on, note)


def _rates(usage: Usage, prices: Prices, tier: str) -> tuple[Rates, list[str]]:
    """The rates of this tier for a prompt of this length; what is not certain about them is added to the doubts."""
    doubts = [prices.caveat] if prices.caveat else []
    rates: TierRates = prices
    if tier not in _ORDINARY:
        rates = prices.tiers.get(tier, prices)
        if rates is prices:
            doubts.append("No price is known for the service tier.")
    long = rates.long_context or prices.long_context
    if long is None or usage.input_tokens <= long.above_input_tokens:
        return rates, doubts
    if rates.long_context is None:
        doubts.append("No price is known for so long a prompt in the service tier.")
    return long, doubts


def _input_cost(usage: Usage, rates: Rates, doubts: list[str]) -> Decimal:
    """USD times a million. Tokens that are both cached and audio are charged once, as cached audio; those that are both
    cached and of an image as cached."""
    apart = usage.cached_tokens + usage.cache_write_tokens + usage.input_audio_tokens
    if not (apart or usage.input_image_tokens):
        return usage.input_tokens * rates.input_usd_per_mtok  # as in most requests
    overlap = apart - usage.input_tokens
    at_most = min(usage.cached_tokens, usage.input_audio_tokens)
    cached_audio = min(at_most, max(usage.cached_audio_tokens, overlap))
    if cached_audio > usage.cached_audio_tokens:
        doubts.append("The provider did not tell how much of the cached input was audio.")
    audio = usage.input_audio_tokens - cached_audio
    for_an_hour = min(usage.cache_write_1h_tokens, usage.cache_write_tokens)
    for tokens, price, kind in (
        (audio, rates.input_audio_usd_per_mtok, "audio"),
        (cached_audio, rates.cached_audio_usd_per_mtok, "cached audio"),
        (for_an_hour, rates.cache_write_1h_usd_per_mtok, "a cache kept for an hour"),
    ):
        if tokens and price is None:
            doubts.append(f"No price is known for {kind}.")
    written, cached = rates.cache_write_usd_per_mtok, rates.cached_usd_per_mtok
    return _parts(
        usage.input_tokens,
        rates.input_usd_per_mtok,
        (usage.cached_tokens - cached_audio, cached),
        (cached_audio, _first(rates.cached_audio_usd_per_mtok, cached)),
        (usage.cache_write_tokens - for_an_hour, written),
        (for_an_hour, _first(rates.cache_write_1h_usd_per_mtok, written)),
        (audio, rates.input_audio_usd_per_mtok),
        (min(usage.input_image_tokens, max(0, -overlap)), rates.input_image_usd_per_mtok),
    )


def _output_cost(usage: Usage, rates: Rates, doubts: list[str]) -> Decimal:
    if usage.output_audio_tokens and rates.output_audio_usd_per_mtok is None:
        doubts.append("No price is known for spoken answers.")
    return _parts(
        usage.output_tokens,
        rates.output_usd_per_mtok,
        (usage.reasoning_tokens, rates.reasoning_usd_per_mtok),
        (usage.output_audio_tokens, rates.output_audio_usd_per_mtok),
    )


def _unit_cost(usage: Usage, prices: Prices, doubts: list[str]) -> Decimal:
    """USD for what is billed beside tokens."""
    total = Decimal(0)
    for unit in UNITS:
        number: int = getattr(usage, unit)
        if number and unit not in prices.usd_per_unit:
            doubts.append(f"No price is known for {unit}.")
        elif number:
            total += number * prices.usd_per_unit[unit]
    return total


def estimate_tokens(length: int) -> int:
    """About how many tokens a text of this length (in bytes) has; a text has at least one."""
    return -(-length // BYTES_PER_TOKEN)


def _parts(whole: int, price: Decimal, *parts: tuple[int, Decimal | None]) -> Decimal:
    """USD times a million: parts with prices of their own by these, the rest by the price of the whole."""
    apart = [(tokens, own) for tokens, own in parts if tokens and own is not None]
    rest = max(0, whole - sum(tokens for tokens, _ in apart))
    return rest * price + sum([tokens * own for tokens, own in apart], Decimal(0))


def _round(usd: Decimal) -> Decimal:
    return usd.quantize(MICRO_DOLLAR, ROUND_HALF_EVEN)


def _first(*prices: Decimal | None) -> Decimal | None:
    return next((price for price in prices if price is not None), None)


@dataclass(frozen=True, slots=True)
class AttemptSummary:
    """One of several attempts of a request: what was tried, why it failed, how long it took, and what it cost.

    `error_code` is None for the one that answered; `cost_usd` is None if the cost is unknown.
    """

    model: str
    provider: str
    upstream_model: str
    error_code: str | None
    ms: int
    cost_usd: Decimal | None

    def to_json(self) -> Json:
        """As it stands in the log line, in the stored record and in `GET /v1/generation`."""
        return {**asdict(self), "cost_usd": None if self.cost_usd is None else float(self.cost_usd)}


@dataclass(frozen=True, slots=True)
class GuardrailAction:
    """A guardrail that changed something: its name, what it did, and whether to the request or to the answer."""

    name: str
    action: Literal["block", "mask"]
    stage: Literal["input", "output"]


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """How one admitted request went; the stored usage record, the log line and the metrics are made of it.

    Durations are in milliseconds, `started_at` in Unix seconds. `status` is the HTTP status that the client got, or
    would have got; a stream that broke after its first chunk has the error in `error_code`. `estimated` usage was
    counted from what was delivered, because the provider did not report it. It never has a prompt, a response, a key or
    a credential.
    """

    request_id: str
    key_id: str
    model: str
    started_at: float
    streamed: bool
    status: int
    provider: str
    upstream_model: str
    finish_reason: str | None
    error_code: str | None
    latency_ms: int
    time_to_first_token_ms: int | None
    upstream_ms: int | None
    usage: Usage | None
    cost: Cost
    estimated: bool = False
    operation: str = "chat"
    """The name of the operation; records written before there was more than one have none."""
    attempts: tuple[AttemptSummary, ...] = ()
    """All attempts in their order, if there was more than one."""
    guardrails: tuple[GuardrailAction, ...] = ()
    """What guardrails did, without the texts."""

    @property
    def tokens(self) -> int:
        """The tokens that count against a limit of tokens."""
        return 0 if self.usage is None else self.usage.input_tokens + self.usage.output_tokens
