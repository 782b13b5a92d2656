"""The number and content of requests to DynamoDB, and the handling of its errors."""

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from contract.examples import BY, KEY_ID, MINUTE, NOW, REQUEST, budget, hold, key, request_id, usage
from contract.store_state import OpenDynamoDBStore, balance, records
from contract.wire import Wire, forward, respond, respond_with_error
from support.dynamodb_local import template
from tollgate.gateway.admission import RefusedError
from tollgate.gateway.errors import AuthenticationError, StoreUnavailableError
from tollgate.stores.dynamodb.store import DynamoDBStore

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Store = DynamoDBStore
CONFLICT = respond_with_error("TransactionConflictException")
CANCELLED = "TransactionCanceledException"
LIMITS = {"rpm": 10, "tpm": 1000, "concurrency": 2, "budget": budget("1", "day")}
HELD = hold(tokens=500, micro_usd=300_000)
DAY = 86_400
PRIMARY_KEY = {"pk": {"S": f"KEY#{KEY_ID}"}, "sk": {"S": "META"}}


@pytest.fixture
async def store(dynamodb_store: Store, wire: Wire) -> Store:
    """A store with a key that has begun its first window."""
    await dynamodb_store.create(key(limits=LIMITS, models=("fast",), created_at=MINUTE), BY)
    await dynamodb_store.admit(hold("first", opened_at=MINUTE + 0.1, expires_at=NOW + 900))
    await dynamodb_store.settle(usage("first", tokens=0, usd="0"), hold("first", opened_at=MINUTE + 0.1))
    wire.requests.clear()
    return dynamodb_store


async def test_admission_is_one_update(store: Store, wire: Wire) -> None:
    await store.admit(HELD)
    assert wire.operations == ["UpdateItem"]


@pytest.mark.parametrize(
    ("kind", "requested"),
    [
        ("tokens", {"tokens": 1001}),
        ("budget", {"micro_usd": 1_000_001}),
        ("model", {"model": "slow"}),
        ("unpriced", {"priced": False}),
    ],
)
async def test_refused_admission_is_one_update(store: Store, wire: Wire, kind: str, requested: dict[str, Any]) -> None:
    with pytest.raises(RefusedError, match=kind):
        await store.admit(hold(**requested))
    assert wire.operations == ["UpdateItem"]


async def test_refusal_by_a_count_is_one_update(store: Store, wire: Wire) -> None:
    for i in range(2):
        await store.admit(hold(f"hold {i}"))
    wire.requests.clear()
    with pytest.raises(RefusedError, match="concurrency"):
        await store.admit(hold("third"))
    assert wire.operations == ["UpdateItem"]
    await store.update(KEY_ID, lambda record: replace(record, limits=replace(record.limits, rpm=3)), BY)
    wire.requests.clear()
    with pytest.raises(RefusedError, match="requests"):
        await store.admit(hold("third"))
    assert wire.operations == ["UpdateItem"]


async def test_refusal_of_a_revoked_key_is_one_update(store: Store, wire: Wire) -> None:
    await store.update(KEY_ID, lambda record: replace(record, status="revoked"), BY)
    wire.requests.clear()
    with pytest.raises(AuthenticationError):
        await store.admit(HELD)
    assert wire.operations == ["UpdateItem"]


async def test_refusal_in_a_new_window_is_one_update(store: Store, wire: Wire) -> None:
    with pytest.raises(RefusedError, match="tokens"):
        await store.admit(hold(tokens=1001, opened_at=NOW + 60))
    assert wire.operations == ["UpdateItem"]


async def test_first_admission_of_a_window_is_two_updates(store: Store, wire: Wire) -> None:
    await store.admit(hold(opened_at=NOW + 60))
    assert wire.operations == ["UpdateItem"] * 2


async def test_first_admission_of_a_model_is_two_updates(store: Store, wire: Wire) -> None:
    await store.update(KEY_ID, lambda record: replace(record, models=("*",)), BY)
    for model, requests in (("a", 2), ("a", 1), ("b", 2), ("a", 1)):
        wire.requests.clear()
        await store.admit(hold(f"{model} {requests}", model=model))
        assert wire.operations == ["UpdateItem"] * requests
        await store.settle(usage(f"{model} {requests}"), hold(f"{model} {requests}"))


