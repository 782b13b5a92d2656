"""Keys with shards: several items share the limits, because DynamoDB allows 1,000 writes per second to one item."""

import asyncio
import random
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from contract.examples import BY, KEY_ID, MINUTE, NOW, REQUEST, budget, hold, key, request_id, usage
from contract.store_state import FakeClock, OpenDynamoDBStore, balance, open_holds, outcome_of_admission, records
from contract.wire import Wire
from tollgate.gateway.admission import RefusedError
from tollgate.gateway.errors import AuthenticationError, BadRequestError
from tollgate.gateway.keys import revoked
from tollgate.gateway.limits import Limits
from tollgate.gateway.store_ports import Store
from tollgate.stores import key_changes
from tollgate.stores.dynamodb.store import DynamoDBStore
from tollgate.stores.key_state import shard_limits

if TYPE_CHECKING:
    pass

SHARDS = 4
LIMITS = {"rpm": 62, "tpm": 4001, "concurrency": 50, "budget": budget("1.000003", "day")}
RECORD = key(limits=LIMITS, shards=SHARDS, created_at=MINUTE)


def test_shares_add_up_to_the_limits() -> None:
    shares = [shard_limits(RECORD.limits, SHARDS, shard) for shard in range(SHARDS)]
    assert sum(each.rpm or 0 for each in shares) == 62
    assert sum(each.tpm or 0 for each in shares) == 4001
    assert sum(each.concurrency or 0 for each in shares) == 50
    assert sum(each.budget.usd for each in shares if each.budget) == budget("1.000003").usd
    assert shard_limits(Limits(), SHARDS, 1) == Limits()
    assert shard_limits(RECORD.limits, 1, 0) is RECORD.limits


async def test_key_with_shards_is_one_key(store: Store) -> None:
    await store.create(RECORD, BY)
    account = await store.get(KEY_ID)
    assert account is not None
    assert account.record == RECORD
    after = account.balance
    assert (after.requests_left, after.tokens_left, after.budget_left) == (62, 4001, 1_000_003)
    assert list(await store.list()) == [RECORD]
    unlimited = key("ffffffffffff", shards=3)
    await store.create(unlimited, BY)
    await store.admit(replace(hold(), key=replace(hold().key, key_id="ffffffffffff", key_hash=unlimited.key_hash)))
    assert (await balance(store, "ffffffffffff")).requests_left == 10**15 - 1


async def test_limits_of_a_sharded_key_are_exact(store: Store) -> None:
    await store.create(replace(RECORD, limits=Limits(rpm=62)), BY)
    for window in range(2):
        holds = [hold(f"{window} {i}", opened_at=MINUTE + 60.0 * window) for i in range(120)]
        outcomes = Counter(await asyncio.gather(*(outcome_of_admission(store, requested) for requested in holds)))
        assert outcomes == {"admitted": 62, "requests": 58}


async def test_budget_of_a_sharded_key_agrees_with_the_records(store: Store) -> None:
    async def one(number: int) -> None:
        requested = hold(request_id(number), tokens=20, micro_usd=1000, opened_at=MINUTE + 1.0 * (number % 100))
        await store.admit(requested)
        await store.settle(usage(requested.hold_id, usd=f"0.00{number:04d}", started_at=requested.opened_at), requested)

    await store.create(replace(RECORD, limits=replace(RECORD.limits, rpm=None, tpm=None, concurrency=None)), BY)
    await asyncio.gather(*(one(i) for i in range(100)))
    spent = sum(record.cost.micro_usd for record in await records(store))
    assert (await balance(store)).budget_left == 1_000_003 - spent
    assert await open_holds(store) == set()


async def test_all_shards_are_changed_and_deleted(store: Store, clock: FakeClock) -> None:
    await store.create(RECORD, BY)
    for i in range(10):
        await store.admit(hold(request_id(i), tokens=10, micro_usd=100))
    new = replace(RECORD, name="new", limits=Limits(rpm=30, tpm=4000, budget=budget("2", "day")), models=("f*",))
    assert await store.update(KEY_ID, lambda _: new, BY) == new
    after = await balance(store)
    assert (after.requests_left, after.tokens_left, after.budget_left) == (20, 3900, 1_999_000)
    assert len(after.leases) == 10
    await store.update(KEY_ID, lambda record: replace(record, status="revoked"), BY)
    for i in range(20, 30):
        assert await outcome_of_admission(store, hold(request_id(i))) == "unauthorized"
    await store.delete(KEY_ID, BY)
    assert await store.get(KEY_ID) is None
    clock.now += 1
    await store.create(key(name="again"), BY)
    assert await outcome_of_admission(store, hold("again")) == "admitted"
    assert [entry.action for entry in await store.audit(KEY_ID)] == ["create", "update", "revoke", "delete", "create"]


