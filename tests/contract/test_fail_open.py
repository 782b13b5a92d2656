"""A ledger that fails open: cached keys are admitted while the store is unavailable, and their usage is charged."""

import time
from dataclasses import replace
from decimal import Decimal

import pytest

from contract.examples import BY, KEY_ID, api_key, budget, hold, key, request_id, usage
from contract.store_state import balance, open_holds, records
from contract.teams import TEAM, team
from contract.wire import Wire, forward, respond
from tollgate.gateway.admission import Account, Hold, RefusedError
from tollgate.gateway.errors import AuthenticationError, StoreUnavailableError
from tollgate.gateway.keys import revoked
from tollgate.gateway.metering import UsageRecord
from tollgate.gateway.store_ports import Store
from tollgate.stores.dynamodb.store import DynamoDBStore
from tollgate.stores.fail_open import CACHED_SECONDS, FailOpenLedger

FIRST, SECOND = request_id(1), request_id(2)


class UnreliableLedger:
    """The ledger of a store, which a test can make unavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_unavailable = False

    async def admit(self, hold: Hold) -> Account:
        self._check()
        return await self._store.admit(hold)

    async def extend(self, hold: Hold, amount: int, minimum: int) -> int:
        self._check()
        return await self._store.extend(hold, amount, minimum)

    async def settle(self, record: UsageRecord, hold: Hold) -> bool:
        self._check()
        return await self._store.settle(record, hold)

    def _check(self) -> None:
        if self.is_unavailable:
            raise StoreUnavailableError("The store is unavailable.", retry_after=1)


class Setup:
    """An unreliable ledger, a FailOpenLedger on top of it, and their time."""

    def __init__(self, store: Store) -> None:
        self.time = time.time()
        self.unreliable = UnreliableLedger(store)
        self.ledger = FailOpenLedger(self.unreliable, lambda: self.time)


@pytest.fixture
def setup(store: Store) -> Setup:
    return Setup(store)


async def budget_left(store: Store) -> Decimal:
    account = await store.get(KEY_ID)
    assert account is not None
    return Decimal(account.balance.budget_left) / 1_000_000


async def test_cached_key_is_admitted_and_charged_at_settlement(store: Store, setup: Setup) -> None:
    await store.create(key(limits={"budget": budget("1")}), BY)
    assert (await setup.ledger.admit(hold(FIRST))).checked
    await setup.ledger.settle(usage(FIRST, usd="0.25"), hold(FIRST))
    setup.unreliable.is_unavailable = True
    account = await setup.ledger.admit(hold(SECOND, micro_usd=500_000))
    assert not account.checked
    setup.unreliable.is_unavailable = False
    assert await setup.ledger.settle(usage(SECOND, usd="0.10"), hold(SECOND, micro_usd=500_000))
    assert await budget_left(store) == Decimal("0.65")
    assert len(await records(store)) == 2


@pytest.mark.parametrize("limits", [{"rpm": 1}, {"concurrency": 1}, {"tpm": 100}, {}])
async def test_usage_above_the_limits_is_charged(store: Store, setup: Setup, limits: dict[str, int]) -> None:
    await store.create(key(limits={**limits, "budget": budget("0.30")}), BY)
    await setup.ledger.admit(hold(FIRST, tokens=90, micro_usd=250_000))
    setup.unreliable.is_unavailable = True
    await setup.ledger.admit(hold(SECOND, tokens=90, micro_usd=100_000))
    setup.unreliable.is_unavailable = False
    assert await setup.ledger.settle(usage(SECOND, usd="0.10"), hold(SECOND, tokens=90, micro_usd=100_000))
    assert [record.request_id for record in await records(store)] == [SECOND]
    assert await budget_left(store) == Decimal("-0.05")


async def test_settlement_fails_while_the_store_is_unavailable(store: Store, setup: Setup) -> None:
    await store.create(key(), BY)
    await setup.ledger.admit(hold(FIRST))
    setup.unreliable.is_unavailable = True
    await setup.ledger.admit(hold(SECOND))
    for number in (FIRST, SECOND):
        with pytest.raises(StoreUnavailableError):
            await setup.ledger.settle(usage(number), hold(number))


async def test_unknown_key_is_refused(store: Store, setup: Setup) -> None:
    await store.create(key(), BY)
    setup.unreliable.is_unavailable = True
    with pytest.raises(StoreUnavailableError):
        await setup.ledger.admit(hold(FIRST))


async def test_refused_key_is_not_cached(store: Store, setup: Setup) -> None:
    await store.create(key(models=("slow",)), BY)
    with pytest.raises(RefusedError):
        await setup.ledger.admit(hold(FIRST))
    with pytest.raises(AuthenticationError):
        await setup.ledger.admit(hold(FIRST, key=api_key(secret="wrong")))
    setup.unreliable.is_unavailable = True
    for api_key_used in (api_key(), api_key(secret="wrong")):
        with pytest.raises(StoreUnavailableError):
            await setup.ledger.admit(hold(SECOND, key=api_key_used))


async def test_revoked_key_is_removed_from_the_cache(store: Store, setup: Setup) -> None:
    await store.create(key(), BY)
    await setup.ledger.admit(hold(FIRST))
    await store.update(KEY_ID, revoked, BY)
    with pytest.raises(AuthenticationError):
        await setup.ledger.admit(hold(SECOND))
    setup.unreliable.is_unavailable = True
    with pytest.raises(StoreUnavailableError):
        await setup.ledger.admit(hold(SECOND))


async def test_cached_key_with_a_budget_cannot_use_a_model_without_a_price(store: Store, setup: Setup) -> None:
    await store.create(key(limits={"budget": budget("1")}), BY)
    await setup.ledger.admit(hold(FIRST))
    setup.unreliable.is_unavailable = True
    with pytest.raises(StoreUnavailableError):
        await setup.ledger.admit(hold(SECOND, priced=False))


@pytest.mark.parametrize("change", ["wrong secret", "other model", "expired", "long ago"])
async def test_cached_key_is_still_checked(store: Store, setup: Setup, change: str) -> None:
    at = time.time()
    await store.create(key(models=("fast",), expires_at=int(at) + 100), BY)
    await setup.ledger.admit(hold(FIRST, opened_at=at))
    setup.unreliable.is_unavailable = True
    repeated = hold(SECOND, opened_at=at)
    assert not (await setup.ledger.admit(repeated)).checked
    match change:
        case "wrong secret":
            repeated = replace(repeated, key=api_key(secret="wrong"))
        case "other model":
            repeated = replace(repeated, model="slow")
        case "expired":
            repeated = replace(repeated, opened_at=at + 101)
        case _:
            setup.time += CACHED_SECONDS + 1
    with pytest.raises(StoreUnavailableError):
        await setup.ledger.admit(repeated)


async def test_extension_succeeds_while_the_store_is_unavailable(store: Store, setup: Setup) -> None:
    await store.create(key(limits={"budget": budget("1")}), BY)
    await setup.ledger.admit(hold(FIRST, micro_usd=1000))
    setup.unreliable.is_unavailable = True
    assert await setup.ledger.extend(hold(FIRST, micro_usd=1000), 5000, 1) == 6000


async def test_key_of_a_team_is_charged_to_both_at_settlement(store: Store, setup: Setup) -> None:
    await store.create(team(limits={"budget": budget("1")}), BY)
    await store.create(key(team=TEAM), BY)
    await setup.ledger.admit(hold(FIRST, micro_usd=900_000))
    setup.unreliable.is_unavailable = True
    requested = hold(SECOND, micro_usd=500_000, team=TEAM)
    assert not (await setup.ledger.admit(requested)).checked
    with pytest.raises(StoreUnavailableError):
        await setup.ledger.admit(hold(request_id(3), priced=False))
    setup.unreliable.is_unavailable = False
    assert await setup.ledger.settle(usage(SECOND, usd="0.25"), requested)
    assert await open_holds(store, TEAM) == {f"{KEY_ID}/{FIRST}"}
    assert (await balance(store, TEAM)).budget_left == -150_000


async def test_settlement_that_is_repeated_after_some_of_its_writes_is_charged_once(
    dynamodb_store: DynamoDBStore, wire: Wire
) -> None:
    setup, store = Setup(dynamodb_store), dynamodb_store
    await store.create(team(limits={"budget": budget("1")}), BY)
    await store.create(key(team=TEAM, limits={"budget": budget("1")}), BY)
    await setup.ledger.admit(hold(FIRST))
    setup.unreliable.is_unavailable = True
    await setup.ledger.admit(hold(SECOND, micro_usd=500_000))
    setup.unreliable.is_unavailable = False
    requested = hold(SECOND, micro_usd=500_000, team=TEAM)
    wire.responses.extend([*[forward] * 4, *[respond(503, {})] * 9])  # two to reserve; the record; the key's release
    with pytest.raises(StoreUnavailableError):
        await setup.ledger.settle(usage(SECOND, usd="0.25"), requested)
    wire.responses.clear()
    assert await setup.ledger.settle(usage(SECOND, usd="0.25"), requested)
    for account_id in (KEY_ID, TEAM):
        assert (await balance(store, account_id)).budget_left == 750_000
