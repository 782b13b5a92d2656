"""A key whose limits several items of the table share: one item of DynamoDB takes 1,000 writes a second, no more."""

import asyncio
import random
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from contract.bench import Time, admitted, balance, held, records
from contract.examples import BY, KEY_ID, MINUTE, NOW, REQUEST, budget, hold, key, request_id, usage
from contract.wire import Wire
from tollgate.gateway.admission import RefusedError
from tollgate.gateway.errors import AuthenticationError, BadRequestError
from tollgate.gateway.keys import revoked
from tollgate.gateway.limits import Limits
from tollgate.gateway.ports import Store
from tollgate.stores import key_changes
from tollgate.stores.dynamodb.store import DynamoDBStore
from tollgate.stores.key_state import shard_limits

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SHARDS = 4
LIMITS = {"rpm": 62, "tpm": 4001, "concurrency": 50, "budget": budget("1.000003", "day")}
RECORD = key(limits=LIMITS, shards=SHARDS, created_at=MINUTE)


def test_the_shares_add_up_to_the_limits() -> None:
    shares = [shard_limits(RECORD.limits, SHARDS, shard) for shard in range(SHARDS)]
    assert sum(each.rpm or 0 for each in shares) == 62
    assert sum(each.tpm or 0 for each in shares) == 4001
    assert sum(each.concurrency or 0 for each in shares) == 50
    assert sum(each.budget.usd for each in shares if each.budget) == budget("1.000003").usd
    assert shard_limits(Limits(), SHARDS, 1) == Limits()
    assert shard_limits(RECORD.limits, 1, 0) is RECORD.limits


async def test_a_key_with_shards_is_one_key(store: Store) -> None:
    await store.create(RECORD, BY)
    account = await store.get(KEY_ID)
    assert account is not None
    assert account.record == RECORD
    now = account.balance
    assert (now.requests_left, now.tokens_left, now.budget_left) == (62, 4001, 1_000_003)
    assert list(await store.list()) == [RECORD]
    unlimited = key("ffffffffffff", shards=3)
    await store.create(unlimited, BY)
    await store.admit(replace(hold(), key=replace(hold().key, key_id="ffffffffffff", key_hash=unlimited.key_hash)))
    assert (await balance(store, "ffffffffffff")).requests_left == 10**15 - 1


async def test_its_limits_are_exact(store: Store) -> None:
    await store.create(replace(RECORD, limits=Limits(rpm=62)), BY)
    for window in range(2):
        crowd = [hold(f"{window} {i}", opened_at=MINUTE + 60.0 * window) for i in range(120)]
        outcomes = Counter(await asyncio.gather(*(admitted(store, asked) for asked in crowd)))
        assert outcomes == {"admitted": 62, "requests": 58}


async def test_its_budget_and_records_agree(store: Store) -> None:
    async def one(number: int) -> None:
        asked = hold(request_id(number), tokens=20, micro_usd=1000, opened_at=MINUTE + 1.0 * (number % 100))
        await store.admit(asked)
        await store.settle(usage(asked.hold_id, usd=f"0.00{number:04d}", started_at=asked.opened_at), asked)

    await store.create(replace(RECORD, limits=replace(RECORD.limits, rpm=None, tpm=None, concurrency=None)), BY)
    await asyncio.gather(*(one(i) for i in range(100)))
    spent = sum(record.cost.micro_usd for record in await records(store))
    assert (await balance(store)).budget_left == 1_000_003 - spent
    assert await held(store) == set()


async def test_it_is_changed_and_deleted_as_a_whole(store: Store, time: Time) -> None:
    await store.create(RECORD, BY)
    for i in range(10):
        await store.admit(hold(request_id(i), tokens=10, micro_usd=100))
    new = replace(RECORD, name="new", limits=Limits(rpm=30, tpm=4000, budget=budget("2", "day")), models=("f*",))
    assert await store.update(KEY_ID, lambda _: new, BY) == new
    now = await balance(store)
    assert (now.requests_left, now.tokens_left, now.budget_left) == (20, 3900, 1_999_000)
    assert len(now.leases) == 10
    await store.update(KEY_ID, lambda record: replace(record, status="revoked"), BY)
    for i in range(20, 30):
        assert await admitted(store, hold(request_id(i))) == "unauthorized"
    await store.delete(KEY_ID, BY)
    assert await store.get(KEY_ID) is None
    time.now += 1
    await store.create(key(name="again"), BY)
    assert await admitted(store, hold("again")) == "admitted"
    assert [entry.action for entry in await store.audit(KEY_ID)] == ["create", "update", "revoke", "delete", "create"]


