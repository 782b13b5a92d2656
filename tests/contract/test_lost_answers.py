"""Writes to DynamoDB whose answer never came, and processes that ended between two writes: nothing counts twice."""

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from contract.bench import balance, records
from contract.examples import BY, KEY_ID, NOW, REQUEST, budget, hold, key, usage
from contract.wire import DiedError, Wire, dies, is_lost, meanwhile, passes
from support.dynamodb_local import DynamoDB
from tollgate.gateway.errors import StoreUnavailableError
from tollgate.stores.dynamodb.items import usage_item
from tollgate.stores.dynamodb.store import DynamoDBStore
from tollgate.stores.dynamodb.table import Table
from tollgate.stores.key_state import LATE_KEPT

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Store = DynamoDBStore
LIMITS = {"rpm": 10, "tpm": 1000, "concurrency": 2, "budget": budget("1", "day")}
HELD = hold(tokens=500, micro_usd=300_000, expires_at=NOW + 20)
USED = usage(tokens=100, usd="0.1")


@pytest.fixture
async def store(dynamodb_store: Store, wire: Wire) -> Store:
    await dynamodb_store.create(key(limits=LIMITS), BY)
    wire.asked.clear()
    return dynamodb_store


@pytest.fixture
def repeatable(dynamodb: DynamoDB) -> None:
    """A DynamoDB that knows a transaction again by its ClientRequestToken."""
    if dynamodb.note:
        pytest.skip("moto does not look at ClientRequestToken")


async def test_an_admission_holds_once(store: Store, wire: Wire) -> None:
    await store.admit(hold("first"))  # opens the window
    wire.asked.clear()
    wire.answers.append(is_lost)
    account = await store.admit(HELD)
    assert wire.operations == ["UpdateItem"] * 2
    assert account == await store.get(KEY_ID)
    assert (account.balance.requests_left, account.balance.tokens_left) == (8, 500)


async def test_an_admission_that_opens_a_window_holds_once(store: Store, wire: Wire) -> None:
    wire.answers.extend([passes, is_lost])
    account = await store.admit(HELD)
    assert wire.operations == ["UpdateItem"] * 3
    assert account == await store.get(KEY_ID)
    assert (account.balance.requests_left, account.balance.tokens_left) == (9, 500)


async def test_the_last_admission_of_all_is_no_refusal(store: Store, wire: Wire) -> None:
    await store.update(KEY_ID, lambda record: replace(record, limits=key(limits={"rpm": 1}).limits), BY)
    wire.answers.extend([passes, is_lost])
    await store.admit(HELD)
    assert (await balance(store)).requests_left == 0


@pytest.mark.parametrize("lost", [[is_lost], [passes, is_lost], [is_lost, passes, is_lost]])
async def test_a_settlement_counts_once_and_as_this_one(store: Store, wire: Wire, lost: list[object]) -> None:
    await store.admit(HELD)
    wire.asked.clear()
    wire.answers.extend(lost)  # type: ignore[arg-type]
    assert await store.settle(USED, HELD) is True
    assert wire.operations.count("PutItem") + wire.operations.count("UpdateItem") == 2 + lost.count(is_lost)
    now = await balance(store)
    assert (now.leases, now.tokens_left, now.budget_left) == ({}, 900, 900_000)
    assert await records(store) == [USED]


@pytest.mark.usefixtures("repeatable")
async def test_a_change_of_a_key_is_made_once(store: Store, wire: Wire) -> None:
    wire.answers.append(is_lost)
    await store.create(key("ffffffffffff"), BY)
    wire.answers.extend([passes, is_lost])
    await store.update("ffffffffffff", lambda record: replace(record, name=record.name + "!"), BY)
    account = await store.get("ffffffffffff")
    assert account is not None
    assert account.record.name == key().name + "!"
    wire.answers.extend([passes, is_lost])
    await store.delete("ffffffffffff", BY)
    assert [entry.action for entry in await store.audit("ffffffffffff")] == ["create", "update", "delete"]


