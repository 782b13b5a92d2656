"""The arithmetic of a key's limits: reserve, release, refresh; never more than the limits allow."""

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollgate.gateway.limits import (
    MAX_OPEN,
    MAX_SKEW,
    NEVER,
    UNLIMITED,
    Balance,
    Budget,
    ExceededError,
    Lease,
    Limits,
    Period,
    changed,
    ended,
    extend,
    full,
    iso,
    refreshed,
    release,
    reserve,
    window_ends,
    window_of,
)

NOON = 1_795_262_400.0  # 2026-11-21T12:00:00Z, a whole minute
LIMITS = Limits(rpm=3, tpm=100, concurrency=2, budget=Budget(Decimal("1.5"), "day"))


def lease(tokens: int = 10, micro_usd: int = 500_000, at: float = NOON) -> Lease:
    return Lease(at, at + 900, tokens, micro_usd)


def test_full_balance_equals_the_limits() -> None:
    balance = full(LIMITS, NOON)
    assert (balance.requests_left, balance.tokens_left, balance.budget_left) == (3, 100, 1_500_000)
    assert iso(window_ends(balance)) == "2026-11-21T12:01:00Z"
    assert iso(balance.budget_until) == "2026-11-22T00:00:00Z"


def test_balance_without_limits_is_unlimited() -> None:
    balance = full(Limits(), NOON)
    assert balance == Balance(int(NOON) // 60, UNLIMITED, UNLIMITED, NEVER, UNLIMITED, {})


@pytest.mark.parametrize(
    ("at", "until"),
    [
        (NOON, "2026-12-01T00:00:00Z"),
        (1_798_761_599.0, "2027-01-01T00:00:00Z"),
        (1_835_395_200.0, "2028-03-01T00:00:00Z"),
    ],
)
def test_monthly_budget_ends_where_the_next_month_begins(at: float, until: str) -> None:
    assert iso(full(Limits(budget=Budget(Decimal(1), "month")), at).budget_until) == until


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"requests_left": 0}, "requests"),
        ({"tokens_left": 9}, "tokens"),
        ({"leases": {"a": lease(), "b": lease()}}, "concurrency"),
        ({"budget_left": 499_999}, "budget"),
    ],
)
def test_exceeded_limit_is_named(changes: dict[str, object], kind: str) -> None:
    with pytest.raises(ExceededError) as raised:
        reserve(replace(full(LIMITS, NOON), **changes), LIMITS, "x", lease())  # type: ignore[arg-type]
    assert raised.value.kind == kind


def test_exact_rest_of_every_limit_can_be_reserved() -> None:
    exact = replace(full(LIMITS, NOON), requests_left=1, tokens_left=10, budget_left=500_000, leases={"a": lease()})
    left = reserve(exact, LIMITS, "x", lease())
    assert (left.requests_left, left.tokens_left, left.budget_left, len(left.leases)) == (0, 0, 0, 2)


def test_reserving_a_hold_twice_reserves_it_once() -> None:
    once = reserve(full(LIMITS, NOON), LIMITS, "x", lease())
    assert reserve(once, LIMITS, "x", lease()) == once


def test_release_returns_unused_tokens_and_money_but_not_the_request() -> None:
    balance = release(reserve(full(LIMITS, NOON), LIMITS, "x", lease()), LIMITS, "x", 4, 100_000)
    assert (balance.requests_left, balance.tokens_left, balance.budget_left) == (2, 96, 1_400_000)
    assert balance.leases == {}
    assert release(balance, LIMITS, "x", 0, 0) == balance


def test_usage_above_the_reservation_makes_the_balance_negative() -> None:
    balance = release(reserve(full(LIMITS, NOON), LIMITS, "x", lease()), LIMITS, "x", 130, 2_000_000)
    assert (balance.tokens_left, balance.budget_left) == (-30, -500_000)


def test_new_minute_resets_requests_and_tokens_only() -> None:
    later = refreshed(reserve(full(LIMITS, NOON), LIMITS, "x", lease()), LIMITS, NOON + 60)
    assert (later.requests_left, later.tokens_left, later.budget_left) == (3, 100, 1_000_000)
    assert set(later.leases) == {"x"}


def test_tokens_of_a_past_window_are_not_returned_to_the_next() -> None:
    later = refreshed(reserve(full(LIMITS, NOON), LIMITS, "x", lease()), LIMITS, NOON + 60)
    settled = release(later, LIMITS, "x", 0, 0)
    assert (settled.tokens_left, settled.budget_left) == (100, 1_500_000)


def test_money_of_a_past_day_is_not_returned_to_the_next_budget() -> None:
    midnight = NOON + 12 * 3600
    later = refreshed(reserve(full(LIMITS, NOON), LIMITS, "x", lease()), LIMITS, midnight)
    assert later.budget_left == 1_500_000
    assert release(later, LIMITS, "x", 0, 0).budget_left == 1_500_000


def test_earlier_time_changes_nothing() -> None:
    balance = reserve(full(LIMITS, NOON + 60), LIMITS, "x", lease())
    assert refreshed(balance, LIMITS, NOON) == balance


def test_leases_expire() -> None:
    balance = reserve(full(LIMITS, NOON), LIMITS, "x", lease())
    assert ended(balance, NOON + 899) == {}
    assert set(ended(balance, NOON + 900)) == {"x"}


