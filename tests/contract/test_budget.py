"""Budgets in both stores: partial reservations, and extensions of open holds."""

import asyncio
from typing import TYPE_CHECKING

import pytest

from contract.examples import BY, KEY_ID, NOW, budget, hold, key, request_id, usage
from contract.store_state import balance
from tollgate.gateway.admission import RefusedError, refusal_error
from tollgate.gateway.errors import AuthenticationError
from tollgate.gateway.limits import MAX_OPEN
from tollgate.gateway.store_ports import Store
from tollgate.stores.dynamodb import items

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

DOLLAR = {"budget": budget("1", "day")}


async def test_short_budget_reserves_what_is_left(store: Store) -> None:
    await store.create(key(limits=DOLLAR), BY)
    account = await store.admit(hold("a", micro_usd=5_000_000, minimum_micro_usd=100_000))
    assert account.balance.leases["a"].micro_usd == 1_000_000
    with pytest.raises(RefusedError, match="budget"):
        await store.admit(hold("b", micro_usd=5_000_000, minimum_micro_usd=100_000))
    await store.settle(usage("a", usd="0.25"), hold("a", micro_usd=1_000_000))
    assert (await balance(store)).budget_left == 750_000


async def test_half_of_a_budget_is_left_to_other_requests(store: Store) -> None:
    await store.create(key(limits=DOLLAR), BY)
    reserved: list[int] = []
    for number in range(4):
        requested = hold(str(number), micro_usd=600_000, minimum_micro_usd=200_000, at_most_half=True)
        reserved.append((await store.admit(requested)).balance.leases[str(number)].micro_usd)
        if (await balance(store)).budget_left < 200_000:
            break
    assert reserved == [500_000, 250_000, 200_000]


async def test_sufficient_budget_reserves_the_requested_amount(store: Store) -> None:
    await store.create(key(limits=DOLLAR), BY)
    requested = hold("a", micro_usd=500_000, minimum_micro_usd=1, at_most_half=True)
    assert (await store.admit(requested)).balance.leases["a"].micro_usd == 500_000


@pytest.mark.usefixtures("concurrent_requests")
async def test_concurrent_holds_do_not_exceed_the_budget(store: Store) -> None:
    await store.create(key(limits=DOLLAR), BY)
    holds = [
        hold(request_id(i), micro_usd=400_000, minimum_micro_usd=50_000, at_most_half=i % 2 == 0) for i in range(60)
    ]
    outcomes = await asyncio.gather(*map(store.admit, holds), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes if isinstance(outcome, BaseException)} == {RefusedError}
    after = await balance(store)
    assert sum(lease.micro_usd for lease in after.leases.values()) == 1_000_000 - after.budget_left
    assert 0 <= after.budget_left < 50_000


async def test_open_hold_is_extended_in_steps(store: Store) -> None:
    await store.create(key(limits=DOLLAR), BY)
    await store.admit(hold("a", micro_usd=300_000))
    assert await store.extend(hold("a", micro_usd=300_000), 300_000, 1) == 600_000
    assert await store.extend(hold("a", micro_usd=600_000), 600_000, 1) == 1_000_000  # all that is left
    with pytest.raises(RefusedError, match="budget"):
        await store.extend(hold("a", micro_usd=1_000_000), 1, 1)
    await store.settle(usage("a", usd="0.75"), hold("a", micro_usd=1_000_000))
    after = await balance(store)
    assert (after.budget_left, after.leases) == (250_000, {})


async def test_hold_extended_by_another_process_is_released_in_full(store: Store) -> None:
    """A process that did not make the extension releases the whole lease."""
    await store.create(key(limits=DOLLAR), BY)
    await store.admit(hold("a", micro_usd=300_000))
    await store.extend(hold("a", micro_usd=300_000), 300_000, 1)
    await store.settle(usage("a", usd="0.75"), hold("a", micro_usd=300_000))
    assert (await balance(store)).budget_left == 250_000


