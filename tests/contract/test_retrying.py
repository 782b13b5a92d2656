"""A ledger that retries settlement and extension while the store is unavailable."""

import time

import pytest

from contract.examples import BY, budget, hold, key, usage
from contract.store_state import records
from contract.test_fail_open import UnreliableLedger
from tollgate.gateway.errors import StoreUnavailableError
from tollgate.gateway.store_ports import Store
from tollgate.stores.retrying import PAUSES, RetryingLedger


class TemporarilyUnavailable(UnreliableLedger):
    """Is unavailable for the first `times` calls."""

    def __init__(self, store: Store, times: int) -> None:
        super().__init__(store)
        self.times = times

    def _check(self) -> None:
        self.times -= 1
        self.is_unavailable = self.times >= 0
        super()._check()


@pytest.mark.parametrize("times", [0, 1, 2])
async def test_settlement_is_retried_until_the_store_is_available(store: Store, times: int) -> None:
    await store.create(key(), BY)
    await store.admit(hold())
    assert await RetryingLedger(TemporarilyUnavailable(store, times)).settle(usage(), hold())
    assert await records(store) == [usage()]


async def test_settlement_fails_after_the_last_attempt(sqlite: Store) -> None:
    began = time.monotonic()
    with pytest.raises(StoreUnavailableError):
        await RetryingLedger(TemporarilyUnavailable(sqlite, 1 + len(PAUSES))).settle(usage(), hold())
    assert time.monotonic() - began >= sum(PAUSES)


async def test_admission_is_not_retried(sqlite: Store) -> None:
    await sqlite.create(key(), BY)
    ledger = RetryingLedger(TemporarilyUnavailable(sqlite, 1))
    with pytest.raises(StoreUnavailableError):
        await ledger.admit(hold())
    assert (await ledger.admit(hold())).record.key_id == hold().key.key_id


async def test_extension_is_retried(store: Store) -> None:
    await store.create(key(limits={"budget": budget("1")}), BY)
    await store.admit(hold(micro_usd=1000))
    assert await RetryingLedger(TemporarilyUnavailable(store, 2)).extend(hold(micro_usd=1000), 1000, 1) == 2000
