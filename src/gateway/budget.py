"""A budget is a cap: what a request holds of it beforehand, and how long an answer that pays for may be.

What the client asks for is held in full. A budget with less lends what it has, as long as that pays for the usual
answer, and the limit sent to the provider is lowered to it. Without a limit of the client's, a stream holds the usual
answer and takes more as it grows; an answer that cannot be watched as it grows is sent with a limit.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import cast

from gateway.catalog import Prices
from gateway.metering import cost_of, expected_usage, prompt_bytes
from gateway.routing import Route
from gateway.types import ChatRequest, Json, Usage

MILLION = 1_000_000
_ENDLESS = 2**53
MESSAGE_OVERHEAD = 32
"""Tokens around a message and the whole conversation, at the most, in the chat formats of the common models."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """What one request reserves of its key's limits: the `usual` usage, and money in micro-dollars.

    `asked` is the client's limit for each of its choices; `longest` is the most tokens that one can have, None where it
    grows step by step. `at_most_half` of a budget goes to a request that does not say itself how much it needs.
    """

    usual: Usage
    asked: int | None
    longest: int | None
    wanted_micro_usd: int
    least_micro_usd: int
    at_most_half: bool
    priced: bool


def reserve(request: ChatRequest, route: Route) -> Reservation:
    """What this request reserves, on this route."""
    usual, asked = expected_usage(request, route.model), request.output_limit
    least = cost_of(usual, route.prices)
    most = route.model.capabilities.max_output_tokens or route.model.context_length
    longest = None if asked is None and _is_watched(request, route) else min(asked or most, most)
    wanted = least.micro_usd
    if longest is not None:
        whole = replace(usual, output_tokens=longest * (request.n or 1))
        wanted = max(wanted, _dearest(whole, route.prices))
    enough = wanted if requires_parameters(request) else least.micro_usd
    return Reservation(usual, asked, longest, wanted, enough, asked is None, least.usd is not None)


def _is_watched(request: ChatRequest, route: Route) -> bool:
    """Whether an answer can be stopped where the budget ends: it comes as a stream that shows all there is to pay."""
    return request.stream and route.model.capabilities.thinking == "none"


def within(request: ChatRequest, route: Route, reservation: Reservation, held_micro_usd: int) -> ChatRequest:
    """The request with the limit of its answer lowered to what is held, where that is less than it reserves.

    The prompt is taken as long as it can be: a token has a byte at least. Where that leaves less than the usual answer,
    the usual answer it is.
    """
    longest, choices = reservation.longest, request.n or 1
    if longest is None or route.prices is None or held_micro_usd >= reservation.wanted_micro_usd:
        return request
    overhead = MESSAGE_OVERHEAD * (1 + len(request.messages))
    longest_prompt = Usage(max(reservation.usual.input_tokens, prompt_bytes(request) + overhead))
    pays_for = _tokens_for(longest_prompt, route.prices, held_micro_usd, _dearest)
    limit = max(pays_for, reservation.usual.output_tokens) // choices
    return request if limit >= longest else request.model_copy(update={limit_field(request): limit})


def requires_parameters(request: ChatRequest) -> bool:
    """Whether nothing of the request may be changed (OpenRouter's API reference, "Provider Routing")."""
    provider = (request.model_extra or {}).get("provider")
    return isinstance(provider, dict) and cast(Json, provider).get("require_parameters") is True


def limit_field(request: ChatRequest) -> str:
    """Under which of its two names the client gives the limit of its answer, or would be given one."""
    return "max_completion_tokens" if request.max_completion_tokens else "max_tokens"


class Allowance:
    """How much of an answer is paid for by what is held, while it grows."""

    def __init__(self, prices: Prices, prompt: Usage, held_micro_usd: int) -> None:
        self.tokens = 0
        self.held_micro_usd = held_micro_usd
        self._prices = prices
        self.read(prompt)

    def read(self, usage: Usage) -> None:
        """The prompt is known better now."""
        self._prompt = replace(usage, output_tokens=0, reasoning_tokens=0, output_audio_tokens=0, cost_usd=None)
        self.tokens = _tokens_for(self._prompt, self._prices, self.held_micro_usd, _usual)

    def hold(self, micro_usd: int) -> None:
        """So much is held now."""
        self.held_micro_usd = micro_usd
        self.tokens = _tokens_for(self._prompt, self._prices, micro_usd, _usual)

    def lacking(self, tokens: int) -> int:
        """Micro-dollars that are not held for an answer of so many tokens."""
        return _usual(replace(self._prompt, output_tokens=tokens), self._prices) - self.held_micro_usd


def _tokens_for(prompt: Usage, prices: Prices, micro_usd: int, cost: Callable[[Usage, Prices | None], int]) -> int:
    """How many tokens of an answer to this prompt so much money pays for; 0 where it does not pay for the prompt."""
    prompt_cost = cost(prompt, prices)
    per_million = cost(replace(prompt, output_tokens=MILLION), prices) - prompt_cost
    return max(0, micro_usd - prompt_cost) * MILLION // per_million if per_million > 0 else _ENDLESS


def _usual(usage: Usage, prices: Prices | None) -> int:
    return cost_of(usage, prices).micro_usd


def _dearest(usage: Usage, prices: Prices | None) -> int:
    """The most that so many tokens can cost, of whatever kind they are."""
    if prices is None:
        return 0
    return max(_usual(kind, prices) for kind in _kinds(usage, prices))


def _kinds(usage: Usage, prices: Prices) -> Iterator[Usage]:
    """The usage as it may be counted: all of the prompt or of the answer of one kind that has a price of its own."""
    dear_input = _is_dearer(prices.cache_write_usd_per_mtok, prices.input_usd_per_mtok)
    dear_output = _is_dearer(prices.reasoning_usd_per_mtok, prices.output_usd_per_mtok)
    yield usage
    yield replace(
        usage,
        cache_write_tokens=usage.input_tokens if dear_input else 0,
        reasoning_tokens=usage.output_tokens if dear_output else 0,
    )


def _is_dearer(price: Decimal | None, than: Decimal) -> bool:
    return price is not None and price > than
