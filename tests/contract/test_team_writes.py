"""The requests to DynamoDB for keys with and without a team, and processes that end between two of them."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from contract.examples import BY, KEY_ID, NOW, REQUEST, budget, hold, key, request_id, usage
from contract.store_state import OpenDynamoDBStore, balance, open_holds, records
from contract.teams import LIMITS, TEAM, team
from contract.wire import ProcessEndedError, Responder, Wire, end_process, forward, lose_response, run_before
from support.dynamodb_local import DynamoDB
from tollgate.gateway.admission import RefusedError
from tollgate.gateway.errors import AuthenticationError, StoreUnavailableError
from tollgate.gateway.limits import Limits
from tollgate.stores.dynamodb.items import key_primary_key
from tollgate.stores.dynamodb.store import DynamoDBStore

Store = DynamoDBStore
HELD = hold(tokens=500, micro_usd=300_000, expires_at=NOW + 20)
SETTLED = replace(HELD, team=TEAM)
USED = usage(tokens=100, usd="0.1")


@pytest.fixture
async def store(dynamodb_store: Store, wire: Wire) -> Store:
    """A store with a key of a team, in a window that both have begun."""
    await dynamodb_store.create(team(limits=LIMITS), BY)
    await dynamodb_store.create(key(limits=LIMITS, team=TEAM), BY)
    await dynamodb_store.admit(hold("first"))
    await dynamodb_store.settle(usage("first", tokens=0, usd="0"), hold("first", team=TEAM))
    wire.requests.clear()
    return dynamodb_store


@pytest.mark.parametrize("team_id", [None, TEAM])
async def test_team_costs_one_more_write_at_each_step(store: Store, wire: Wire, team_id: str | None) -> None:
    await store.update(KEY_ID, lambda record: replace(record, team=team_id), BY)
    more = ["UpdateItem"] * (team_id is not None)
    wire.requests.clear()
    await store.admit(HELD)
    assert wire.operations == ["UpdateItem", *more]
    wire.requests.clear()
    held = replace(HELD, team=team_id)
    await store.extend(held, 1000, 1)
    assert wire.operations == ["UpdateItem", *more]
    wire.requests.clear()
    await store.settle(USED, replace(held, micro_usd=301_000))
    assert wire.operations == ["PutItem", "UpdateItem", *more]


async def test_key_that_is_refused_costs_its_team_nothing(store: Store, wire: Wire) -> None:
    with pytest.raises(RefusedError, match="tokens"):
        await store.admit(hold(tokens=1001))
    assert wire.operations == ["UpdateItem"]


async def test_refusal_by_the_team_is_undone_by_one_write(store: Store, wire: Wire) -> None:
    await store.update(TEAM, lambda record: replace(record, limits=replace(record.limits, tpm=100)), BY)
    wire.requests.clear()
    with pytest.raises(RefusedError, match="tokens"):
        await store.admit(HELD)
    assert wire.operations == ["UpdateItem"] * 3


PLACES: list[Sequence[Responder]] = [[forward] * number for number in range(3)]


@pytest.mark.parametrize("before", PLACES)
async def test_lost_responses_take_nothing_twice(store: Store, wire: Wire, before: Sequence[Responder]) -> None:
    wire.responses.extend([*before, lose_response])
    await store.admit(HELD)
    wire.responses.clear()
    wire.responses.extend([*before, lose_response])
    assert await store.extend(SETTLED, 100_000, 1000) == 400_000
    wire.responses.clear()
    for account_id in (KEY_ID, TEAM):
        found = await balance(store, account_id)
        assert (found.requests_left, found.tokens_left, found.budget_left) == (8, 500, 600_000)
    wire.responses.extend([*before, lose_response])
    assert await store.settle(USED, replace(SETTLED, micro_usd=400_000)) is True
    for account_id in (KEY_ID, TEAM):
        found = await balance(store, account_id)
        assert (found.leases, found.tokens_left, found.budget_left) == ({}, 900, 900_000)


@pytest.mark.parametrize("before", PLACES[:2])
@pytest.mark.parametrize("end", [lose_response, end_process])
async def test_holds_of_a_process_that_ended_during_admission_are_released(
    open_dynamodb_store: OpenDynamoDBStore, store: Store, wire: Wire, before: Sequence[Responder], end: Responder
) -> None:
    wire.responses.extend([*before, end, end])
    with pytest.raises((StoreUnavailableError, ProcessEndedError)):
        await store.admit(HELD)
    wire.responses.clear()
    other = open_dynamodb_store()
    everything = hold("next", opened_at=NOW + 20, tokens=500, micro_usd=1_000_000)
    account = await other.admit(everything)
    assert account.team is not None
    assert (account.balance.budget_left, account.team.balance.budget_left) == (0, 0)
    assert await open_holds(store, TEAM) == {f"{KEY_ID}/next"}


@pytest.mark.parametrize("before", [[forward], [forward, forward]])
@pytest.mark.parametrize("again", [True, False])
async def test_settlement_that_ended_between_its_writes_is_completed(
    open_dynamodb_store: OpenDynamoDBStore, store: Store, wire: Wire, before: Sequence[Responder], again: bool
) -> None:
    await store.admit(HELD)
    wire.responses.extend([*before, end_process])
    with pytest.raises(ProcessEndedError):
        await store.settle(USED, SETTLED)
    assert USED in await records(store)
    other = open_dynamodb_store()
    if again:
        assert await other.settle(usage(tokens=999, usd="0.9"), SETTLED) is True
    else:
        await other.admit(hold("next", opened_at=NOW + 60))  # a new window: the items are read
    for account_id in (KEY_ID, TEAM):
        assert (await balance(store, account_id)).budget_left == 900_000


async def test_process_that_ended_before_it_undid_a_refusal_leaves_a_hold_that_expires(
    open_dynamodb_store: OpenDynamoDBStore, store: Store, wire: Wire
) -> None:
    await store.update(TEAM, lambda record: replace(record, limits=replace(record.limits, tpm=400)), BY)
    wire.responses.extend([forward, forward, end_process])
    with pytest.raises(ProcessEndedError):
        await store.admit(HELD)
    assert await open_holds(store) == {REQUEST}
    other = open_dynamodb_store()
    await other.admit(hold("next", opened_at=NOW + 60, tokens=1))
    assert await open_holds(store) == {"next"}
    assert (await balance(store)).budget_left == 1_000_000


async def test_team_with_shards_admits_its_whole_limit(dynamodb_store: Store) -> None:
    await dynamodb_store.create(team(limits={"budget": budget("1")}, shards=4), BY)
    await dynamodb_store.create(key(team=TEAM, limits={"rpm": 100}), BY)
    for number in range(20):
        await dynamodb_store.admit(hold(request_id(number), micro_usd=50_000))
    with pytest.raises(RefusedError, match="budget"):
        await dynamodb_store.admit(hold("one more", micro_usd=50_000, opened_at=NOW + 1))
    for number in range(20):
        held = hold(request_id(number), micro_usd=50_000, team=TEAM)
        assert await dynamodb_store.settle(usage(held.hold_id, tokens=0, usd="0.01"), held) is True
    after = await balance(dynamodb_store, TEAM)
    assert (after.leases, after.budget_left) == ({}, 800_000)
    assert (await balance(dynamodb_store)).requests_left == 80
    await dynamodb_store.update(KEY_ID, lambda record: replace(record, team=None), BY)
    await dynamodb_store.delete(TEAM, BY)


async def test_key_whose_team_was_removed_by_hand_is_refused_and_takes_nothing(
    dynamodb: DynamoDB, table: str, store: Store
) -> None:
    before = await store.get(KEY_ID)
    dynamodb.client().delete_item(TableName=table, Key=key_primary_key(TEAM))
    with pytest.raises(AuthenticationError):
        await store.admit(HELD)
    assert await store.get(KEY_ID) == before


async def test_extension_is_undone_although_the_budget_of_the_key_was_lowered_meanwhile(
    store: Store, wire: Wire
) -> None:
    await store.update(TEAM, lambda record: replace(record, limits=Limits(budget=budget("0.3", "month"))), BY)
    await store.admit(HELD)

    async def lower() -> None:
        await store.update(KEY_ID, lambda record: replace(record, limits=Limits(budget=budget("0.1", "month"))), BY)

    wire.responses.extend([forward, forward, run_before(lower)])
    with pytest.raises(RefusedError, match="budget"):
        await store.extend(SETTLED, 50_000, 50_000)
    after = await balance(store)
    assert (after.leases[REQUEST].micro_usd, after.budget_left) == (300_000, -200_000)
