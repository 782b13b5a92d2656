"""Costs by service tier, prompt length and kinds of tokens, and the notes of estimates."""

import datetime
from decimal import Decimal
from typing import Any

import pytest
from msgspec import convert, structs

from tollgate.gateway.metering import Cost, PriceTerms, cost_of
from tollgate.gateway.prices import LongContextRates, Prices, TierRates
from tollgate.gateway.types import UNITS, Unit, Usage

DAY = datetime.date(2026, 11, 28)
FLEX = TierRates(input_usd_per_mtok=Decimal(1), output_usd_per_mtok=Decimal(4))
LONG_CONTEXT = LongContextRates(above_input_tokens=1000, input_usd_per_mtok=Decimal(4), output_usd_per_mtok=Decimal(12))


def prices(**columns: Any) -> Prices:
    row: dict[str, Any] = {"input_usd_per_mtok": 2, "output_usd_per_mtok": 8, "source": "s", "date": DAY, **columns}
    return convert(row, Prices)


def billed(usage: Usage, rates: Prices, tier: str | None = None) -> tuple[Decimal | None, str]:
    cost = cost_of(usage, rates, PriceTerms(tier))
    assert (cost.note is None) == (cost.source == "catalog"), "an estimate has a note"
    return cost.usd and cost.usd * 1_000_000, cost.source


# --- service tiers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tier", [None, "", "auto", "default", "DEFAULT", "standard", "on_demand"])
def test_default_tiers_cost_the_price_of_the_row(tier: str | None) -> None:
    assert billed(Usage(100, 10), prices(tiers={"flex": FLEX}), tier) == (280, "catalog")


def test_tier_with_a_price_costs_that_price() -> None:
    assert billed(Usage(100, 10), prices(tiers={"flex": FLEX}), "flex") == (140, "catalog")


def test_tier_without_a_price_is_an_estimate() -> None:
    assert billed(Usage(100, 10), prices(tiers={"flex": FLEX}), "priority") == (280, "estimated")


# --- long prompts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("tokens", "usd"), [(1000, 2080), (1001, 4124)])
def test_long_prompt_raises_the_price_of_the_whole_request(tokens: int, usd: int) -> None:
    assert billed(Usage(tokens, 10), prices(long_context=LONG_CONTEXT)) == (usd, "catalog")


def test_cached_tokens_count_towards_the_length_of_a_prompt() -> None:
    assert billed(Usage(1001, 0, cached_tokens=1001), prices(long_context=LONG_CONTEXT)) == (4004, "catalog")


def test_long_prompt_in_a_tier_costs_the_long_context_rates_of_the_tier() -> None:
    flex_rates = LongContextRates(
        above_input_tokens=1000, input_usd_per_mtok=Decimal(3), output_usd_per_mtok=Decimal(6)
    )
    tiers = {"flex": structs.replace(FLEX, long_context=flex_rates)}
    assert billed(Usage(2000, 0), prices(long_context=LONG_CONTEXT, tiers=tiers), "flex") == (6000, "catalog")
    assert billed(Usage(2000, 0), prices(long_context=LONG_CONTEXT, tiers={"flex": FLEX}), "flex") == (
        8000,
        "estimated",
    )


# --- caches -----------------------------------------------------------------------------------------------------------


def test_one_hour_cache_writes_have_their_own_price() -> None:
    usage = Usage(100, 0, cache_write_tokens=90, cache_write_1h_tokens=40)
    rates = prices(cache_write_usd_per_mtok=3, cache_write_1h_usd_per_mtok=5)
    assert billed(usage, rates) == (10 * 2 + 50 * 3 + 40 * 5, "catalog")


def test_one_hour_cache_write_without_a_price_is_an_estimate() -> None:
    usage = Usage(100, 0, cache_write_tokens=100, cache_write_1h_tokens=40)
    assert billed(usage, prices(cache_write_usd_per_mtok=3)) == (300, "estimated")


def test_one_hour_cache_writes_are_at_most_all_cache_writes() -> None:
    usage = Usage(100, 0, cache_write_tokens=10, cache_write_1h_tokens=99)
    rates = prices(cache_write_usd_per_mtok=3, cache_write_1h_usd_per_mtok=5)
    assert billed(usage, rates) == (90 * 2 + 10 * 5, "catalog")


# --- audio ------------------------------------------------------------------------------------------------------------

