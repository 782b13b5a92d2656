"""A budget as a cap, in both stores: what a request gets of one that is short, and what it takes more as it grows."""

import asyncio
from typing import TYPE_CHECKING

import pytest

from contract.bench import balance
from contract.examples import BY, KEY_ID, NOW, budget, hold, key, request_id, usage
from tollgate.gateway.admission import RefusedError, refusal_error
from tollgate.gateway.errors import AuthenticationError
from tollgate.gateway.limits import MAX_OPEN
from tollgate.gateway.ports import Store
from tollgate.stores.dynamodb import items

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

DOLLAR = {"budget": budget("1", "day")}


async def test_a_budget_that_is_short_lends_what_it_has(store: Store) -> None:
    await store.create(key(limits=DOLLAR), BY)
    account = await store.admit(hold("a", micro_usd=5_000_000, least_micro_usd=100_000))
    assert account.balance.leases["a"].micro_usd == 1_000_000
    with pytest.raises(RefusedError, match="budget"):
        await store.admit(hold("b", micro_usd=5_000_000, least_micro_usd=100_000))
    await store.settle(usage("a", usd="0.25"), hold("a", micro_usd=1_000_000))
    assert (await balance(store)).budget_left == 750_000


async def test_half_of_a_budget_stays_for_other_requests(store: Store) -> None:
    await store.create(key(limits=DOLLAR), BY)
    got: list[int] = []
    for number in range(4):
        asked = hold(str(number), micro_usd=600_000, least_micro_usd=200_000, at_most_half=True)
        got.append((await store.admit(asked)).balance.leases[str(number)].micro_usd)
        if (await balance(store)).budget_left < 200_000:
            break
    assert got == [500_000, 250_000, 200_000]


async def test_with_enough_left_everybody_gets_all_they_want(store: Store) -> None:
    await store.create(key(limits=DOLLAR), BY)
    asked = hold("a", micro_usd=500_000, least_micro_usd=1, at_most_half=True)
    assert (await store.admit(asked)).balance.leases["a"].micro_usd == 500_000


@pytest.mark.usefixtures("crowded")
async def test_a_crowd_never_holds_more_than_there_is(store: Store) -> None:
    await store.create(key(limits=DOLLAR), BY)
    holds = [hold(request_id(i), micro_usd=400_000, least_micro_usd=50_000, at_most_half=i % 2 == 0) for i in range(60)]
    outcomes = await asyncio.gather(*map(store.admit, holds), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes if isinstance(outcome, BaseException)} == {RefusedError}
    after = await balance(store)
    assert sum(lease.micro_usd for lease in after.leases.values()) == 1_000_000 - after.budget_left
    assert 0 <= after.budget_left < 50_000


async def test_an_open_hold_takes_more_step_by_step(store: Store) -> None:
    await store.create(key(limits=DOLLAR), BY)
    await store.admit(hold("a", micro_usd=300_000))
    assert await store.extend(hold("a", micro_usd=300_000), 300_000, 1) == 600_000
    assert await store.extend(hold("a", micro_usd=600_000), 600_000, 1) == 1_000_000  # what is left
    with pytest.raises(RefusedError, match="budget"):
        await store.extend(hold("a", micro_usd=1_000_000), 1, 1)
    await store.settle(usage("a", usd="0.75"), hold("a", micro_usd=1_000_000))
    after = await balance(store)
    assert (after.budget_left, after.leases) == (250_000, {})


async def test_one_that_was_extended_elsewhere_is_settled_by_what_it_holds(store: Store) -> None:
    """A process that has forgotten, or never knew, of an extension gives back what is really held."""
    await store.create(key(limits=DOLLAR), BY)
    await store.admit(hold("a", micro_usd=300_000))
    await store.extend(hold("a", micro_usd=300_000), 300_000, 1)
    await store.settle(usage("a", usd="0.75"), hold("a", micro_usd=300_000))
    assert (await balance(store)).budget_left == 250_000


