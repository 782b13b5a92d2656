"""The limits that a store can count, and share between several items."""

from decimal import Decimal

import pytest

from tollgate.gateway.errors import BadRequestError
from tollgate.gateway.limits import MAX_LIMIT, MAX_LIMIT_USD, MAX_OPEN, Budget, Limits
from tollgate.stores.key_changes import check_limits


@pytest.mark.parametrize(
    ("limits", "shards"),
    [
        (Limits(), 20),
        (Limits(MAX_LIMIT, MAX_LIMIT, 20 * MAX_OPEN, Budget(Decimal(MAX_LIMIT_USD), "total")), 20),
        (Limits(rpm=1, tpm=1, concurrency=1, budget=Budget(Decimal(0), "day")), 1),
        (Limits(rpm=20, tpm=20_000, concurrency=20, budget=Budget(Decimal(2), "day")), 20),
    ],
)
def test_countable_and_divisible_limits_are_accepted(limits: Limits, shards: int) -> None:
    check_limits(limits, shards)


@pytest.mark.parametrize(
    ("limits", "shards", "param"),
    [
        (Limits(rpm=MAX_LIMIT + 1), 1, "rpm"),
        (Limits(tpm=MAX_LIMIT + 1), 1, "tpm"),
        (Limits(concurrency=MAX_OPEN + 1), 1, "concurrency"),
        (Limits(concurrency=20 * MAX_OPEN + 1), 20, "concurrency"),
        (Limits(budget=Budget(Decimal("1e30"), "day")), 1, "budget"),
        (Limits(rpm=19), 20, "rpm"),
        (Limits(tpm=19_999), 20, "tpm"),
        (Limits(concurrency=19), 20, "concurrency"),
        (Limits(budget=Budget(Decimal("1.99"), "day")), 20, "budget"),
    ],
)
def test_uncountable_or_indivisible_limit_is_refused_by_name(limits: Limits, shards: int, param: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        check_limits(limits, shards)
    assert refused.value.param == param


def test_concurrency_too_large_for_one_item_names_the_required_shards() -> None:
    with pytest.raises(BadRequestError, match="--shards 3 or more"):
        check_limits(Limits(concurrency=2 * MAX_OPEN + 1), 2)
