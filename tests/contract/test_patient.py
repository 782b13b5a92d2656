"""A ledger that does not give up at once: what a store that stumbles could not take it gets a moment later."""

import time

import pytest

from contract.bench import records
from contract.examples import BY, budget, hold, key, usage
from contract.test_fail_open import Outages
from tollgate.gateway.errors import StoreUnavailableError
from tollgate.gateway.ports import Store
from tollgate.stores.retrying import PAUSES, RetryingLedger


class Stumbling(Outages):
    """It is silent for the first so many calls."""

    def __init__(self, store: Store, times: int) -> None:
        super().__init__(store)
        self.times = times

    def _answer(self) -> None:
        self.times -= 1
        self.silent = self.times >= 0
        super()._answer()


@pytest.mark.parametrize("times", [0, 1, 2])
async def test_record_is_settled_once_the_store_answers(store: Store, times: int) -> None:
    await store.create(key(), BY)
    await store.admit(hold())
    assert await RetryingLedger(Stumbling(store, times)).settle(usage(), hold())
    assert await records(store) == [usage()]


async def test_store_that_stays_silent_is_told_in_the_end(sqlite: Store) -> None:
    began = time.monotonic()
    with pytest.raises(StoreUnavailableError):
        await RetryingLedger(Stumbling(sqlite, 1 + len(PAUSES))).settle(usage(), hold())
    assert time.monotonic() - began >= sum(PAUSES)


async def test_admission_is_not_tried_again(sqlite: Store) -> None:
    await sqlite.create(key(), BY)
    ledger = RetryingLedger(Stumbling(sqlite, 1))
    with pytest.raises(StoreUnavailableError):
        await ledger.admit(hold())
    assert (await ledger.admit(hold())).record.key_id == hold().key.key_id


async def test_an_answer_that_grows_waits_for_a_store_that_stumbles(store: Store) -> None:
    await store.create(key(limits={"budget": budget("1")}), BY)
    await store.admit(hold(micro_usd=1000))
    assert await RetryingLedger(Stumbling(store, 2)).extend(hold(micro_usd=1000), 1000, 1) == 2000
