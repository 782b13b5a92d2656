"""Lost responses of DynamoDB, and processes that end between two writes: nothing is charged twice."""

from dataclasses import replace

import pytest

from contract.examples import BY, KEY_ID, NOW, REQUEST, budget, hold, key, usage
from contract.store_state import OpenDynamoDBStore, balance, records
from contract.wire import ProcessEndedError, Wire, end_process, forward, lose_response, run_before
from support.dynamodb_local import DynamoDB
from tollgate.gateway.errors import StoreUnavailableError
from tollgate.stores.dynamodb.items import usage_item
from tollgate.stores.dynamodb.store import DynamoDBStore
from tollgate.stores.dynamodb.table import Table
from tollgate.stores.key_state import LATE_KEPT

Store = DynamoDBStore
LIMITS = {"rpm": 10, "tpm": 1000, "concurrency": 2, "budget": budget("1", "day")}
HELD = hold(tokens=500, micro_usd=300_000, expires_at=NOW + 20)
USED = usage(tokens=100, usd="0.1")


@pytest.fixture
async def store(dynamodb_store: Store, wire: Wire) -> Store:
    await dynamodb_store.create(key(limits=LIMITS), BY)
    wire.requests.clear()
    return dynamodb_store


@pytest.fixture
def idempotent_transactions(dynamodb: DynamoDB) -> None:
    """A DynamoDB that recognises repeated transactions by their ClientRequestToken."""
    if dynamodb.note:
        pytest.skip("moto ignores ClientRequestToken")


async def test_admission_with_a_lost_response_reserves_once(store: Store, wire: Wire) -> None:
    await store.admit(hold("first"))  # opens the window
    wire.requests.clear()
    wire.responses.append(lose_response)
    account = await store.admit(HELD)
    assert wire.operations == ["UpdateItem"] * 2
    assert account == await store.get(KEY_ID)
    assert (account.balance.requests_left, account.balance.tokens_left) == (8, 500)


async def test_admission_that_opens_a_window_reserves_once(store: Store, wire: Wire) -> None:
    wire.responses.extend([forward, lose_response])
    account = await store.admit(HELD)
    assert wire.operations == ["UpdateItem"] * 3
    assert account == await store.get(KEY_ID)
    assert (account.balance.requests_left, account.balance.tokens_left) == (9, 500)


async def test_admission_of_the_last_request_is_not_refused_by_its_retry(store: Store, wire: Wire) -> None:
    await store.update(KEY_ID, lambda record: replace(record, limits=key(limits={"rpm": 1}).limits), BY)
    wire.responses.extend([forward, lose_response])
    await store.admit(HELD)
    assert (await balance(store)).requests_left == 0


@pytest.mark.parametrize("lost", [[lose_response], [forward, lose_response], [lose_response, forward, lose_response]])
async def test_settlement_with_lost_responses_is_charged_once(store: Store, wire: Wire, lost: list[object]) -> None:
    await store.admit(HELD)
    wire.requests.clear()
    wire.responses.extend(lost)  # type: ignore[arg-type]
    assert await store.settle(USED, HELD) is True
    assert wire.operations.count("PutItem") + wire.operations.count("UpdateItem") == 2 + lost.count(lose_response)
    after = await balance(store)
    assert (after.leases, after.tokens_left, after.budget_left) == ({}, 900, 900_000)
    assert await records(store) == [USED]


@pytest.mark.usefixtures("idempotent_transactions")
async def test_change_of_a_key_is_made_once(store: Store, wire: Wire) -> None:
    wire.responses.append(lose_response)
    await store.create(key("ffffffffffff"), BY)
    wire.responses.extend([forward, lose_response])
    await store.update("ffffffffffff", lambda record: replace(record, name=record.name + "!"), BY)
    account = await store.get("ffffffffffff")
    assert account is not None
    assert account.record.name == key().name + "!"
    wire.responses.extend([forward, lose_response])
    await store.delete("ffffffffffff", BY)
    assert [entry.action for entry in await store.audit("ffffffffffff")] == ["create", "update", "delete"]


