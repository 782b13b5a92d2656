"""What DynamoDB alone is asked: how often, and what becomes of answers that only a real table gives."""

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from contract.bench import balance, records
from contract.examples import BY, KEY_ID, MINUTE, NOW, REQUEST, budget, hold, key, request_id, usage
from contract.wire import Wire, fails, passes, says
from support.dynamodb_local import template
from tollgate.gateway.admission import RefusedError
from tollgate.gateway.errors import AuthenticationError, StoreUnavailableError
from tollgate.stores.dynamodb.store import DynamoDBStore

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Store = DynamoDBStore
CONFLICT = fails("TransactionConflictException")
CANCELLED = "TransactionCanceledException"
LIMITS = {"rpm": 10, "tpm": 1000, "concurrency": 2, "budget": budget("1", "day")}
HELD = hold(tokens=500, micro_usd=300_000)
DAY = 86_400
PLACE = {"pk": {"S": f"KEY#{KEY_ID}"}, "sk": {"S": "META"}}


@pytest.fixture
async def store(dynamodb_store: Store, wire: Wire) -> Store:
    """With a key in the first window it is used in."""
    await dynamodb_store.create(key(limits=LIMITS, models=("fast",), created_at=MINUTE), BY)
    await dynamodb_store.admit(hold("warm", opened_at=MINUTE + 0.1, expires_at=NOW + 900))
    await dynamodb_store.settle(usage("warm", tokens=0, usd="0"), hold("warm", opened_at=MINUTE + 0.1))
    wire.asked.clear()
    return dynamodb_store


async def test_admission_is_one_update(store: Store, wire: Wire) -> None:
    await store.admit(HELD)
    assert wire.operations == ["UpdateItem"]


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        ("tokens", {"tokens": 1001}),
        ("budget", {"micro_usd": 1_000_001}),
        ("model", {"model": "slow"}),
        ("unpriced", {"priced": False}),
    ],
)
async def test_a_refused_admission_is_one_update(store: Store, wire: Wire, kind: str, asked: dict[str, Any]) -> None:
    with pytest.raises(RefusedError, match=kind):
        await store.admit(hold(**asked))
    assert wire.operations == ["UpdateItem"]


async def test_one_request_too_many_is_one_update(store: Store, wire: Wire) -> None:
    for i in range(2):
        await store.admit(hold(f"hold {i}"))
    wire.asked.clear()
    with pytest.raises(RefusedError, match="concurrency"):
        await store.admit(hold("third"))
    assert wire.operations == ["UpdateItem"]
    await store.update(KEY_ID, lambda record: replace(record, limits=replace(record.limits, rpm=3)), BY)
    wire.asked.clear()
    with pytest.raises(RefusedError, match="requests"):
        await store.admit(hold("third"))
    assert wire.operations == ["UpdateItem"]


async def test_a_key_that_may_not_is_one_update(store: Store, wire: Wire) -> None:
    await store.update(KEY_ID, lambda record: replace(record, status="revoked"), BY)
    wire.asked.clear()
    with pytest.raises(AuthenticationError):
        await store.admit(HELD)
    assert wire.operations == ["UpdateItem"]


async def test_a_refusal_in_a_new_window_is_one_update(store: Store, wire: Wire) -> None:
    with pytest.raises(RefusedError, match="tokens"):
        await store.admit(hold(tokens=1001, opened_at=NOW + 60))
    assert wire.operations == ["UpdateItem"]


async def test_the_first_admission_of_a_window_is_two_updates(store: Store, wire: Wire) -> None:
    await store.admit(hold(opened_at=NOW + 60))
    assert wire.operations == ["UpdateItem"] * 2


async def test_a_new_model_is_two_updates_the_first_time(store: Store, wire: Wire) -> None:
    await store.update(KEY_ID, lambda record: replace(record, models=("*",)), BY)
    for model, requests in (("a", 2), ("a", 1), ("b", 2), ("a", 1)):
        wire.asked.clear()
        await store.admit(hold(f"{model} {requests}", model=model))
        assert wire.operations == ["UpdateItem"] * requests
        await store.settle(usage(f"{model} {requests}"), hold(f"{model} {requests}"))


@pytest.mark.parametrize("seconds", [1, 60, 3600, DAY])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("per", ["day", "month", "total", None])
async def test_settlement_is_two_writes_whenever_it_comes(
    store: Store, wire: Wire, seconds: int, turned: bool, per: Any
) -> None:
    limits = replace(key(limits=LIMITS).limits, budget=per and budget("1", per))
    await store.update(KEY_ID, lambda record: replace(record, limits=limits), BY)
    long = replace(HELD, expires_at=NOW + 2 * DAY)
    await store.admit(long)
    if turned:
        await store.admit(hold("other", opened_at=NOW + seconds))
    wire.asked.clear()
    assert await store.settle(usage(usd="0.1", latency_ms=seconds * 1000), long) is True
    assert wire.operations == ["PutItem", "UpdateItem"]


