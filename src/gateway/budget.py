"""A budget is a cap: the money a request reserves beforehand, and how long an output that money pays for may be."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tollgate.gateway.metering import STANDARD_TERMS, PriceTerms, cost_of
from tollgate.gateway.prices import Prices
from tollgate.gateway.types import Usage

MILLION = 1_000_000
UNBOUNDED_TOKENS = 2**53


@dataclass(frozen=True, slots=True)
class Reservation:
    """What one request reserves of its key's limits: the `usual` usage, and money in micro-dollars.

    `requested_limit` is the client's limit for each of its choices. `max_output_tokens` is the most tokens that one
    choice can have; None if the output grows step by step and the hold is extended with it. A request that does not say
    how much it needs (`at_most_half`) gets at most half of a budget. An output that is made as a whole (`is_whole`), an
    image for instance, is not delivered in proportion to what the provider has done.
    """

    usual: Usage
    requested_limit: int | None
    max_output_tokens: int | None
    amount_micro_usd: int
    minimum_micro_usd: int
    at_most_half: bool
    priced: bool
    is_whole: bool = False

    @property
    def unfinished(self) -> Usage:
        """What an interrupted response is billed that was not counted: the prompt, and an output made as a whole."""
        return self.usual if self.is_whole else self.usual._replace(output_tokens=0)


class Allowance:
    """How much of a growing output is paid for by what is held, less what earlier attempts cost."""

    def __init__(
        self, prices: Prices, terms: PriceTerms, prompt: Usage, held_micro_usd: int, spent_micro_usd: int = 0
    ) -> None:
        self.tokens = 0
        self._spent = spent_micro_usd
        self.held_micro_usd = held_micro_usd
        self._prices = prices
        self._terms = terms
        self.set_prompt(prompt)

    def set_prompt(self, usage: Usage) -> None:
        """Replace the estimate of the prompt by what the provider counted."""
        self._prompt = usage._replace(output_tokens=0, reasoning_tokens=0, output_audio_tokens=0, cost_usd=None)
        self.set_held(self.held_micro_usd)

    def set_held(self, micro_usd: int) -> None:
        """The hold now has this much in all."""
        self.held_micro_usd = micro_usd
        self.tokens = tokens_for(micro_usd, self._prompt, self._cost)

    def shortfall(self, tokens: int) -> int:
        """Micro-dollars missing from the hold for an output of so many tokens."""
        return self._cost(self._prompt._replace(output_tokens=tokens)) - self.held_micro_usd

    def _cost(self, usage: Usage) -> int:
        return cost_of(usage, self._prices, self._terms).micro_usd + self._spent


def tokens_for(micro_usd: int, prompt: Usage, cost: Callable[[Usage], int]) -> int:
    """How many output tokens the money pays for after this prompt; 0 if it does not pay for the prompt."""
    prompt_cost = cost(prompt)
    per_million = cost(prompt._replace(output_tokens=MILLION)) - prompt_cost
    return max(0, micro_usd - prompt_cost) * MILLION // per_million if per_million > 0 else UNBOUNDED_TOKENS


def max_cost(usage: Usage, prices: Prices | None, terms: PriceTerms) -> int:
    """The most that so many tokens can cost, of whatever kind, in the standard tier or the requested one."""
    if prices is None:
        return 0
    kinds = list(_kinds(usage, prices))
    return max(cost_of(kind, prices, tier).micro_usd for kind in kinds for tier in {terms, STANDARD_TERMS})


def _kinds(usage: Usage, prices: Prices) -> Iterator[Usage]:
    """The usage as it may be counted: the whole prompt or output as one kind of token that has a price of its own."""
    yield usage
    written, reasoning = usage.input_tokens, usage.output_tokens
    yield usage._replace(cache_write_tokens=written, reasoning_tokens=reasoning)
    if prices.cache_write_1h_usd_per_mtok is not None:
        yield usage._replace(cache_write_tokens=written, cache_write_1h_tokens=written, reasoning_tokens=reasoning)