async def test_of_several_that_grow_at_once_none_takes_what_is_not_there(store: Store) -> None:
    await store.create(key(limits=DOLLAR), BY)
    holds = [hold(str(number), micro_usd=100_000) for number in range(5)]
    for asked in holds:
        await store.admit(asked)
    outcomes = await asyncio.gather(*(store.extend(one, 200_000, 50_000) for one in holds), return_exceptions=True)
    after = await balance(store)
    assert sum(lease.micro_usd for lease in after.leases.values()) == 1_000_000 - after.budget_left
    assert sorted(lease.micro_usd for lease in after.leases.values()) == [100_000, 100_000, 200_000, 300_000, 300_000]
    assert sum(isinstance(outcome, RefusedError) for outcome in outcomes) == 2


async def test_a_key_that_is_gone_extends_nothing(store: Store) -> None:
    await store.create(key(limits=DOLLAR), BY)
    await store.admit(hold("a", micro_usd=300_000))
    await store.delete(KEY_ID, BY)
    with pytest.raises(AuthenticationError):
        await store.extend(hold("a", micro_usd=300_000), 1, 1)


async def test_a_key_reset_is_full_again_and_holds_nothing(store: Store) -> None:
    limits = {"rpm": 2, "tpm": 100, "concurrency": 1, "budget": budget("1")}
    await store.create(key(limits=limits), BY)
    open_one = hold("a", tokens=100, micro_usd=900_000)
    await store.admit(open_one)
    await store.reset(KEY_ID, BY)
    after = await balance(store)
    assert (after.requests_left, after.tokens_left, after.budget_left, after.leases) == (2, 100, 1_000_000, {})
    assert await store.settle(usage("a", usd="0.9"), open_one) is True  # its record is written all the same
    assert (await balance(store)).budget_left == 1_000_000
    assert [entry.action for entry in await store.audit(KEY_ID)] == ["create", "reset"]


async def test_a_clock_a_year_ahead_locks_no_key(store: Store) -> None:
    await store.create(key(limits={"rpm": 1, "budget": budget("1", "day"), "concurrency": 1}), BY)
    ahead = NOW + 365 * 86_400
    await store.admit(hold("wrong", opened_at=ahead, expires_at=ahead + 900, micro_usd=1))
    await store.admit(hold("right", opened_at=NOW + 1))
    assert set((await balance(store)).leases) == {"right"}


async def test_an_absurd_count_locks_no_key_without_limits(store: Store) -> None:
    await store.create(key(), BY)
    await store.admit(hold("a"))
    await store.settle(usage("a", tokens=2**53, usd="10000000000"), hold("a"))
    assert "b" in (await store.admit(hold("b", tokens=1000, micro_usd=1000))).balance.leases


async def test_a_further_model_must_be_one_the_key_may_use(store: Store) -> None:
    await store.create(key(models=("fast",)), BY)
    await store.admit(hold("a"))  # `fast` is known to be allowed from now on
    with pytest.raises(RefusedError, match="model"):
        await store.admit(hold("b", other_models=("vendor/dear",)))
    await store.admit(hold("c", other_models=("fast",)))


async def test_a_key_without_limits_holds_a_thousand_open_and_no_more(sqlite: Store) -> None:
    await sqlite.create(key(), BY)
    for number in range(MAX_OPEN):
        await sqlite.admit(hold(str(number)))
    await is_refused_for_want_of_shards(sqlite)


async def test_an_item_with_a_thousand_open_takes_no_more(
    dynamodb_store: Store, client: "DynamoDBClient", table: str
) -> None:
    await dynamodb_store.create(key(), BY)
    held = {str(number): items.lease_attribute(hold().lease) for number in range(MAX_OPEN)}
    client.update_item(
        TableName=table,
        Key=items.key_primary_key(KEY_ID),
        UpdateExpression="SET leases = :leases",
        ExpressionAttributeValues={":leases": {"M": held}},
    )
    await is_refused_for_want_of_shards(dynamodb_store)
    await dynamodb_store.settle(usage("7"), hold("7"))
    await dynamodb_store.admit(hold("next"))


async def is_refused_for_want_of_shards(store: Store) -> None:
    with pytest.raises(RefusedError, match="open") as refused:
        await store.admit(hold("one too many"))
    error = refusal_error(refused.value, hold())
    assert (error.status, error.code) == (429, "concurrency")
    assert "--shards" in error.message
