"""The admission decision, its errors, and the rate limit headers of a key."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tollgate.gateway.admission import Account, Hold, Refusal, RefusedError, decide, rate_limit_headers, refusal_error
from tollgate.gateway.errors import AuthenticationError
from tollgate.gateway.keys import ApiKey, KeyRecord
from tollgate.gateway.limits import Budget, Limits, full

NOW = 1_795_262_410.0  # ten seconds into a minute
KEY = ApiKey("k", "h" * 64)
LIMITS = Limits(rpm=3, tpm=100, concurrency=2, budget=Budget(Decimal(1), "day"))


def account(limits: Limits = LIMITS, **changes: Any) -> Account:
    record = replace(KeyRecord("k", KEY.key_hash, "n", "active", 0, limits=limits), **changes)
    return Account(record, full(limits, NOW))


def hold(**changes: Any) -> Hold:
    return replace(Hold("r", KEY, "gpt-4o", NOW, NOW + 900, 10, 1000), **changes)


def refused_by(kind: Refusal, before: Account, requested: Hold) -> RefusedError:
    with pytest.raises(RefusedError) as raised:
        decide(before, requested)
    assert raised.value.kind == kind
    assert raised.value.account == before
    return raised.value


def test_accepted_hold_is_reserved_in_the_balance() -> None:
    after = decide(account(), hold())
    assert after.balance.leases == {"r": hold().lease}
    assert (after.balance.requests_left, after.balance.tokens_left, after.balance.budget_left) == (2, 90, 999_000)


@pytest.mark.parametrize("pattern", ["gpt-*", "*", "gpt-4o", "claude-*,gpt-?o"])
def test_model_that_matches_a_glob_is_accepted(pattern: str) -> None:
    decide(account(models=tuple(pattern.split(","))), hold())


@pytest.mark.parametrize("pattern", ["gpt-4", "GPT-*", "claude-*", "gpt"])
def test_model_that_matches_no_glob_is_403(pattern: str) -> None:
    requested = hold()
    error = refusal_error(refused_by("model", account(models=(pattern,)), requested), requested)
    assert (error.status, error.type, error.param) == (403, "permission_error", "model")


def test_key_with_a_budget_refuses_an_unpriced_model_unless_allowed() -> None:
    requested = hold(priced=False, micro_usd=0)
    assert refusal_error(refused_by("unpriced", account(), requested), requested).code == "model_without_price"
    decide(account(allow_unpriced=True), requested)
    decide(account(Limits(rpm=1)), requested)


@pytest.mark.parametrize(
    ("requested", "status", "kind"),
    [(hold(tokens=101), 429, "tokens"), (hold(micro_usd=1_000_001), 402, "budget")],
)
def test_exceeded_limit_is_named_in_the_error(requested: Hold, status: int, kind: Refusal) -> None:
    error = refusal_error(refused_by(kind, account(), requested), requested)
    assert error.status == status
    assert error.code == (kind if status == 429 else "insufficient_quota")


def test_retry_after_is_the_rest_of_the_minute() -> None:
    before = account()
    before = replace(before, balance=replace(before.balance, requests_left=0))
    error = refusal_error(refused_by("requests", before, hold()), hold())
    assert error.retry_after == 50
    assert error.headers() == {"retry-after": "50", "retry-after-ms": "50000"}


def test_previous_secret_is_valid_until_it_expires() -> None:
    rotated = account(key_hash="n" * 64, previous_hash=KEY.key_hash, previous_until=int(NOW) + 1)
    decide(rotated, hold())
    with pytest.raises(AuthenticationError):
        decide(rotated, hold(opened_at=NOW + 1))


def test_unknown_secret_is_refused_without_a_previous_secret() -> None:
    with pytest.raises(AuthenticationError):
        decide(account(key_hash="n" * 64), hold(key=ApiKey("k", "0" * 64)))


def test_headers_have_limit_remaining_and_reset() -> None:
    assert rate_limit_headers(decide(account(), hold()), NOW) == {
        "x-ratelimit-limit-requests": "3",
        "x-ratelimit-remaining-requests": "2",
        "x-ratelimit-reset-requests": "2026-11-21T12:01:00Z",
        "x-ratelimit-limit-tokens": "100",
        "x-ratelimit-remaining-tokens": "90",
        "x-ratelimit-reset-tokens": "2026-11-21T12:01:00Z",
        "ratelimit-policy": '"requests";q=3;w=60, "tokens";q=100;w=60',
        "ratelimit": '"requests";r=2;t=50, "tokens";r=90;t=50',
    }


def test_negative_balance_is_shown_as_zero_remaining() -> None:
    before = account()
    overdrawn = replace(before, balance=replace(before.balance, tokens_left=-5))
    assert rate_limit_headers(overdrawn, NOW)["x-ratelimit-remaining-tokens"] == "0"


def test_key_without_limits_has_no_rate_limit_headers() -> None:
    assert rate_limit_headers(account(Limits()), NOW) == {}


@pytest.mark.parametrize(
    ("own", "of_team", "requests", "tokens"),
    [
        (Limits(rpm=3), Limits(rpm=2, tpm=50), ("2", "2"), ("50", "50")),
        (Limits(rpm=3, tpm=100), Limits(rpm=9), ("3", "3"), ("100", "100")),
        (Limits(), Limits(rpm=9, tpm=8), ("9", "9"), ("8", "8")),
    ],
)
def test_rate_limit_headers_are_those_of_the_key_or_its_team_with_less_left(
    own: Limits, of_team: Limits, requests: tuple[str, str], tokens: tuple[str, str]
) -> None:
    headers = rate_limit_headers(replace(account(own), team=account(of_team)), NOW)
    for name, expected in (("requests", requests), ("tokens", tokens)):
        shown = headers[f"x-ratelimit-limit-{name}"], headers[f"x-ratelimit-remaining-{name}"]
        assert shown == expected


@pytest.mark.parametrize("allows", [True, False])
def test_budget_of_the_team_is_a_budget_of_the_account(allows: bool) -> None:
    both = replace(account(Limits()), team=account(LIMITS, allow_unpriced=allows))
    assert both.has_budget
    assert both.refuses_unpriced is not allows