@pytest.mark.parametrize(
    ("name", "least", "less"),
    [("rpm", 4, 3), ("tpm", 4000, 3999), ("concurrency", 4, 3), ("budget", budget("0.4"), budget("0.399999"))],
)
async def test_a_share_has_room_for_a_usual_request(store: Store, name: str, least: Any, less: Any) -> None:
    await store.create(replace(RECORD, limits=Limits(**{name: least})), BY)
    with pytest.raises(BadRequestError) as refused:
        await store.create(key("ffffffffffff", limits={name: less}, shards=SHARDS), BY)
    assert refused.value.param == name
    with pytest.raises(BadRequestError):
        await store.update(KEY_ID, lambda record: replace(record, limits=Limits(**{name: less})), BY)
    await store.create(key("ffffffffffff", limits={name: less}), BY)


def test_a_key_with_too_small_shares_from_of_old_is_revoked_all_the_same() -> None:
    old = replace(RECORD, limits=Limits(rpm=1))
    assert key_changes.check(old, revoked(old)).status == "revoked"


async def test_usually_it_takes_one_write_and_two(dynamodb_store: DynamoDBStore, wire: Wire) -> None:
    store = dynamodb_store
    await store.create(RECORD, BY)
    await store.admit(hold("first"))
    wire.asked.clear()
    random.seed(1)  # shards are chosen by chance: this one meets all of them in twenty requests
    for i in range(20):
        asked = hold(request_id(i), tokens=10)
        await store.admit(asked)
        assert await store.settle(usage(asked.hold_id), asked) is True
        assert await store.settle(usage(asked.hold_id), asked) is False
    assert Counter(wire.operations)["UpdateItem"] <= 20 * 3
    assert len({asked["Key"]["sk"]["S"] for operation, asked in wire.asked if operation == "UpdateItem"}) == SHARDS


async def test_a_refusal_asks_each_shard_once_and_tells_of_all(dynamodb_store: DynamoDBStore, wire: Wire) -> None:
    store = dynamodb_store
    await store.create(RECORD, BY)
    for i in range(50):
        await store.admit(hold(request_id(i)))
    wire.asked.clear()
    with pytest.raises(RefusedError, match="concurrency") as refused:
        await store.admit(hold("one more"))
    assert wire.operations == ["UpdateItem"] * SHARDS
    assert refused.value.account == await store.get(KEY_ID)
    wire.asked.clear()
    await store.update(KEY_ID, lambda record: replace(record, models=("x",)), BY)
    wire.asked.clear()
    with pytest.raises(RefusedError, match="model") as refused:
        await store.admit(hold("one more"))
    assert wire.operations == ["UpdateItem"]
    assert refused.value.account.record.limits == RECORD.limits


async def test_a_repeated_admission_takes_nothing_twice(store: Store) -> None:
    await store.create(RECORD, BY)
    await store.admit(hold("first"))
    for _ in range(10):
        await store.admit(hold(micro_usd=1000))
    now = await balance(store)
    assert (now.requests_left, now.budget_left) == (60, 999_003)


async def test_a_process_that_knows_nothing_finds_the_hold(
    client: "DynamoDBClient", table: str, dynamodb_store: DynamoDBStore
) -> None:
    await dynamodb_store.create(RECORD, BY)
    await dynamodb_store.admit(hold("first"))
    for i in range(8):
        asked = hold(request_id(i), micro_usd=1000)
        await dynamodb_store.admit(asked)
        stranger = DynamoDBStore(table, client=client)
        assert await stranger.settle(usage(asked.hold_id, usd="0.0001"), asked) is True
        assert await stranger.settle(usage(asked.hold_id, usd="0.0001"), asked) is False
    assert await held(dynamodb_store) == {"first"}
    assert (await balance(dynamodb_store)).budget_left == 1_000_003 - 8 * 100


async def test_a_shard_that_is_no_more_refuses(
    client: "DynamoDBClient", table: str, dynamodb_store: DynamoDBStore
) -> None:
    await dynamodb_store.create(RECORD, BY)
    await dynamodb_store.admit(hold(REQUEST))
    other = DynamoDBStore(table, client=client)
    await other.delete(KEY_ID, BY)
    for i in range(5):
        with pytest.raises(AuthenticationError):
            await dynamodb_store.admit(hold(request_id(i), opened_at=NOW))