@pytest.mark.parametrize("seconds", [1, 60, 3600, DAY])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("per", ["day", "month", "total", None])
async def test_settlement_is_two_writes_at_any_time(
    store: Store, wire: Wire, seconds: int, turned: bool, per: Any
) -> None:
    limits = replace(key(limits=LIMITS).limits, budget=per and budget("1", per))
    await store.update(KEY_ID, lambda record: replace(record, limits=limits), BY)
    long = replace(HELD, expires_at=NOW + 2 * DAY)
    await store.admit(long)
    if turned:
        await store.admit(hold("other", opened_at=NOW + seconds))
    wire.requests.clear()
    assert await store.settle(usage(usd="0.1", latency_ms=seconds * 1000), long) is True
    assert wire.operations == ["PutItem", "UpdateItem"]


async def test_expired_holds_are_closed_in_batches(store: Store, wire: Wire) -> None:
    await store.update(KEY_ID, lambda record: replace(record, limits=key(limits={"concurrency": 60}).limits), BY)
    for i in range(60):
        await store.admit(hold(request_id(i), expires_at=NOW + 10))
    for turn, closed in enumerate((25, 25, 10)):
        wire.requests.clear()
        await store.admit(hold(f"after {turn}", opened_at=NOW + 10 + 60 * turn))
        assert wire.operations == ["UpdateItem", *["GetItem"] * closed, "UpdateItem", "UpdateItem"]
    assert set((await balance(store)).leases) == {"after 0", "after 1", "after 2"}


async def test_repeated_settlement_is_two_failed_writes(store: Store, wire: Wire) -> None:
    await store.admit(HELD)
    await store.settle(usage(), HELD)
    wire.requests.clear()
    await store.settle(usage(), HELD)
    assert wire.operations == ["PutItem", "UpdateItem"]


async def test_settlement_by_another_process_is_at_most_three_writes(
    open_dynamodb_store: OpenDynamoDBStore, store: Store, wire: Wire
) -> None:
    await store.admit(HELD)
    wire.requests.clear()
    await open_dynamodb_store().settle(usage(usd="0.1"), HELD)
    assert wire.operations == ["PutItem", "UpdateItem", "UpdateItem"]
    assert (await balance(store)).budget_left == 900_000


async def test_keys_and_single_records_are_read_consistently(store: Store, wire: Wire) -> None:
    await store.get(KEY_ID)
    await store.usage_of(KEY_ID, REQUEST)
    assert [(operation, body["ConsistentRead"]) for operation, body in wire.requests] == [
        ("Query", True),
        ("GetItem", True),
    ]


@pytest.mark.usefixtures("concurrent_requests")
async def test_concurrent_admissions_in_a_new_window_need_few_attempts(store: Store, wire: Wire) -> None:
    await store.update(KEY_ID, lambda record: replace(record, limits=key(limits={"rpm": 60}).limits), BY)
    wire.requests.clear()
    admissions = (store.admit(hold(request_id(i), opened_at=NOW + 60)) for i in range(200))
    outcomes = await asyncio.gather(*admissions, return_exceptions=True)
    assert sum(not isinstance(outcome, BaseException) for outcome in outcomes) == 60
    assert len(wire.operations) <= 200 + 5 * 32  # only the 32 calls at once can have read the old window


async def test_admission_is_retried_after_a_transaction_conflict(store: Store, wire: Wire) -> None:
    wire.responses.extend([CONFLICT, CONFLICT])
    await store.admit(HELD)
    assert wire.operations == ["UpdateItem"] * 3


async def test_settlement_is_retried_after_a_transaction_conflict(store: Store, wire: Wire) -> None:
    await store.admit(HELD)
    wire.requests.clear()
    wire.responses.extend([forward, CONFLICT])
    assert await store.settle(usage(), HELD) is True
    assert wire.operations == ["PutItem", "UpdateItem", "UpdateItem"]


@pytest.mark.parametrize("reason", ["TransactionConflict", "ThrottlingError"])
async def test_change_of_a_key_is_retried_after_a_conflict(store: Store, wire: Wire, reason: str) -> None:
    wire.responses.extend(
        [forward, respond_with_error(CANCELLED, CancellationReasons=[{"Code": reason}, {"Code": "None"}])]
    )
    await store.update(KEY_ID, lambda record: replace(record, name="new"), BY)
    assert wire.operations == ["Query", "TransactWriteItems", "TransactWriteItems"]