@pytest.mark.parametrize("end", [lose_response, end_process])
async def test_hold_of_an_ended_process_is_released(
    open_dynamodb_store: OpenDynamoDBStore, store: Store, wire: Wire, end: object
) -> None:
    wire.responses.extend([forward, *[end] * 2])  # type: ignore[list-item]
    with pytest.raises((StoreUnavailableError, ProcessEndedError)):
        await store.admit(HELD)
    wire.responses.clear()
    other = open_dynamodb_store()
    after = (await other.admit(hold("next", opened_at=NOW + 20, tokens=1000, micro_usd=1_000_000))).balance
    assert set(after.leases) == {"next"}


async def test_settlement_ended_between_its_writes_is_completed_by_the_next_admission(
    open_dynamodb_store: OpenDynamoDBStore, store: Store, wire: Wire
) -> None:
    await store.admit(HELD)
    wire.responses.extend([forward, end_process])
    with pytest.raises(ProcessEndedError):
        await store.settle(USED, HELD)
    assert await records(store) == [USED]
    assert set((await balance(store)).leases) == {REQUEST}
    other = open_dynamodb_store()
    await other.admit(hold("read first", opened_at=NOW + 20, tokens=501))
    after = await balance(store)
    assert (after.tokens_left, after.budget_left) == (1000 - 100 - 501, 900_000)
    assert await other.settle(USED, HELD) is False
    assert await balance(store) == after


async def test_settlement_ended_between_its_writes_is_completed_by_settling_again(store: Store, wire: Wire) -> None:
    await store.admit(HELD)
    wire.responses.extend([forward, end_process])
    with pytest.raises(ProcessEndedError):
        await store.settle(USED, HELD)
    assert await store.settle(usage(tokens=999, usd="0.9"), HELD) is True  # the existing record is charged
    assert await records(store) == [USED]
    after = await balance(store)
    assert (after.leases, after.tokens_left, after.budget_left) == ({}, 900, 900_000)


async def test_expired_holds_are_closed_once_if_the_response_is_lost(store: Store, wire: Wire) -> None:
    await store.admit(HELD)
    await store.admit(hold("also", tokens=500, micro_usd=1, expires_at=NOW + 20))
    wire.responses.extend([forward, forward, forward, lose_response])
    after = (await store.admit(hold("next", opened_at=NOW + 20, tokens=1000))).balance
    assert wire.operations[-6:-3] == ["UpdateItem", "GetItem", "GetItem"]
    assert (set(after.leases), after.tokens_left, after.budget_left) == ({"next"}, 0, 1_000_000)


async def test_settlement_while_its_hold_is_closed_is_charged_once(
    open_dynamodb_store: OpenDynamoDBStore, store: Store, wire: Wire
) -> None:
    other = open_dynamodb_store()
    await store.admit(HELD)
    wire.responses.extend([forward, forward, run_before(lambda: other.settle(USED, HELD))])
    after = (await store.admit(hold("next", opened_at=NOW + 20, tokens=800))).balance
    assert (set(after.leases), after.tokens_left, after.budget_left) == ({"next"}, 100, 900_000)


async def test_record_written_while_its_hold_is_closed_is_charged_at_settlement(
    dynamodb: DynamoDB, table: str, store: Store, wire: Wire
) -> None:
    await store.admit(HELD)
    table_only = Table(dynamodb.store_client(wire), table)
    wire.responses.extend([forward, forward, run_before(lambda: table_only.put_if_absent(usage_item(USED)))])
    await store.admit(hold("next", opened_at=NOW + 20, tokens=800))
    assert (await balance(store)).budget_left == 1_000_000
    assert await store.settle(USED, HELD) is True  # the second write
    assert await store.settle(USED, HELD) is False
    after = await balance(store)
    assert (set(after.leases), after.tokens_left, after.budget_left) == ({"next"}, 100, 900_000)


async def test_record_without_a_settlement_is_charged_after_late_kept(
    dynamodb: DynamoDB, table: str, store: Store, wire: Wire
) -> None:
    await store.admit(HELD)
    table_only = Table(dynamodb.store_client(wire), table)
    wire.responses.extend([forward, forward, run_before(lambda: table_only.put_if_absent(usage_item(USED)))])
    await store.admit(hold("next", opened_at=NOW + 20, tokens=800))
    await store.admit(hold("much later", opened_at=NOW + 20 + LATE_KEPT))
    assert (await balance(store)).budget_left == 900_000
    assert await store.settle(USED, HELD) is False
    assert (await balance(store)).budget_left == 900_000