async def test_ended_holds_are_closed_a_few_at_a_time(store: Store, wire: Wire) -> None:
    await store.update(KEY_ID, lambda record: replace(record, limits=key(limits={"concurrency": 60}).limits), BY)
    for i in range(60):
        await store.admit(hold(request_id(i), expires_at=NOW + 10))
    for turn, closed in enumerate((25, 25, 10)):
        wire.asked.clear()
        await store.admit(hold(f"after {turn}", opened_at=NOW + 10 + 60 * turn))
        assert wire.operations == ["UpdateItem", *["GetItem"] * closed, "UpdateItem", "UpdateItem"]
    assert set((await balance(store)).leases) == {"after 0", "after 1", "after 2"}


async def test_settling_again_is_two_refused_writes(store: Store, wire: Wire) -> None:
    await store.admit(HELD)
    await store.settle(usage(), HELD)
    wire.asked.clear()
    await store.settle(usage(), HELD)
    assert wire.operations == ["PutItem", "UpdateItem"]


async def test_settling_for_a_process_that_knows_nothing_is_three_writes_at_most(
    client: "DynamoDBClient", table: str, store: Store, wire: Wire
) -> None:
    await store.admit(HELD)
    wire.asked.clear()
    await DynamoDBStore(table, client=client).settle(usage(usd="0.1"), HELD)
    assert wire.operations == ["PutItem", "UpdateItem", "UpdateItem"]
    assert (await balance(store)).budget_left == 900_000


async def test_reading_a_key_and_one_record_is_consistent(store: Store, wire: Wire) -> None:
    await store.get(KEY_ID)
    await store.usage_of(KEY_ID, REQUEST)
    assert [(operation, asked["ConsistentRead"]) for operation, asked in wire.asked] == [
        ("Query", True),
        ("GetItem", True),
    ]


@pytest.mark.usefixtures("crowded")
async def test_a_crowd_in_a_new_window_needs_few_tries(store: Store, wire: Wire) -> None:
    await store.update(KEY_ID, lambda record: replace(record, limits=key(limits={"rpm": 60}).limits), BY)
    wire.asked.clear()
    crowd = (store.admit(hold(request_id(i), opened_at=NOW + 60)) for i in range(200))
    outcomes = await asyncio.gather(*crowd, return_exceptions=True)
    assert sum(not isinstance(outcome, BaseException) for outcome in outcomes) == 60
    assert len(wire.operations) <= 200 + 5 * 32  # threads: nobody else can have seen the old window


async def test_admission_waits_for_a_transaction_in_its_way(store: Store, wire: Wire) -> None:
    wire.answers.extend([CONFLICT, CONFLICT])
    await store.admit(HELD)
    assert wire.operations == ["UpdateItem"] * 3


async def test_settlement_waits_for_a_transaction_in_its_way(store: Store, wire: Wire) -> None:
    await store.admit(HELD)
    wire.asked.clear()
    wire.answers.extend([passes, CONFLICT])
    assert await store.settle(usage(), HELD) is True
    assert wire.operations == ["PutItem", "UpdateItem", "UpdateItem"]


@pytest.mark.parametrize("reason", ["TransactionConflict", "ThrottlingError"])
async def test_a_change_waits_for_a_write_in_its_way(store: Store, wire: Wire, reason: str) -> None:
    wire.answers.extend([passes, fails(CANCELLED, CancellationReasons=[{"Code": reason}, {"Code": "None"}])])
    await store.update(KEY_ID, lambda record: replace(record, name="new"), BY)
    assert wire.operations == ["Query", "TransactWriteItems", "TransactWriteItems"]


async def test_a_conflict_without_end_is_an_unavailable_store(store: Store, wire: Wire) -> None:
    wire.answers.extend([CONFLICT] * 20)
    async with asyncio.timeout(5):
        with pytest.raises(StoreUnavailableError):
            await store.admit(HELD)
    wire.answers.clear()


async def test_others_that_are_always_faster_are_an_unavailable_store(
    client: "DynamoDBClient", table: str, store: Store, wire: Wire
) -> None:
    item = client.get_item(TableName=table, Key=PLACE)["Item"]  # type: ignore[typeddict-item]
    refused = fails("ConditionalCheckFailedException", Item=item)
    wire.answers.extend([refused] * 30)
    async with asyncio.timeout(5):
        with pytest.raises(StoreUnavailableError):
            await store.admit(HELD)
    wire.answers.clear()


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException", "ThrottlingException"])
async def test_a_refusal_is_told_without_the_account(store: Store, wire: Wire, code: str) -> None:
    private = "User: arn:aws:sts::123456789012:assumed-role/tollgate is not authorized to perform"
    wire.answers.extend([fails(code, private)] * 2)
    with pytest.raises(StoreUnavailableError) as raised:
        await store.settle(usage(), HELD)
    assert "arn:" not in raised.value.message
    assert "123456789012" not in str(raised.value)
    assert raised.value.retry_after == 1
    assert private in str(raised.value.__cause__)
    wire.answers.clear()