@pytest.mark.parametrize(
    ("name", "minimum", "less"),
    [("rpm", 4, 3), ("tpm", 4000, 3999), ("concurrency", 4, 3), ("budget", budget("0.4"), budget("0.399999"))],
)
async def test_share_that_is_too_small_for_a_request_is_refused(
    store: Store, name: str, minimum: Any, less: Any
) -> None:
    await store.create(replace(RECORD, limits=Limits(**{name: minimum})), BY)
    with pytest.raises(BadRequestError) as refused:
        await store.create(key("ffffffffffff", limits={name: less}, shards=SHARDS), BY)
    assert refused.value.param == name
    with pytest.raises(BadRequestError):
        await store.update(KEY_ID, lambda record: replace(record, limits=Limits(**{name: less})), BY)
    await store.create(key("ffffffffffff", limits={name: less}), BY)


def test_existing_key_with_too_small_shares_can_be_revoked() -> None:
    old = replace(RECORD, limits=Limits(rpm=1))
    assert key_changes.check(old, revoked(old)).status == "revoked"


async def test_admission_and_settlement_of_a_sharded_key_are_three_writes(
    dynamodb_store: DynamoDBStore, wire: Wire
) -> None:
    store = dynamodb_store
    await store.create(RECORD, BY)
    await store.admit(hold("first"))
    wire.requests.clear()
    random.seed(1)  # shards are chosen at random; with this seed, twenty requests use all of them
    for i in range(20):
        requested = hold(request_id(i), tokens=10)
        await store.admit(requested)
        assert await store.settle(usage(requested.hold_id), requested) is True
        assert await store.settle(usage(requested.hold_id), requested) is False
    assert Counter(wire.operations)["UpdateItem"] <= 20 * 3
    assert len({body["Key"]["sk"]["S"] for operation, body in wire.requests if operation == "UpdateItem"}) == SHARDS


async def test_refusal_tries_each_shard_once_and_has_the_whole_balance(
    dynamodb_store: DynamoDBStore, wire: Wire
) -> None:
    store = dynamodb_store
    await store.create(RECORD, BY)
    for i in range(50):
        await store.admit(hold(request_id(i)))
    wire.requests.clear()
    with pytest.raises(RefusedError, match="concurrency") as refused:
        await store.admit(hold("one more"))
    assert wire.operations == ["UpdateItem"] * SHARDS
    assert refused.value.account == await store.get(KEY_ID)
    wire.requests.clear()
    await store.update(KEY_ID, lambda record: replace(record, models=("x",)), BY)
    wire.requests.clear()
    with pytest.raises(RefusedError, match="model") as refused:
        await store.admit(hold("one more"))
    assert wire.operations == ["UpdateItem"]
    assert refused.value.account.record.limits == RECORD.limits


async def test_repeated_admission_reserves_once(store: Store) -> None:
    await store.create(RECORD, BY)
    await store.admit(hold("first"))
    for _ in range(10):
        await store.admit(hold(micro_usd=1000))
    after = await balance(store)
    assert (after.requests_left, after.budget_left) == (60, 999_003)


async def test_another_process_finds_the_shard_of_a_hold(
    open_dynamodb_store: OpenDynamoDBStore, dynamodb_store: DynamoDBStore
) -> None:
    await dynamodb_store.create(RECORD, BY)
    await dynamodb_store.admit(hold("first"))
    for i in range(8):
        requested = hold(request_id(i), micro_usd=1000)
        await dynamodb_store.admit(requested)
        other = open_dynamodb_store()
        assert await other.settle(usage(requested.hold_id, usd="0.0001"), requested) is True
        assert await other.settle(usage(requested.hold_id, usd="0.0001"), requested) is False
    assert await open_holds(dynamodb_store) == {"first"}
    assert (await balance(dynamodb_store)).budget_left == 1_000_003 - 8 * 100


async def test_deleted_shard_refuses(open_dynamodb_store: OpenDynamoDBStore, dynamodb_store: DynamoDBStore) -> None:
    await dynamodb_store.create(RECORD, BY)
    await dynamodb_store.admit(hold(REQUEST))
    other = open_dynamodb_store()
    await other.delete(KEY_ID, BY)
    for i in range(5):
        with pytest.raises(AuthenticationError):
            await dynamodb_store.admit(hold(request_id(i), opened_at=NOW))
