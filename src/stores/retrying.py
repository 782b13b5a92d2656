"""A ledger that retries settlement, because no other place knows what a request has used."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tollgate.gateway.admission import Account, Hold
from tollgate.gateway.errors import StoreUnavailableError
from tollgate.gateway.metering import UsageRecord
from tollgate.gateway.store_ports import Ledger

T = TypeVar("T")

PAUSES = (0.2, 0.6, 1.8)
"""Seconds between attempts; throttling, a failover or a locked file is usually over by then."""


class RetryingLedger:
    """Retries `settle` and `extend`, which are idempotent, while the store is unavailable.

    See `gateway.store_ports.Ledger`.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def admit(self, hold: Hold) -> Account:
        """See `Ledger.admit`. There is no retry: the client can retry, and decides how long to wait."""
        return await self._ledger.admit(hold)

    async def extend(self, hold: Hold, amount: int, minimum: int) -> int:
        """See `Ledger.extend`. A response that has begun is worth a wait of some seconds."""
        return await _retry(lambda: self._ledger.extend(hold, amount, minimum))

    async def settle(self, record: UsageRecord, hold: Hold) -> bool:
        """See `Ledger.settle`."""
        return await _retry(lambda: self._ledger.settle(record, hold))


async def _retry(call: Callable[[], Awaitable[T]]) -> T:
    for pause in PAUSES:
        try:
            return await call()
        except StoreUnavailableError:
            await asyncio.sleep(pause)
    return await call()