@pytest.mark.parametrize("end", [is_lost, dies])
async def test_an_admission_whose_process_ended_comes_back(
    client: "DynamoDBClient", table: str, store: Store, wire: Wire, end: object
) -> None:
    wire.answers.extend([passes, *[end] * 2])  # type: ignore[list-item]
    with pytest.raises((StoreUnavailableError, DiedError)):
        await store.admit(HELD)
    wire.answers.clear()
    other = DynamoDBStore(table, client=client)
    now = (await other.admit(hold("next", opened_at=NOW + 20, tokens=1000, micro_usd=1_000_000))).balance
    assert set(now.leases) == {"next"}


async def test_a_process_that_ended_between_the_two_writes_is_put_right_by_the_next_admission(
    client: "DynamoDBClient", table: str, store: Store, wire: Wire
) -> None:
    await store.admit(HELD)
    wire.answers.extend([passes, dies])
    with pytest.raises(DiedError):
        await store.settle(USED, HELD)
    assert await records(store) == [USED]
    assert set((await balance(store)).leases) == {REQUEST}
    other = DynamoDBStore(table, client=client)
    await other.admit(hold("opens the slow path", opened_at=NOW + 20, tokens=501))
    now = await balance(store)
    assert (now.tokens_left, now.budget_left) == (1000 - 100 - 501, 900_000)
    assert await other.settle(USED, HELD) is False
    assert await balance(store) == now


async def test_a_process_that_ended_between_the_two_writes_is_put_right_by_settling_again(
    store: Store, wire: Wire
) -> None:
    await store.admit(HELD)
    wire.answers.extend([passes, dies])
    with pytest.raises(DiedError):
        await store.settle(USED, HELD)
    assert await store.settle(usage(tokens=999, usd="0.9"), HELD) is True  # what the record says counts
    assert await records(store) == [USED]
    now = await balance(store)
    assert (now.leases, now.tokens_left, now.budget_left) == ({}, 900, 900_000)


async def test_ended_holds_are_closed_once_though_the_answer_is_lost(store: Store, wire: Wire) -> None:
    await store.admit(HELD)
    await store.admit(hold("also", tokens=500, micro_usd=1, expires_at=NOW + 20))
    wire.answers.extend([passes, passes, passes, is_lost])
    now = (await store.admit(hold("next", opened_at=NOW + 20, tokens=1000))).balance
    assert wire.operations[-6:-3] == ["UpdateItem", "GetItem", "GetItem"]
    assert (set(now.leases), now.tokens_left, now.budget_left) == ({"next"}, 0, 1_000_000)


async def test_a_request_that_settles_while_its_hold_is_being_closed_counts_once(
    client: "DynamoDBClient", table: str, store: Store, wire: Wire
) -> None:
    other = DynamoDBStore(table, client=client)
    await store.admit(HELD)
    wire.answers.extend([passes, passes, meanwhile(lambda: asyncio.run(other.settle(USED, HELD)))])
    now = (await store.admit(hold("next", opened_at=NOW + 20, tokens=800))).balance
    assert (set(now.leases), now.tokens_left, now.budget_left) == ({"next"}, 100, 900_000)


async def test_a_record_that_comes_while_its_hold_is_being_closed_counts_when_it_is_settled(
    client: "DynamoDBClient", table: str, store: Store, wire: Wire
) -> None:
    await store.admit(HELD)
    table_only = Table(client, table)
    wire.answers.extend([passes, passes, meanwhile(lambda: table_only.put_if_absent(usage_item(USED)))])
    await store.admit(hold("next", opened_at=NOW + 20, tokens=800))
    assert (await balance(store)).budget_left == 1_000_000
    assert await store.settle(USED, HELD) is True  # its second write
    assert await store.settle(USED, HELD) is False
    now = await balance(store)
    assert (set(now.leases), now.tokens_left, now.budget_left) == ({"next"}, 100, 900_000)


async def test_where_that_settlement_never_comes_it_counts_some_time_later(
    client: "DynamoDBClient", table: str, store: Store, wire: Wire
) -> None:
    await store.admit(HELD)
    table_only = Table(client, table)
    wire.answers.extend([passes, passes, meanwhile(lambda: table_only.put_if_absent(usage_item(USED)))])
    await store.admit(hold("next", opened_at=NOW + 20, tokens=800))
    await store.admit(hold("much later", opened_at=NOW + 20 + LATE_KEPT))
    assert (await balance(store)).budget_left == 900_000
    assert await store.settle(USED, HELD) is False
    assert (await balance(store)).budget_left == 900_000
