"""A ledger that fails open: keys it has seen go on while the store is silent, and nothing they used is lost."""

import time
from dataclasses import replace
from decimal import Decimal

import pytest

from contract.bench import records
from contract.examples import BY, KEY_ID, api_key, budget, hold, key, request_id, usage
from tollgate.gateway.admission import Account, Hold, RefusedError
from tollgate.gateway.errors import AuthenticationError, StoreUnavailableError
from tollgate.gateway.keys import revoked
from tollgate.gateway.metering import UsageRecord
from tollgate.gateway.ports import Store
from tollgate.stores.fail_open import CACHED_SECONDS, FailOpenLedger

FIRST, SECOND = request_id(1), request_id(2)


class Outages:
    """A store whose ledger can be told to be silent."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.silent = False

    async def admit(self, hold: Hold) -> Account:
        self._answer()
        return await self._store.admit(hold)

    async def extend(self, hold: Hold, wanted: int, least: int) -> int:
        self._answer()
        return await self._store.extend(hold, wanted, least)

    async def settle(self, record: UsageRecord, hold: Hold) -> bool:
        self._answer()
        return await self._store.settle(record, hold)

    def _answer(self) -> None:
        if self.silent:
            raise StoreUnavailableError("The store does not answer.", retry_after=1)


class Stage:
    """A store that fails, the ledger over it, and the time it goes by."""

    def __init__(self, store: Store) -> None:
        self.time = time.time()
        self.behind = Outages(store)
        self.ledger = FailOpenLedger(self.behind, lambda: self.time)


@pytest.fixture
def stage(store: Store) -> Stage:
    return Stage(store)


async def left(store: Store) -> Decimal:
    account = await store.get(KEY_ID)
    assert account is not None
    return Decimal(account.balance.budget_left) / 1_000_000


async def test_known_key_goes_on_and_pays_when_the_store_is_back(store: Store, stage: Stage) -> None:
    await store.create(key(limits={"budget": budget("1")}), BY)
    assert (await stage.ledger.admit(hold(FIRST))).checked
    await stage.ledger.settle(usage(FIRST, usd="0.25"), hold(FIRST))
    stage.behind.silent = True
    account = await stage.ledger.admit(hold(SECOND, micro_usd=500_000))
    assert not account.checked
    stage.behind.silent = False
    assert await stage.ledger.settle(usage(SECOND, usd="0.10"), hold(SECOND, micro_usd=500_000))
    assert await left(store) == Decimal("0.65")
    assert len(await records(store)) == 2


@pytest.mark.parametrize("limits", [{"rpm": 1}, {"concurrency": 1}, {"tpm": 100}, {}])
async def test_what_a_key_had_no_more_of_is_charged_all_the_same(
    store: Store, stage: Stage, limits: dict[str, int]
) -> None:
    await store.create(key(limits={**limits, "budget": budget("0.30")}), BY)
    await stage.ledger.admit(hold(FIRST, tokens=90, micro_usd=250_000))
    stage.behind.silent = True
    await stage.ledger.admit(hold(SECOND, tokens=90, micro_usd=100_000))
    stage.behind.silent = False
    assert await stage.ledger.settle(usage(SECOND, usd="0.10"), hold(SECOND, tokens=90, micro_usd=100_000))
    assert [record.request_id for record in await records(store)] == [SECOND]
    assert await left(store) == Decimal("-0.05")


async def test_settling_stays_an_error_while_the_store_is_silent(store: Store, stage: Stage) -> None:
    await store.create(key(), BY)
    await stage.ledger.admit(hold(FIRST))
    stage.behind.silent = True
    await stage.ledger.admit(hold(SECOND))
    for number in (FIRST, SECOND):
        with pytest.raises(StoreUnavailableError):
            await stage.ledger.settle(usage(number), hold(number))


async def test_unknown_key_is_refused(store: Store, stage: Stage) -> None:
    await store.create(key(), BY)
    stage.behind.silent = True
    with pytest.raises(StoreUnavailableError):
        await stage.ledger.admit(hold(FIRST))


async def test_refused_key_is_not_known(store: Store, stage: Stage) -> None:
    await store.create(key(models=("slow",)), BY)
    with pytest.raises(RefusedError):
        await stage.ledger.admit(hold(FIRST))
    with pytest.raises(AuthenticationError):
        await stage.ledger.admit(hold(FIRST, key=api_key(secret="wrong")))
    stage.behind.silent = True
    for shown in (api_key(), api_key(secret="wrong")):
        with pytest.raises(StoreUnavailableError):
            await stage.ledger.admit(hold(SECOND, key=shown))


async def test_key_that_was_revoked_is_known_no_more(store: Store, stage: Stage) -> None:
    await store.create(key(), BY)
    await stage.ledger.admit(hold(FIRST))
    await store.update(KEY_ID, revoked, BY)
    with pytest.raises(AuthenticationError):
        await stage.ledger.admit(hold(SECOND))
    stage.behind.silent = True
    with pytest.raises(StoreUnavailableError):
        await stage.ledger.admit(hold(SECOND))


async def test_key_with_a_budget_gets_no_model_without_a_price(store: Store, stage: Stage) -> None:
    await store.create(key(limits={"budget": budget("1")}), BY)
    await stage.ledger.admit(hold(FIRST))
    stage.behind.silent = True
    with pytest.raises(StoreUnavailableError):
        await stage.ledger.admit(hold(SECOND, priced=False))


@pytest.mark.parametrize("change", ["wrong secret", "other model", "expired", "long ago"])
async def test_known_key_may_no_more_than_it_might(store: Store, stage: Stage, change: str) -> None:
    at = time.time()
    await store.create(key(models=("fast",), expires_at=int(at) + 100), BY)
    await stage.ledger.admit(hold(FIRST, opened_at=at))
    stage.behind.silent = True
    again = hold(SECOND, opened_at=at)
    assert not (await stage.ledger.admit(again)).checked
    match change:
        case "wrong secret":
            again = replace(again, key=api_key(secret="wrong"))
        case "other model":
            again = replace(again, model="slow")
        case "expired":
            again = replace(again, opened_at=at + 101)
        case _:
            stage.time += CACHED_SECONDS + 1
    with pytest.raises(StoreUnavailableError):
        await stage.ledger.admit(again)


async def test_an_answer_that_grows_while_the_store_is_silent_goes_on(store: Store, stage: Stage) -> None:
    await store.create(key(limits={"budget": budget("1")}), BY)
    await stage.ledger.admit(hold(FIRST, micro_usd=1000))
    stage.behind.silent = True
    assert await stage.ledger.extend(hold(FIRST, micro_usd=1000), 5000, 1) == 6000