def test_changed_limits_keep_what_is_reserved() -> None:
    balance = reserve(full(LIMITS, NOON), LIMITS, "x", lease())
    wider = Limits(rpm=10, tpm=50, concurrency=1, budget=Budget(Decimal(2), "day"))
    after = changed(balance, LIMITS, wider, NOON)
    assert (after.requests_left, after.tokens_left, after.budget_left) == (9, 40, 1_500_000)
    monthly = changed(balance, LIMITS, replace(wider, budget=Budget(Decimal(2), "month")), NOON)
    assert monthly.budget_left == 1_500_000  # open holds are reserved in the new budget too


@pytest.mark.parametrize("per", ["day", "month", "total"])
def test_first_budget_of_a_key_ignores_earlier_spending(per: Period) -> None:
    unlimited = Limits(rpm=2)
    balance = reserve(full(unlimited, NOON), unlimited, "old", lease(micro_usd=500_000_000))
    balance = release(balance, unlimited, "old", 0, 500_000_000)
    balance = reserve(balance, unlimited, "open", lease(micro_usd=100_000))
    after = changed(balance, unlimited, Limits(rpm=2, budget=Budget(Decimal(10), per)), NOON)
    assert after.budget_left == 9_900_000


def test_forced_reservation_may_make_the_balance_negative() -> None:
    spent = replace(full(LIMITS, NOON), requests_left=0, tokens_left=0, budget_left=0)
    after = reserve(spent, LIMITS, "x", lease(), forced=True)
    assert (after.requests_left, after.tokens_left, after.budget_left) == (-1, -10, -500_000)
    assert set(after.leases) == {"x"}


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 800_000), st.integers(0, 60), st.integers(0, 800_000))))
def test_no_sequence_of_events_exceeds_the_limits(events: list[tuple[int, int, int, int]]) -> None:
    balance, spent = full(LIMITS, NOON), 0
    for number, (tokens, money, used, cost) in enumerate(events):
        try:
            balance = reserve(balance, LIMITS, str(number), lease(tokens, money))
        except ExceededError:
            continue
        if number % 3:
            balance = release(balance, LIMITS, str(number), min(used, tokens), min(cost, money))
            spent += min(cost, money)
    held = sum(item.micro_usd for item in balance.leases.values())
    assert balance.budget_left == 1_500_000 - spent - held
    assert balance.budget_left >= 0
    assert balance.tokens_left >= 0
    assert len(balance.leases) <= 2


def test_huge_count_does_not_block_a_key_without_limits() -> None:
    unlimited = Limits()
    balance = reserve(full(unlimited, NOON), unlimited, "old", lease())
    balance = release(balance, unlimited, "old", 2**60, 2**60)
    assert "next" in reserve(balance, unlimited, "next", lease()).leases


def test_open_requests_of_a_key_without_limits_are_bounded() -> None:
    unlimited = Limits()
    balance = replace(full(unlimited, NOON), leases={str(number): lease() for number in range(MAX_OPEN)})
    with pytest.raises(ExceededError, match="open"):
        reserve(balance, unlimited, "next", lease())


YEAR = 365 * 86_400


@pytest.mark.parametrize("per", ["day", "month"])
def test_window_far_in_the_future_is_corrected(per: Period) -> None:
    limits = Limits(rpm=2, tpm=100, budget=Budget(Decimal(1), per))
    ahead = reserve(
        refreshed(full(limits, NOON), limits, NOON + YEAR), limits, "r", lease(at=NOON + YEAR, micro_usd=400_000)
    )
    back = refreshed(ahead, limits, NOON)
    assert (back.window, back.requests_left, back.tokens_left) == (window_of(NOON), 2, 100)
    assert back.budget_until == full(limits, NOON).budget_until
    assert back.budget_left == 600_000  # reserved amounts stay reserved
    assert "r" in ended(back, NOON)


def test_window_slightly_in_the_future_is_kept() -> None:
    ahead = reserve(refreshed(full(LIMITS, NOON), LIMITS, NOON + MAX_SKEW), LIMITS, "r", lease(at=NOON + MAX_SKEW))
    back = refreshed(ahead, LIMITS, NOON)
    assert back == ahead
    assert not ended(back, NOON)


def test_lease_can_be_extended_to_the_end_of_the_budget() -> None:
    limits = Limits(budget=Budget(Decimal(1), "day"))
    balance = reserve(full(limits, NOON), limits, "r", lease(micro_usd=300_000))
    balance = extend(balance, limits, "r", 300_000, 1)
    assert (balance.leases["r"].micro_usd, balance.budget_left) == (600_000, 400_000)
    balance = extend(balance, limits, "r", 600_000, 1)  # the rest of the budget
    assert (balance.leases["r"].micro_usd, balance.budget_left) == (1_000_000, 0)
    with pytest.raises(ExceededError, match="budget"):
        extend(balance, limits, "r", 600_000, 1)
    assert release(balance, limits, "r", 0, 250_000).budget_left == 750_000


def test_expired_lease_cannot_be_extended() -> None:
    limits = Limits(budget=Budget(Decimal(1), "day"))
    with pytest.raises(ExceededError, match="budget"):
        extend(full(limits, NOON), limits, "r", 1, 1)


def test_lease_of_a_past_budget_reserves_nothing_of_the_new_one() -> None:
    limits = Limits(budget=Budget(Decimal(1), "day"))
    balance = refreshed(reserve(full(limits, NOON), limits, "r", lease(micro_usd=300_000)), limits, NOON + 86_400)
    after = extend(balance, limits, "r", 5_000_000, 1)
    assert (after.budget_left, after.leases["r"].micro_usd) == (1_000_000, 5_300_000)


def test_windows_have_no_gap() -> None:
    ends = [window_ends(full(LIMITS, NOON + minute * 60)) for minute in range(5)]
    assert [later - sooner for sooner, later in pairwise(ends)] == [60] * 4
