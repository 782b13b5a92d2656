"""Admission, in both stores: who gets in, what is taken, and that a refusal takes nothing."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from contract.bench import balance, held
from contract.examples import BY, KEY_ID, MINUTE, NOW, REQUEST, api_key, budget, hold, key, request_id, usage
from tollgate.gateway.admission import Hold, RefusedError
from tollgate.gateway.errors import AuthenticationError
from tollgate.gateway.keys import ApiKey, KeyRecord
from tollgate.gateway.limits import NEVER, WINDOW, Lease
from tollgate.gateway.ports import Store

LIMITS = {"rpm": 3, "tpm": 1000, "concurrency": 2, "budget": budget("1")}
DAY = 86_400


def midnight(day: int, month: int = 10) -> int:
    return int(datetime(2026, month, day, tzinfo=UTC).timestamp())


async def test_the_right_key_is_admitted_and_holds(store: Store) -> None:
    record = key(limits=LIMITS, expires_at=1_800_000_000)
    await store.create(record, BY)
    account = await store.admit(hold(tokens=100, micro_usd=250_000))
    assert account.record == record
    assert account == await store.get(KEY_ID)
    now = account.balance
    assert (now.window, now.requests_left, now.tokens_left, now.budget_left) == (MINUTE // 60, 2, 900, 750_000)
    assert now.leases == {REQUEST: Lease(NOW, NOW + 900, 100, 250_000)}


async def test_a_key_without_limits_takes_whatever_it_likes(store: Store) -> None:
    await store.create(key(), BY)
    for i in range(5):
        await store.admit(hold(request_id(i), tokens=10**9, micro_usd=10**9, priced=False))
    assert len(await held(store)) == 5


@pytest.mark.parametrize(
    ("record", "shown"),
    [
        pytest.param(key(), api_key(secret="wrong"), id="wrong secret"),
        pytest.param(key(), api_key("ffffffffffff"), id="unknown key"),
        pytest.param(key(), ApiKey("ffffffffffff", api_key().key_hash), id="another key's secret"),
        pytest.param(key(status="revoked"), api_key(), id="revoked"),
        pytest.param(key(expires_at=int(NOW) - 1), api_key(), id="expired"),
        pytest.param(key(previous_hash=api_key(secret="old").key_hash), api_key(secret="old"), id="old, no time"),
    ],
)
async def test_any_other_key_is_refused_and_changes_nothing(store: Store, record: KeyRecord, shown: ApiKey) -> None:
    await store.create(record, BY)
    before = await store.get(KEY_ID)
    with pytest.raises(AuthenticationError):
        await store.admit(hold(key=shown))
    assert await store.get(KEY_ID) == before
    assert await store.get("ffffffffffff") is None


async def test_a_key_is_good_until_the_moment_it_expires(store: Store) -> None:
    await store.create(key(expires_at=1000, created_at=10), BY)
    await store.admit(hold("before", opened_at=999.999))
    with pytest.raises(AuthenticationError):
        await store.admit(hold("then", opened_at=1000.0))
    assert await held(store) == {"before"}


async def test_the_previous_secret_is_good_until_its_time(store: Store) -> None:
    old = api_key(secret="old")
    await store.create(key(previous_hash=old.key_hash, previous_until=int(NOW) + 10), BY)
    await store.admit(hold("old, before", key=old, opened_at=NOW + 9))
    await store.admit(hold("new, before", opened_at=NOW + 9))
    with pytest.raises(AuthenticationError):
        await store.admit(hold("old, then", key=old, opened_at=int(NOW) + 10.0))
    await store.admit(hold("new, then", opened_at=int(NOW) + 10.0))
    assert await held(store) == {"old, before", "new, before", "new, then"}


async def test_a_key_is_useless_as_soon_as_it_is_revoked(store: Store) -> None:
    await store.create(key(), BY)
    await store.admit(hold("before"))
    await store.update(KEY_ID, lambda record: replace(record, status="revoked"), BY)
    with pytest.raises(AuthenticationError):
        await store.admit(hold("after"))
    assert await held(store) == {"before"}


REFUSED = [
    pytest.param("requests", {"rpm": 1}, {}, id="requests"),
    pytest.param("requests", {"rpm": 0}, {}, id="no requests"),
    pytest.param("tokens", {"tpm": 150}, {"tokens": 100}, id="tokens"),
    pytest.param("tokens", {"tpm": 99}, {"tokens": 100}, id="more tokens than ever"),
    pytest.param("concurrency", {"concurrency": 1}, {}, id="concurrency"),
    pytest.param("budget", {"budget": budget("1.9")}, {"micro_usd": 1_000_000}, id="budget"),
    pytest.param("budget", {"budget": budget("0", "day")}, {"micro_usd": 1}, id="no budget"),
    pytest.param("unpriced", {"budget": budget("1")}, {"priced": False}, id="unpriced"),
    pytest.param("model", {}, {"model": "slow"}, id="model"),
]


@pytest.mark.parametrize(("kind", "limits", "asked"), REFUSED)
async def test_a_refusal_says_why_and_changes_nothing(
    store: Store, kind: str, limits: dict[str, Any], asked: dict[str, Any]
) -> None:
    await store.create(key(limits=limits, models=("fast*",)), BY)
    with suppress(RefusedError):
        await store.admit(hold("first", **asked))
    before = await store.get(KEY_ID)
    assert before is not None
    with pytest.raises(RefusedError) as refused:
        await store.admit(hold("second", **asked))
    assert refused.value.kind == kind
    assert refused.value.account.record == before.record
    assert refused.value.account.balance.leases == before.balance.leases
    assert await store.get(KEY_ID) == before


async def test_the_last_of_everything_may_be_taken(store: Store) -> None:
    limits = {"rpm": 1, "tpm": 10, "concurrency": 1, "budget": budget("0.00001", "month")}
    await store.create(key(limits=limits), BY)
    now = (await store.admit(hold(tokens=10, micro_usd=10))).balance
    assert (now.requests_left, now.tokens_left, now.budget_left) == (0, 0, 0)


async def test_a_repeated_admission_takes_nothing_twice(store: Store) -> None:
    await store.create(key(limits=LIMITS), BY)
    first = await store.admit(hold(tokens=100, micro_usd=250_000))
    assert await store.admit(hold(tokens=100, micro_usd=250_000)) == first
    assert await store.get(KEY_ID) == first


async def test_models_are_matched_by_globs(store: Store) -> None:
    await store.create(key(models=("gpt-*", "claude-[34]?")), BY)
    for model in ("gpt-5", "gpt-", "claude-4x", "gpt-5", "claude-4x"):
        await store.admit(hold(f"may {model}", model=model))
    for model in ("GPT-5", "claude-2x", "claude-4", "fast", "", "xgpt-5"):
        with pytest.raises(RefusedError, match="model"):
            await store.admit(hold(f"may not {model}", model=model))


async def test_a_model_is_refused_as_soon_as_the_globs_change(store: Store) -> None:
    await store.create(key(models=("*",)), BY)
    await store.admit(hold("one"))
    await store.admit(hold("two"))
    await store.update(KEY_ID, lambda record: replace(record, models=("slow",)), BY)
    with pytest.raises(RefusedError, match="model"):
        await store.admit(hold("three"))


async def test_any_number_of_models_may_be_asked_for(store: Store) -> None:
    await store.create(key(models=("*",)), BY)
    for i in range(103):
        await store.admit(hold(f"hold {i}", model=f"model {i}"))
    assert len(await held(store)) == 103


async def test_a_model_without_a_price_is_admitted_where_the_key_says_so(store: Store) -> None:
    await store.create(key(limits={"budget": budget("1")}, allow_unpriced=True), BY)
    await store.admit(hold(priced=False))
    assert (await balance(store)).budget_left == 1_000_000


async def test_a_new_window_is_full(store: Store) -> None:
    await store.create(key(limits=LIMITS), BY)
    await store.admit(hold("a", tokens=600))
    with pytest.raises(RefusedError, match="tokens"):
        await store.admit(hold("b", tokens=600, opened_at=MINUTE + 59.999))
    now = (await store.admit(hold("c", tokens=600, micro_usd=1, opened_at=MINUTE + 60.0))).balance
    assert (now.window, now.requests_left, now.tokens_left) == (MINUTE // 60 + 1, 2, 400)
    assert now.budget_left == 999_999  # a budget has its own time
    assert set(now.leases) == {"a", "c"}  # and requests that run go on running
    with pytest.raises(RefusedError, match="concurrency"):
        await store.admit(hold("d", opened_at=MINUTE + 200.0))


async def test_a_clock_that_is_behind_takes_from_the_window_of_the_others(store: Store) -> None:
    await store.create(key(limits={"rpm": 2, "tpm": 1000}), BY)
    await store.admit(hold("ahead", opened_at=MINUTE + 60.001))
    now = (await store.admit(hold("behind", opened_at=MINUTE + 59.99, tokens=700))).balance
    assert (now.window, now.requests_left, now.tokens_left) == (MINUTE // 60 + 1, 0, 300)
    with pytest.raises(RefusedError, match="requests"):
        await store.admit(hold("behind too", opened_at=MINUTE + 59.99))
    await store.settle(
        usage("behind", tokens=500, latency_ms=1000), hold("behind", opened_at=MINUTE + 59.99, tokens=700)
    )
    assert (await balance(store)).tokens_left == 500


@pytest.mark.parametrize(
    ("per", "opened_at", "then", "until"),
    [
        ("day", midnight(21) + 5.0, midnight(22) - 0.001, midnight(22)),
        ("month", midnight(5) + 5.0, midnight(1, 11) - 0.001, midnight(1, 11)),
        ("month", midnight(31, 12) + 5.0, midnight(31, 12) + DAY - 0.001, midnight(31, 12) + DAY),
        ("total", NOW, NOW + 3000 * DAY, NEVER),
    ],
)
async def test_a_budget_is_filled_when_its_time_comes(
    store: Store, per: Any, opened_at: float, then: float, until: int
) -> None:
    def asks(hold_id: str, at: float) -> Hold:
        return hold(hold_id, micro_usd=600_000, opened_at=at, expires_at=2.0**34)

    await store.create(key(limits={"budget": budget("1", per)}, created_at=int(opened_at)), BY)
    assert (await store.admit(asks("a", opened_at))).balance.budget_until == until
    with pytest.raises(RefusedError, match="budget"):
        await store.admit(asks("b", then))
    if until != NEVER:
        now = (await store.admit(asks("c", float(until)))).balance
        assert (now.budget_left, now.window) == (400_000, until // WINDOW)


async def test_a_refusal_tells_of_the_window_it_was_in(store: Store) -> None:
    await store.create(key(limits={"rpm": 2, "tpm": 10}), BY)
    await store.admit(hold("a"))
    with pytest.raises(RefusedError) as refused:
        await store.admit(hold("b", tokens=11, opened_at=MINUTE + 120.0))
    now = refused.value.account.balance
    assert (now.window, now.requests_left, now.tokens_left) == (MINUTE // 60 + 2, 2, 10)
