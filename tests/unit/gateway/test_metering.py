"""From usage to money: exact, rounded once, and unknown instead of zero."""

import datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollgate.gateway.metering import Cost, cost_of
from tollgate.gateway.prices import Prices
from tollgate.gateway.types import Usage

DAY = datetime.date(2026, 1, 1)


def prices(plain: str, output: str, cached: str | None = None, cache_write: str | None = None) -> Prices:
    return Prices(
        input_usd_per_mtok=Decimal(plain),
        output_usd_per_mtok=Decimal(output),
        cached_usd_per_mtok=None if cached is None else Decimal(cached),
        cache_write_usd_per_mtok=None if cache_write is None else Decimal(cache_write),
        source="s",
        date=DAY,
    )


def usd(usage: Usage, price: Prices) -> Decimal:
    cost = cost_of(usage, price)
    assert cost.source == "catalog"
    assert cost.usd is not None
    return cost.usd


def test_input_and_output_are_billed_at_their_prices() -> None:
    assert usd(Usage(1000, 500), prices("2.50", "10.00")) == Decimal("0.0075")


def test_cached_and_cache_write_tokens_are_parts_of_the_input() -> None:
    usage = Usage(1000, 0, cached_tokens=600, cache_write_tokens=300)
    assert usd(usage, prices("3", "15", "0.30", "3.75")) == Decimal("0.001605")


def test_cached_tokens_without_a_price_cost_the_input_price() -> None:
    usage = Usage(1000, 0, cached_tokens=600, cache_write_tokens=300)
    assert usd(usage, prices("3", "15")) == Decimal("0.003")


def test_cached_tokens_may_be_free() -> None:
    assert usd(Usage(1000, 0, cached_tokens=1000), prices("3", "15", "0")) == 0


def test_more_cached_tokens_than_input_never_make_a_negative_cost() -> None:
    usage = Usage(1, 0, cached_tokens=1000)
    assert usd(usage, prices("10", "10", "0.5")) == Decimal("0.0005")


@pytest.mark.parametrize(("tokens", "rounded"), [(1, "0.000000"), (3, "0.000002"), (5, "0.000002"), (7, "0.000004")])
def test_half_a_micro_dollar_is_rounded_to_even(tokens: int, rounded: str) -> None:
    assert str(usd(Usage(tokens, 0), prices("0.5", "0"))) == rounded


def test_rounding_happens_once() -> None:
    # 0.4 + 0.4 micro-dollars are 0.8: rounded separately they would be 0.
    assert usd(Usage(1, 1), prices("0.4", "0.4")) == Decimal("0.000001")


@given(
    tokens=st.tuples(st.integers(0, 2**53 - 1), st.integers(0, 2**53 - 1)),
    cached=st.integers(0, 1000),
    plain=st.decimals(0, 1000, places=4),
    output=st.decimals(0, 1000, places=4),
)
def test_cost_is_exact(tokens: tuple[int, int], cached: int, plain: Decimal, output: Decimal) -> None:
    usage = Usage(tokens[0], tokens[1], cached_tokens=cached)
    price = Prices(input_usd_per_mtok=plain, output_usd_per_mtok=output, source="s", date=DAY)
    exact = Fraction(plain) * usage.input_tokens + Fraction(output) * usage.output_tokens
    assert Fraction(usd(usage, price)) == Fraction(round(exact), 1_000_000)


def test_cost_of_unknown_usage_is_unknown() -> None:
    assert cost_of(None, prices("1", "1")) == Cost(None, "unknown")


def test_cost_at_an_unknown_price_is_unknown() -> None:
    assert cost_of(Usage(5, 5), None) == Cost(None, "unknown")


def test_cost_at_a_price_of_zero_is_zero() -> None:
    assert cost_of(Usage(5, 5), prices("0", "0")) == Cost(Decimal("0.000000"), "catalog", DAY)


def test_cost_keeps_the_date_of_its_price() -> None:
    assert cost_of(Usage(5, 5), prices("1", "1")).priced_on == DAY
    assert cost_of(Usage(5, 5), prices("1", "1"), estimated=True).priced_on == DAY
    for usage, price in ((Usage(5, 5, cost_usd=Decimal(1)), prices("1", "1")), (None, prices("1", "1"))):
        assert cost_of(usage, price).priced_on is None


@pytest.mark.parametrize("price", [None, prices("1000", "1000")])
def test_cost_reported_by_the_provider_is_used(price: Prices | None) -> None:
    usage = Usage(5, 5, cost_usd=Decimal("0.00012345"))
    assert cost_of(usage, price) == Cost(Decimal("0.000123"), "provider")


def test_cost_reported_by_the_provider_may_be_zero() -> None:
    assert cost_of(Usage(5, 5, cost_usd=Decimal(0)), prices("1", "1")) == Cost(Decimal("0.000000"), "provider")
