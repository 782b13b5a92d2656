"""Settlement that does not give up at once: a record that is lost is a bill that nobody can check."""

import asyncio

from gateway.admission import Account, Hold
from gateway.errors import StoreUnavailableError
from gateway.metering import UsageRecord
from gateway.ports import Ledger

PAUSES = (0.2, 0.6, 1.8)
"""Seconds between tries to settle: throttling, a failover or a locked file are usually over by then."""


class PatientLedger:
    """A ledger that tries to settle several times. See `gateway.ports.Ledger`; settling again is no error there."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def admit(self, hold: Hold) -> Account:
        """As it is: the client can try again, and knows best whether it wants to wait."""
        return await self._ledger.admit(hold)

    async def settle(self, record: UsageRecord, hold: Hold) -> bool:
        """The client has its answer; nobody but us remembers what it used."""
        for pause in PAUSES:
            try:
                return await self._ledger.settle(record, hold)
            except StoreUnavailableError:
                await asyncio.sleep(pause)
        return await self._ledger.settle(record, hold)