async def test_every_page_of_the_index_is_read(client: "DynamoDBClient", store: Store, wire: Wire) -> None:
    def two_at_a_time(params: dict[str, Any], **_: Any) -> None:
        params["Limit"] = 2

    more = [key(f"{i:012x}", created_at=2_000_000_000 + i) for i in range(4)]
    for record in more:
        await store.create(record, BY)
    wire.asked.clear()
    client.meta.events.register("before-parameter-build.dynamodb.Query", two_at_a_time)
    try:
        assert len(await store.list()) == 5
        assert wire.operations == ["Query"] * 3 + ["BatchGetItem"]
        for record in (usage(request_id(i)) for i in range(5)):
            await store.settle(record, hold(record.request_id))
        assert len(await records(store)) == 5
    finally:
        client.meta.events.unregister("before-parameter-build.dynamodb.Query", two_at_a_time)


async def test_keys_that_a_busy_table_left_out_are_asked_for_again(table: str, store: Store, wire: Wire) -> None:
    left_out = says(200, {"Responses": {table: []}, "UnprocessedKeys": {table: {"Keys": [PLACE]}}})
    wire.answers.extend([says(200, {"Items": [PLACE], "Count": 1}), left_out])
    assert [record.key_id for record in await store.list()] == [KEY_ID]
    assert wire.operations == ["Query", "BatchGetItem", "BatchGetItem"]


async def test_keys_that_never_come_are_an_unavailable_store(table: str, store: Store, wire: Wire) -> None:
    left_out = says(200, {"Responses": {table: []}, "UnprocessedKeys": {table: {"Keys": [PLACE]}}})
    wire.answers.extend([says(200, {"Items": [PLACE], "Count": 1}), *[left_out] * 20])
    with pytest.raises(StoreUnavailableError):
        await store.list()
    wire.answers.clear()


async def test_a_usage_record_lives_for_thirty_days(
    client: "DynamoDBClient", table: str, store: Store, time: Any
) -> None:
    await store.settle(usage(started_at=NOW + 0.5), HELD)
    place: Any = {"pk": {"S": f"USE#{KEY_ID}"}, "sk": {"S": f"REQ#{REQUEST}"}}
    answer = client.get_item(TableName=table, Key=place)
    assert answer.get("Item", {})["ttl"] == {"N": str(MINUTE + 30 * DAY)}
    deployed = template()["Resources"]["Table"]["Properties"]["TimeToLiveSpecification"]
    assert deployed == {"AttributeName": "ttl", "Enabled": True}
    for now, there in ((MINUTE + 30 * DAY - 1.0, True), (MINUTE + 30 * DAY + 0.0, False)):
        time.now = now  # DynamoDB deletes it some time later
        assert (await store.usage_of(KEY_ID, REQUEST) is not None) is there
        assert (usage(started_at=NOW + 0.5) in await records(store)) is there


async def test_money_travels_as_decimal_text(store: Store, wire: Wire) -> None:
    await store.settle(usage(), HELD)
    assert wire.asked[0][1]["Item"]["cost_usd"] == {"N": "0.000123"}


async def test_a_key_of_the_first_version_is_unlimited(
    client: "DynamoDBClient", table: str, store: Store, wire: Wire
) -> None:
    old: Any = {
        "pk": {"S": "KEY#ffffffffffff"},
        "sk": {"S": "META"},
        "key_hash": {"S": key("ffffffffffff").key_hash},
        "name": {"S": "old"},
        "status": {"S": "active"},
        "created_at": {"N": "1700000000"},
        "listed": {"S": "key"},
        "leases": {"M": {"req_1": {"M": {"opened_at": {"N": "1.5"}, "expires_at": {"N": "900.5"}}}}},
    }
    client.put_item(TableName=table, Item=old)
    shown = replace(HELD.key, key_id="ffffffffffff")
    assert "old" in [record.name for record in await store.list()]
    account = await store.get("ffffffffffff")
    assert account is not None
    for i in range(3):
        admitted = await store.admit(replace(hold(f"hold {i}"), key=shown))
        assert admitted.record == account.record
    assert set((await balance(store, "ffffffffffff")).leases) == {f"hold {i}" for i in range(3)}
    client.put_item(TableName=table, Item=old)
    await store.update("ffffffffffff", lambda record: replace(record, name="older"), BY)
    await store.delete("ffffffffffff", BY)
    assert await store.get("ffffffffffff") is None
