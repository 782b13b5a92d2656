"""Settlement that does not give up at once: a record that is lost is a bill that nobody can check."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tollgate.gateway.admission import Account, Hold
from tollgate.gateway.errors import StoreUnavailableError
from tollgate.gateway.metering import UsageRecord
from tollgate.gateway.ports import Ledger

T = TypeVar("T")

PAUSES = (0.2, 0.6, 1.8)
"""Seconds between tries to settle: throttling, a failover or a locked file are usually over by then."""


class RetryingLedger:
    """A ledger that tries to settle several times. See `gateway.ports.Ledger`; settling again is no error there."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def admit(self, hold: Hold) -> Account:
        """As it is: the client can try again, and knows best whether it wants to wait."""
        return await self._ledger.admit(hold)

    async def extend(self, hold: Hold, wanted: int, least: int) -> int:
        """An answer that has begun is worth a wait of some seconds."""
        return await _with_retries(lambda: self._ledger.extend(hold, wanted, least))

    async def settle(self, record: UsageRecord, hold: Hold) -> bool:
        """The client has its answer; nobody but us remembers what it used."""
        return await _with_retries(lambda: self._ledger.settle(record, hold))


async def _with_retries(call: Callable[[], Awaitable[T]]) -> T:
    for pause in PAUSES:
        try:
            return await call()
        except StoreUnavailableError:
            await asyncio.sleep(pause)
    return await call()
