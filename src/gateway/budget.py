"""A budget is a cap: what a request holds of it beforehand, and how long an answer that pays for may be.

What the client asks for is held in full. A budget with less lends what it has, as long as that pays for the usual
answer, and the limit sent to the provider is lowered to it. Without a limit of the client's, a stream holds the usual
answer and takes more as it grows; an answer that cannot be watched as it grows is sent with a limit.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import cast

from tollgate.gateway.metering import STANDARD_TERMS, PriceTerms, cost_of, estimate_usage, price_terms, prompt_bytes
from tollgate.gateway.prices import Prices
from tollgate.gateway.routing import Route
from tollgate.gateway.types import ChatRequest, Json, Usage

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
    usual, asked = estimate_usage(request, route.model), request.output_limit
    terms = price_terms(request)
    least = cost_of(usual, route.prices, terms)
    most = route.model.capabilities.max_output_tokens or route.model.context_length
    longest = None if asked is None and _is_watched(request, route) else min(asked or most, most)
    wanted = least.micro_usd
    if longest is not None:
        whole = replace(usual, output_tokens=longest * (request.n or 1))
        wanted = max(wanted, _max_cost(whole, route.prices, terms))
    enough = wanted if requires_parameters(request) else least.micro_usd
    return Reservation(usual, asked, longest, wanted, enough, asked is None, least.usd is not None)


def _is_watched(request: ChatRequest, route: Route) -> bool:
    """Whether an answer can be stopped where the budget ends: it comes as a stream that shows all there is to pay."""
    return request.stream and route.model.capabilities.thinking == "none"


def limit_output(request: ChatRequest, route: Route, reservation: Reservation, held_micro_usd: int) -> ChatRequest:
    """The request with the limit of its answer lowered to what is held, where that is less than it reserves.

    The prompt is taken as long as it can be: a token has a byte at least. Where that leaves less than the usual answer,
    the usual answer it is.
    """
    longest, choices = reservation.longest, request.n or 1
    if longest is None or route.prices is None or held_micro_usd >= reservation.wanted_micro_usd:
        return request
    overhead = MESSAGE_OVERHEAD * (1 + len(request.messages))
    longest_prompt = Usage(max(reservation.usual.input_tokens, prompt_bytes(request) + overhead))
    terms = price_terms(request)
    pays_for = _tokens_for(held_micro_usd, longest_prompt, lambda usage: _max_cost(usage, route.prices, terms))
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

    def __init__(self, prices: Prices, terms: PriceTerms, prompt: Usage, held_micro_usd: int) -> None:
        self.tokens = 0
        self.held_micro_usd = held_micro_usd
        self._prices = prices
        self._terms = terms
        self.read(prompt)

    def read(self, usage: Usage) -> None:
        """The prompt is known better now."""
        self._prompt = replace(usage, output_tokens=0, reasoning_tokens=0, output_audio_tokens=0, cost_usd=None)
        self.hold(self.held_micro_usd)

    def hold(self, micro_usd: int) -> None:
        """So much is held now."""
        self.held_micro_usd = micro_usd
        self.tokens = _tokens_for(micro_usd, self._prompt, self._cost)

    def shortfall(self, tokens: int) -> int:
        """Micro-dollars that are not held for an answer of so many tokens."""
        return self._cost(replace(self._prompt, output_tokens=tokens)) - self.held_micro_usd

    def _cost(self, usage: Usage) -> int:
        return cost_of(usage, self._prices, self._terms).micro_usd


def _tokens_for(micro_usd: int, prompt: Usage, cost: Callable[[Usage], int]) -> int:
    """How many tokens of an answer to this prompt so much money pays for; 0 where it does not pay for the prompt."""
    prompt_cost = cost(prompt)
    per_million = cost(replace(prompt, output_tokens=MILLION)) - prompt_cost
    return max(0, micro_usd - prompt_cost) * MILLION // per_million if per_million > 0 else _ENDLESS


def _max_cost(usage: Usage, prices: Prices | None, terms: PriceTerms) -> int:
    """The most that so many tokens can cost, of whatever kind they are, in the ordinary tier or the one asked for."""
    if prices is None:
        return 0
    kinds = list(_kinds(usage, prices))
    return max(cost_of(kind, prices, tier).micro_usd for kind in kinds for tier in {terms, STANDARD_TERMS})


def _kinds(usage: Usage, prices: Prices) -> Iterator[Usage]:
    """The usage as it may be counted: all of the prompt or of the answer of one kind that has a price of its own."""
    yield usage
    written, thought = usage.input_tokens, usage.output_tokens
    yield replace(usage, cache_write_tokens=written, reasoning_tokens=thought)
    if prices.cache_write_1h_usd_per_mtok is not None:
        yield replace(usage, cache_write_tokens=written, cache_write_1h_tokens=written, reasoning_tokens=thought)
