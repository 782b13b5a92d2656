"""Admission in both stores: which requests are admitted, what they reserve, and that a refusal changes nothing."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from contract.examples import BY, KEY_ID, MINUTE, NOW, REQUEST, api_key, budget, hold, key, request_id, usage
from contract.store_state import balance, open_holds
from tollgate.gateway.admission import Hold, RefusedError
from tollgate.gateway.errors import AuthenticationError
from tollgate.gateway.keys import ApiKey, KeyRecord
from tollgate.gateway.limits import NEVER, WINDOW, Lease
from tollgate.gateway.store_ports import Store

LIMITS = {"rpm": 3, "tpm": 1000, "concurrency": 2, "budget": budget("1")}
DAY = 86_400


def midnight(day: int, month: int = 10) -> int:
    return int(datetime(2026, month, day, tzinfo=UTC).timestamp())


async def test_valid_key_is_admitted_and_reserves(store: Store) -> None:
    record = key(limits=LIMITS, expires_at=1_800_000_000)
    await store.create(record, BY)
    account = await store.admit(hold(tokens=100, micro_usd=250_000))
    assert account.record == record
    assert account == await store.get(KEY_ID)
    after = account.balance
    assert (after.window, after.requests_left, after.tokens_left, after.budget_left) == (MINUTE // 60, 2, 900, 750_000)
    assert after.leases == {REQUEST: Lease(NOW, NOW + 900, 100, 250_000)}


async def test_key_without_limits_is_always_admitted(store: Store) -> None:
    await store.create(key(), BY)
    for i in range(5):
        await store.admit(hold(request_id(i), tokens=10**9, micro_usd=10**9, priced=False))
    assert len(await open_holds(store)) == 5


@pytest.mark.parametrize(
    ("record", "api_key_used"),
    [
        pytest.param(key(), api_key(secret="wrong"), id="wrong secret"),
        pytest.param(key(), api_key("ffffffffffff"), id="unknown key"),
        pytest.param(key(), ApiKey("ffffffffffff", api_key().key_hash), id="another key's secret"),
        pytest.param(key(status="revoked"), api_key(), id="revoked"),
        pytest.param(key(expires_at=int(NOW) - 1), api_key(), id="expired"),
        pytest.param(
            key(previous_hash=api_key(secret="old").key_hash),
            api_key(secret="old"),
            id="previous secret without a time",
        ),
    ],
)
async def test_invalid_key_is_refused_without_changes(store: Store, record: KeyRecord, api_key_used: ApiKey) -> None:
    await store.create(record, BY)
    before = await store.get(KEY_ID)
    with pytest.raises(AuthenticationError):
        await store.admit(hold(key=api_key_used))
    assert await store.get(KEY_ID) == before
    assert await store.get("ffffffffffff") is None


async def test_key_is_valid_until_it_expires(store: Store) -> None:
    await store.create(key(expires_at=1000, created_at=10), BY)
    await store.admit(hold("before", opened_at=999.999))
    with pytest.raises(AuthenticationError):
        await store.admit(hold("then", opened_at=1000.0))
    assert await open_holds(store) == {"before"}


async def test_previous_secret_is_valid_until_its_time(store: Store) -> None:
    old = api_key(secret="old")
    await store.create(key(previous_hash=old.key_hash, previous_until=int(NOW) + 10), BY)
    await store.admit(hold("old, before", key=old, opened_at=NOW + 9))
    await store.admit(hold("new, before", opened_at=NOW + 9))
    with pytest.raises(AuthenticationError):
        await store.admit(hold("old, then", key=old, opened_at=int(NOW) + 10.0))
    await store.admit(hold("new, then", opened_at=int(NOW) + 10.0))
    assert await open_holds(store) == {"old, before", "new, before", "new, then"}


async def test_revoked_key_is_refused_at_once(store: Store) -> None:
    await store.create(key(), BY)
    await store.admit(hold("before"))
    await store.update(KEY_ID, lambda record: replace(record, status="revoked"), BY)
    with pytest.raises(AuthenticationError):
        await store.admit(hold("after"))
    assert await open_holds(store) == {"before"}


REFUSED = [
    pytest.param("requests", {"rpm": 1}, {}, id="requests"),
    pytest.param("requests", {"rpm": 0}, {}, id="no requests"),
    pytest.param("tokens", {"tpm": 150}, {"tokens": 100}, id="tokens"),
    pytest.param("tokens", {"tpm": 99}, {"tokens": 100}, id="more tokens than the limit"),
    pytest.param("concurrency", {"concurrency": 1}, {}, id="concurrency"),
    pytest.param("budget", {"budget": budget("1.9")}, {"micro_usd": 1_000_000}, id="budget"),
    pytest.param("budget", {"budget": budget("0", "day")}, {"micro_usd": 1}, id="no budget"),
    pytest.param("unpriced", {"budget": budget("1")}, {"priced": False}, id="unpriced"),
    pytest.param("model", {}, {"model": "slow"}, id="model"),
]


@pytest.mark.parametrize(("kind", "limits", "requested"), REFUSED)
async def test_refusal_has_its_kind_and_changes_nothing(
    store: Store, kind: str, limits: dict[str, Any], requested: dict[str, Any]
) -> None:
    await store.create(key(limits=limits, models=("fast*",)), BY)
    with suppress(RefusedError):
        await store.admit(hold("first", **requested))
    before = await store.get(KEY_ID)
    assert before is not None
    with pytest.raises(RefusedError) as refused:
        await store.admit(hold("second", **requested))
    assert refused.value.kind == kind
    assert refused.value.account.record == before.record
    assert refused.value.account.balance.leases == before.balance.leases
    assert await store.get(KEY_ID) == before


async def test_limits_can_be_used_up_completely(store: Store) -> None:
    limits = {"rpm": 1, "tpm": 10, "concurrency": 1, "budget": budget("0.00001", "month")}
    await store.create(key(limits=limits), BY)
    after = (await store.admit(hold(tokens=10, micro_usd=10))).balance
    assert (after.requests_left, after.tokens_left, after.budget_left) == (0, 0, 0)


async def test_repeated_admission_reserves_once(store: Store) -> None:
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


async def test_model_is_refused_at_once_when_the_globs_change(store: Store) -> None:
    await store.create(key(models=("*",)), BY)
    await store.admit(hold("one"))
    await store.admit(hold("two"))
    await store.update(KEY_ID, lambda record: replace(record, models=("slow",)), BY)
    with pytest.raises(RefusedError, match="model"):
        await store.admit(hold("three"))


async def test_key_can_use_any_number_of_models(store: Store) -> None:
    await store.create(key(models=("*",)), BY)
    for i in range(103):
        await store.admit(hold(f"hold {i}", model=f"model {i}"))
    assert len(await open_holds(store)) == 103


async def test_model_without_a_price_is_admitted_if_the_key_allows_it(store: Store) -> None:
    await store.create(key(limits={"budget": budget("1")}, allow_unpriced=True), BY)
    await store.admit(hold(priced=False))
    assert (await balance(store)).budget_left == 1_000_000


async def test_new_window_is_full(store: Store) -> None:
    await store.create(key(limits=LIMITS), BY)
    await store.admit(hold("a", tokens=600))
    with pytest.raises(RefusedError, match="tokens"):
        await store.admit(hold("b", tokens=600, opened_at=MINUTE + 59.999))
    after = (await store.admit(hold("c", tokens=600, micro_usd=1, opened_at=MINUTE + 60.0))).balance
    assert (after.window, after.requests_left, after.tokens_left) == (MINUTE // 60 + 1, 2, 400)
    assert after.budget_left == 999_999  # a budget has its own period
    assert set(after.leases) == {"a", "c"}  # open holds are kept
    with pytest.raises(RefusedError, match="concurrency"):
        await store.admit(hold("d", opened_at=MINUTE + 200.0))


async def test_slow_clock_uses_the_current_window_of_the_key(store: Store) -> None:
    await store.create(key(limits={"rpm": 2, "tpm": 1000}), BY)
    await store.admit(hold("ahead", opened_at=MINUTE + 60.001))
    after = (await store.admit(hold("behind", opened_at=MINUTE + 59.99, tokens=700))).balance
    assert (after.window, after.requests_left, after.tokens_left) == (MINUTE // 60 + 1, 0, 300)
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
async def test_budget_is_refilled_at_the_end_of_its_period(
    store: Store, per: Any, opened_at: float, then: float, until: int
) -> None:
    def request(hold_id: str, at: float) -> Hold:
        return hold(hold_id, micro_usd=600_000, opened_at=at, expires_at=2.0**34)

    await store.create(key(limits={"budget": budget("1", per)}, created_at=int(opened_at)), BY)
    assert (await store.admit(request("a", opened_at))).balance.budget_until == until
    with pytest.raises(RefusedError, match="budget"):
        await store.admit(request("b", then))
    if until != NEVER:
        after = (await store.admit(request("c", float(until)))).balance
        assert (after.budget_left, after.window) == (400_000, until // WINDOW)


async def test_refusal_has_the_balance_of_its_window(store: Store) -> None:
    await store.create(key(limits={"rpm": 2, "tpm": 10}), BY)
    await store.admit(hold("a"))
    with pytest.raises(RefusedError) as refused:
        await store.admit(hold("b", tokens=11, opened_at=MINUTE + 120.0))
    after = refused.value.account.balance
    assert (after.window, after.requests_left, after.tokens_left) == (MINUTE // 60 + 2, 2, 10)