async def test_permanent_conflict_is_an_unavailable_store(store: Store, wire: Wire) -> None:
    wire.responses.extend([CONFLICT] * 20)
    async with asyncio.timeout(5):
        with pytest.raises(StoreUnavailableError):
            await store.admit(HELD)
    wire.responses.clear()


async def test_permanent_contention_is_an_unavailable_store(
    client: "DynamoDBClient", table: str, store: Store, wire: Wire
) -> None:
    item = client.get_item(TableName=table, Key=PRIMARY_KEY)["Item"]  # type: ignore[typeddict-item]
    refused = respond_with_error("ConditionalCheckFailedException", Item=item)
    wire.responses.extend([refused] * 30)
    async with asyncio.timeout(5):
        with pytest.raises(StoreUnavailableError):
            await store.admit(HELD)
    wire.responses.clear()


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException", "ThrottlingException"])
async def test_error_does_not_reveal_the_account(store: Store, wire: Wire, code: str) -> None:
    private = "User: arn:aws:sts::123456789012:assumed-role/tollgate is not authorized to perform"
    wire.responses.extend([respond_with_error(code, private)] * 2)
    with pytest.raises(StoreUnavailableError) as raised:
        await store.settle(usage(), HELD)
    assert "arn:" not in raised.value.message
    assert "123456789012" not in str(raised.value)
    assert raised.value.retry_after == 1
    assert private in str(raised.value.__cause__)
    wire.responses.clear()


async def test_all_pages_are_read(store: Store, wire: Wire) -> None:
    others = [key(f"{i:012x}", created_at=2_000_000_000 + i) for i in range(4)]
    for record in others:
        await store.create(record, BY)
    wire.requests.clear()
    wire.page_size = 2
    assert len(await store.list()) == 5
    assert wire.operations == ["Query"] * 3 + ["BatchGetItem"]
    for record in (usage(request_id(i)) for i in range(5)):
        await store.settle(record, hold(record.request_id))
    assert len(await records(store)) == 5


async def test_unprocessed_keys_are_requested_again(table: str, store: Store, wire: Wire) -> None:
    left_out = respond(200, {"Responses": {table: []}, "UnprocessedKeys": {table: {"Keys": [PRIMARY_KEY]}}})
    wire.responses.extend([respond(200, {"Items": [PRIMARY_KEY], "Count": 1}), left_out])
    assert [record.key_id for record in await store.list()] == [KEY_ID]
    assert wire.operations == ["Query", "BatchGetItem", "BatchGetItem"]


async def test_permanently_unprocessed_keys_are_an_unavailable_store(table: str, store: Store, wire: Wire) -> None:
    left_out = respond(200, {"Responses": {table: []}, "UnprocessedKeys": {table: {"Keys": [PRIMARY_KEY]}}})
    wire.responses.extend([respond(200, {"Items": [PRIMARY_KEY], "Count": 1}), *[left_out] * 20])
    with pytest.raises(StoreUnavailableError):
        await store.list()
    wire.responses.clear()


async def test_usage_record_expires_after_thirty_days(
    client: "DynamoDBClient", table: str, store: Store, clock: Any
) -> None:
    await store.settle(usage(started_at=NOW + 0.5), HELD)
    primary_key: Any = {"pk": {"S": f"USE#{KEY_ID}"}, "sk": {"S": f"REQ#{REQUEST}"}}
    response = client.get_item(TableName=table, Key=primary_key)
    assert response.get("Item", {})["ttl"] == {"N": str(MINUTE + 30 * DAY)}
    deployed = template()["Resources"]["Table"]["Properties"]["TimeToLiveSpecification"]
    assert deployed == {"AttributeName": "ttl", "Enabled": True}
    for now, is_kept in ((MINUTE + 30 * DAY - 1.0, True), (MINUTE + 30 * DAY + 0.0, False)):
        clock.now = now  # DynamoDB deletes it later
        assert (await store.usage_of(KEY_ID, REQUEST) is not None) is is_kept
        assert (usage(started_at=NOW + 0.5) in await records(store)) is is_kept


async def test_money_is_sent_as_decimal_text(store: Store, wire: Wire) -> None:
    await store.settle(usage(), HELD)
    assert wire.requests[0][1]["Item"]["cost_usd"] == {"N": "0.000123"}
