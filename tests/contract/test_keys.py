"""API keys in both stores: creation, reading, listing, changes, deletion and audit."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from contract.examples import BY, KEY_ID, NOW, REQUEST, budget, hold, key, request_id
from contract.store_state import FakeClock, balance, open_holds, outcome_of_admission
from tollgate.gateway.errors import BadRequestError, KeyExistsError, KeyNotFoundError
from tollgate.gateway.keys import AuditEntry, KeyRecord
from tollgate.gateway.limits import MAX_LIMIT, MAX_LIMIT_USD, MAX_OPEN, Limits, full
from tollgate.gateway.store_ports import Store
from tollgate.stores.retention import DELETED_KEPT, USAGE_KEPT

EVERYTHING = key(
    expires_at=1_800_000_000,
    owner="ops@example.com",
    metadata={"team": "search", "naïve": ""},
    tier="gold",
    role="admin",
    models=("gpt-*", "claude-[34]*"),
    guardrails=("cards", "policy"),
    credentials=("OPENAI_API_KEY", "ANTHROPIC_API_KEY"),
    limits={"rpm": 60, "tpm": 100_000, "concurrency": 10, "budget": budget("12.345678", "month")},
    allow_unpriced=True,
    previous_hash="0" * 64,
    previous_until=1_790_003_600,
)


@pytest.mark.parametrize("record", [key(), key(name=""), EVERYTHING])
async def test_key_is_read_as_it_was_created(store: Store, record: KeyRecord) -> None:
    await store.create(record, BY)
    account = await store.get(KEY_ID)
    assert account is not None
    assert account.record == record
    assert account.balance == full(record.limits, record.created_at)
    assert list(await store.list()) == [record]


async def test_admission_returns_the_guardrails_of_the_key(store: Store) -> None:
    await store.create(EVERYTHING, BY)
    await store.update(KEY_ID, lambda record: replace(record, models=(), guardrails=("policy",)), BY)
    assert (await store.admit(hold())).record.guardrails == ("policy",)
    await store.update(KEY_ID, lambda record: replace(record, guardrails=()), BY)
    assert (await store.admit(hold(request_id(2)))).record.guardrails == ()
    assert [entry.changed.get("guardrails") for entry in await store.audit(KEY_ID)] == ["cards, policy", "policy", "-"]


async def test_unknown_key_is_none(store: Store) -> None:
    assert await store.get("ffffffffffff") is None


async def test_existing_id_is_refused_and_its_key_is_unchanged(store: Store) -> None:
    await store.create(key(), BY)
    with pytest.raises(KeyExistsError):
        await store.create(key(name="another", key_hash="0" * 64), BY)
    assert list(await store.list()) == [key()]
    assert len(await store.audit(KEY_ID)) == 1


async def test_concurrent_creations_of_an_id_create_one_key(store: Store) -> None:
    outcomes = await asyncio.gather(*(store.create(key(name=str(i)), BY) for i in range(20)), return_exceptions=True)
    assert outcomes.count(None) == 1
    assert sum(isinstance(outcome, KeyExistsError) for outcome in outcomes) == 19


async def test_empty_store_lists_no_keys(store: Store) -> None:
    assert list(await store.list()) == []


async def test_keys_are_listed_oldest_first(store: Store) -> None:
    for key_id, created_at in (("aaaaaaaaaaaa", 30), ("bbbbbbbbbbbb", 10), ("cccccccccccc", 20)):
        await store.create(key(key_id, created_at=created_at), BY)
    assert [record.key_id[0] for record in await store.list()] == ["b", "c", "a"]


@pytest.mark.usefixtures("concurrent_requests")
async def test_more_keys_than_one_batch_are_listed(store: Store) -> None:
    records = [
        key(f"{i:012x}", created_at=i // 2) for i in range(230)
    ]  # pairs with the same time, which are sorted by id
    await asyncio.gather(*(store.create(record, BY) for record in reversed(records)))
    assert list(await store.list()) == records


async def test_every_field_of_a_key_can_be_changed(store: Store) -> None:
    minimal = replace(EVERYTHING, **{name: getattr(key(), name) for name in KeyRecord.__slots__})
    for record in (EVERYTHING, replace(minimal, name="x"), EVERYTHING):
        if await store.get(KEY_ID) is None:
            await store.create(minimal, BY)
        assert await store.update(KEY_ID, lambda _, record=record: record, BY) == record
        account = await store.get(KEY_ID)
        assert account is not None
        assert account.record == record


async def test_concurrent_changes_are_all_applied(store: Store) -> None:
    def one_more(record: KeyRecord) -> KeyRecord:
        return replace(record, limits=replace(record.limits, rpm=(record.limits.rpm or 0) + 1))

    await store.create(key(limits={"rpm": 10}), BY)
    await asyncio.gather(*(store.update(KEY_ID, one_more, BY) for _ in range(5)))
    account = await store.get(KEY_ID)
    assert account is not None
    assert account.record.limits.rpm == 15
    assert account.balance.requests_left == 15
    assert len(await store.audit(KEY_ID)) == 6


async def test_id_and_shards_cannot_be_changed(store: Store) -> None:
    await store.create(key(), BY)
    with pytest.raises(BadRequestError):
        await store.update(KEY_ID, lambda record: replace(record, shards=2), BY)
    with pytest.raises(BadRequestError):
        await store.update(KEY_ID, lambda record: replace(record, key_id="ffffffffffff"), BY)
    with pytest.raises(BadRequestError):
        await store.create(key("ffffffffffff", shards=21), BY)
    assert list(await store.list()) == [key()]


async def test_usage_is_kept_when_limits_change(store: Store) -> None:
    await store.create(key(limits={"rpm": 10, "tpm": 1000, "budget": budget("1")}), BY)
    await store.admit(hold(tokens=100, micro_usd=300_000))
    new = Limits(rpm=5, tpm=50, concurrency=1, budget=budget("2"))
    await store.update(KEY_ID, lambda record: replace(record, limits=new), BY)
    after = await balance(store)
    assert (after.requests_left, after.tokens_left, after.budget_left) == (4, -50, 1_700_000)
    assert set(after.leases) == {REQUEST}


async def test_limits_can_be_added_and_removed(store: Store) -> None:
    await store.create(key(), BY)
    await store.admit(hold(tokens=100, micro_usd=300_000))
    await store.update(KEY_ID, lambda record: replace(record, limits=Limits(3, 300, 3, budget("1", "day"))), BY)
    after = await balance(store)
    assert (after.requests_left, after.tokens_left, after.budget_left) == (2, 200, 700_000)
    await store.update(KEY_ID, lambda record: replace(record, limits=Limits()), BY)
    await asyncio.gather(*(store.admit(hold(request_id(i), tokens=10**6)) for i in range(2, 12)))


async def test_change_in_a_later_window_has_a_full_balance(store: Store, clock: FakeClock) -> None:
    await store.create(key(limits={"rpm": 2, "budget": budget("1", "day")}), BY)
    await store.admit(hold(micro_usd=900_000))
    clock.now += 86_400
    await store.update(KEY_ID, lambda record: replace(record, limits=Limits(rpm=3, budget=budget("2", "day"))), BY)
    after = await balance(store)
    assert (after.requests_left, after.budget_left) == (3, 2_000_000)


async def test_change_or_deletion_of_an_unknown_key_is_an_error(store: Store) -> None:
    with pytest.raises(KeyNotFoundError):
        await store.update("ffffffffffff", lambda record: record, BY)
    with pytest.raises(KeyNotFoundError):
        await store.delete("ffffffffffff", BY)
    assert await store.get("ffffffffffff") is None
    assert list(await store.list()) == []
    assert list(await store.audit("ffffffffffff")) == []


async def test_deletion_removes_the_key_and_its_holds(store: Store) -> None:
    await store.create(key(), BY)
    await store.admit(hold())
    await store.delete(KEY_ID, BY)
    assert await store.get(KEY_ID) is None
    assert list(await store.list()) == []
    await store.create(key(name="again"), BY)
    assert await open_holds(store) == set()


async def test_id_of_a_deleted_key_is_kept_while_its_records_may_exist(store: Store, clock: FakeClock) -> None:
    other = key("ffffffffffff")
    await store.create(key(), BY)
    await store.create(other, BY)
    assert await store.key_ids() == {KEY_ID, other.key_id}
    await store.delete(KEY_ID, BY)
    assert await store.key_ids() == {KEY_ID, other.key_id}
    assert await outcome_of_admission(store, hold()) == "unauthorized"
    assert await store.get(KEY_ID) is None
    assert list(await store.list()) == [other]
    clock.now += USAGE_KEPT
    assert await store.key_ids() == {KEY_ID, other.key_id}
    await store.create(key(name="again"), BY)
    await store.delete(KEY_ID, BY)
    clock.now += DELETED_KEPT
    assert await store.key_ids() == {KEY_ID, other.key_id}
    clock.now += 1
    assert await store.key_ids() == {other.key_id}


@pytest.mark.parametrize(
    ("name", "maximum", "more"),
    [
        ("rpm", MAX_LIMIT, MAX_LIMIT + 1),
        ("tpm", MAX_LIMIT, MAX_LIMIT + 1),
        ("concurrency", MAX_OPEN, MAX_OPEN + 1),
        ("budget", budget(str(MAX_LIMIT_USD)), budget(f"{MAX_LIMIT_USD}.000001")),
    ],
)
async def test_limits_above_the_maximum_are_refused(store: Store, name: str, maximum: Any, more: Any) -> None:
    await store.create(key(limits={name: maximum}), BY)
    assert await outcome_of_admission(store, hold(tokens=10, micro_usd=10)) == "admitted"
    with pytest.raises(BadRequestError) as refused:
        await store.create(key("ffffffffffff", limits={name: more}), BY)
    assert refused.value.param == name
    with pytest.raises(BadRequestError):
        await store.update(KEY_ID, lambda record: replace(record, limits=Limits(**{name: more})), BY)
    assert list(await store.list()) == [key(limits={name: maximum})]


async def test_every_change_is_audited(store: Store, clock: FakeClock) -> None:
    await store.create(key(), "anna")
    steps = [
        ("ben", {"name": "other", "limits": Limits(rpm=5)}),
        ("cleo", {"key_hash": "1" * 64, "previous_hash": key().key_hash, "previous_until": 1_790_003_600}),
        ("dora", {"status": "revoked"}),
        ("dora", {"status": "revoked"}),  # no change, no entry
    ]
    for by, change in steps:
        clock.now += 1
        await store.update(KEY_ID, lambda record, change=change: replace(record, **change), by)
    clock.now += 1
    await store.delete(KEY_ID, "emil")
    created, *rest = await store.audit(KEY_ID)
    assert (created.at, created.by, created.action, created.changed["name"]) == (NOW, "anna", "create", key().name)
    assert rest == [
        AuditEntry(NOW + 1, "ben", "update", {"name": "other", "limits": str(Limits(rpm=5))}),
        AuditEntry(NOW + 2, "cleo", "rotate", {"previous_until": "1790003600"}),
        AuditEntry(NOW + 3, "dora", "revoke", {"status": "revoked"}),
        AuditEntry(NOW + 5, "emil", "delete", {}),
    ]
    everything = str(await store.audit(KEY_ID))
    assert key().key_hash not in everything
    assert "1" * 64 not in everything