async def test_concurrent_extensions_do_not_exceed_the_budget(store: Store) -> None:
    await store.create(key(limits=DOLLAR), BY)
    holds = [hold(str(number), micro_usd=100_000) for number in range(5)]
    for requested in holds:
        await store.admit(requested)
    outcomes = await asyncio.gather(*(store.extend(one, 200_000, 50_000) for one in holds), return_exceptions=True)
    after = await balance(store)
    assert sum(lease.micro_usd for lease in after.leases.values()) == 1_000_000 - after.budget_left
    assert sorted(lease.micro_usd for lease in after.leases.values()) == [100_000, 100_000, 200_000, 300_000, 300_000]
    assert sum(isinstance(outcome, RefusedError) for outcome in outcomes) == 2


async def test_hold_of_a_deleted_key_is_not_extended(store: Store) -> None:
    await store.create(key(limits=DOLLAR), BY)
    await store.admit(hold("a", micro_usd=300_000))
    await store.delete(KEY_ID, BY)
    with pytest.raises(AuthenticationError):
        await store.extend(hold("a", micro_usd=300_000), 1, 1)


async def test_reset_key_has_a_full_balance_without_holds(store: Store) -> None:
    limits = {"rpm": 2, "tpm": 100, "concurrency": 1, "budget": budget("1")}
    await store.create(key(limits=limits), BY)
    open_hold = hold("a", tokens=100, micro_usd=900_000)
    await store.admit(open_hold)
    await store.reset(KEY_ID, BY)
    after = await balance(store)
    assert (after.requests_left, after.tokens_left, after.budget_left, after.leases) == (2, 100, 1_000_000, {})
    assert await store.settle(usage("a", usd="0.9"), open_hold) is True  # its record is written nevertheless
    assert (await balance(store)).budget_left == 1_000_000
    assert [entry.action for entry in await store.audit(KEY_ID)] == ["create", "reset"]


async def test_clock_a_year_ahead_does_not_block_a_key(store: Store) -> None:
    await store.create(key(limits={"rpm": 1, "budget": budget("1", "day"), "concurrency": 1}), BY)
    ahead = NOW + 365 * 86_400
    await store.admit(hold("wrong", opened_at=ahead, expires_at=ahead + 900, micro_usd=1))
    await store.admit(hold("right", opened_at=NOW + 1))
    assert set((await balance(store)).leases) == {"right"}


async def test_very_large_usage_does_not_block_a_key_without_limits(store: Store) -> None:
    await store.create(key(), BY)
    await store.admit(hold("a"))
    await store.settle(usage("a", tokens=2**53, usd="10000000000"), hold("a"))
    assert "b" in (await store.admit(hold("b", tokens=1000, micro_usd=1000))).balance.leases


async def test_other_models_must_be_allowed_by_the_key(store: Store) -> None:
    await store.create(key(models=("fast",)), BY)
    await store.admit(hold("a"))  # from now on, `fast` is a known model of the item
    with pytest.raises(RefusedError, match="model"):
        await store.admit(hold("b", other_models=("vendor/other",)))
    await store.admit(hold("c", other_models=("fast",)))


async def test_key_without_limits_has_at_most_max_open_holds(sqlite: Store) -> None:
    await sqlite.create(key(), BY)
    for number in range(MAX_OPEN):
        await sqlite.admit(hold(str(number)))
    await assert_refused_with_advice(sqlite)


async def test_item_has_at_most_max_open_holds(dynamodb_store: Store, client: "DynamoDBClient", table: str) -> None:
    await dynamodb_store.create(key(), BY)
    held = {str(number): items.lease_attribute(hold().lease) for number in range(MAX_OPEN)}
    client.update_item(
        TableName=table,
        Key=items.key_primary_key(KEY_ID),
        UpdateExpression="SET leases = :leases",
        ExpressionAttributeValues={":leases": {"M": held}},
    )
    await assert_refused_with_advice(dynamodb_store)
    await dynamodb_store.settle(usage("7"), hold("7"))
    await dynamodb_store.admit(hold("next"))


async def assert_refused_with_advice(store: Store) -> None:
    with pytest.raises(RefusedError, match="open") as refused:
        await store.admit(hold("another"))
    error = refusal_error(refused.value, hold())
    assert (error.status, error.code) == (429, "concurrency")
    assert "--shards" in error.message