AUDIO_PRICES: dict[str, Any] = {"cached_usd_per_mtok": 1, "input_audio_usd_per_mtok": 6, "cached_audio_usd_per_mtok": 3}


def test_cached_audio_is_charged_once() -> None:
    usage = Usage(100, 0, cached_tokens=60, input_audio_tokens=50, cached_audio_tokens=40)
    assert billed(usage, prices(**AUDIO_PRICES)) == (20 * 1 + 40 * 3 + 10 * 6 + 30 * 2, "catalog")


def test_unreported_overlap_of_cached_and_audio_tokens_is_the_minimum() -> None:
    usage = Usage(100, 0, cached_tokens=80, input_audio_tokens=100)
    assert billed(usage, prices(**AUDIO_PRICES)) == (80 * 3 + 20 * 6, "estimated")


@pytest.mark.parametrize("usage", [Usage(100, 0, input_audio_tokens=50), Usage(100, 50, output_audio_tokens=50)])
def test_audio_without_a_price_is_an_estimate(usage: Usage) -> None:
    assert billed(usage, prices())[1] == "estimated"


# --- images -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("usage", "usd"),
    [
        (Usage(100, 0, input_image_tokens=80), 80 * 8 + 20 * 2),
        (Usage(100, 0, input_image_tokens=80, cached_tokens=60), 60 * 1 + 40 * 8),
        (Usage(100, 0, input_image_tokens=80, cached_tokens=100), 100 * 1),
    ],
)
def test_images_of_the_input_have_their_own_price(usage: Usage, usd: int) -> None:
    assert billed(usage, prices(cached_usd_per_mtok=1, input_image_usd_per_mtok=8)) == (usd, "catalog")


def test_images_without_a_price_cost_as_much_as_text() -> None:
    assert billed(Usage(100, 0, input_image_tokens=80), prices()) == (200, "catalog")


# --- other unknown costs -------------------------------------------------------------------------------------------


def test_row_with_a_caveat_gives_estimates() -> None:
    cost = cost_of(Usage(100, 0), prices(caveat="Nights cost half."))
    assert cost == Cost(Decimal("0.0002"), "estimated", DAY, "Nights cost half.")


def test_unpriced_searches_make_an_estimate() -> None:
    cost = cost_of(Usage(100, 0), prices(), PriceTerms(searches=True))
    assert (cost.source, cost.note) == ("estimated", "Searches of the web are charged apart.")


def test_every_reason_for_an_estimate_is_in_the_note() -> None:
    cost = cost_of(Usage(100, 0, input_audio_tokens=5), prices(), PriceTerms("priority"), estimated=True)
    assert cost.note is not None
    assert all(word in cost.note for word in ("tier", "audio", "did not tell what was used"))


def test_cost_reported_by_the_provider_needs_no_price() -> None:
    usage = Usage(2000, 0, cost_usd=Decimal(1), cache_write_1h_tokens=5)
    assert cost_of(usage, prices(long_context=LONG_CONTEXT), PriceTerms("priority")) == Cost(
        Decimal("1.000000"), "provider"
    )


@pytest.mark.parametrize("unit", UNITS)
def test_units_beside_tokens_are_billed_at_their_own_price(unit: Unit) -> None:
    usage = Usage(1_000_000)._replace(**{unit: 3})
    priced = Prices(
        input_usd_per_mtok=Decimal(1),
        output_usd_per_mtok=Decimal(1),
        usd_per_unit={unit: Decimal("0.5")},
        source="s",
        date=DAY,
    )
    assert cost_of(usage, priced) == Cost(Decimal("2.500000"), "catalog", DAY)
    unpriced = cost_of(usage, structs.replace(priced, usd_per_unit={}))
    assert (unpriced.usd, unpriced.source) == (Decimal("1.000000"), "estimated")
    assert unpriced.note == f"No price is known for {unit}."


def test_searches_counted_by_the_provider_are_exact() -> None:
    priced = Prices(
        input_usd_per_mtok=Decimal(1),
        output_usd_per_mtok=Decimal(1),
        usd_per_unit={"searches": Decimal("0.01")},
        source="s",
        date=DAY,
    )
    terms = PriceTerms(searches=True)
    assert cost_of(Usage(searches=2), priced, terms) == Cost(Decimal("0.020000"), "catalog", DAY)
    assert cost_of(Usage(5), priced, terms).source == "estimated"
