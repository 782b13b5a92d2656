"""A ledger that fails open: it admits recently admitted keys, without limits, while the store is unavailable."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from tollgate.gateway import keys
from tollgate.gateway.admission import Account, Hold, permanent_refusal
from tollgate.gateway.errors import AuthenticationError, StoreUnavailableError
from tollgate.gateway.metering import UsageRecord
from tollgate.gateway.store_ports import Ledger
from tollgate.stores.bounded_cache import BoundedCache

CACHED_SECONDS = 900
"""How long an admitted key stays cached; a key that is revoked meanwhile works no longer than that."""


class FailOpenLedger:
    """Admits cached keys while the ledger behind it is unavailable. See `gateway.store_ports.Ledger`.

    A key is cached if this process has admitted it, with the same secret, in the last CACHED_SECONDS. It can still use
    only its models, and only until it expires. What it uses meanwhile is charged at settlement.
    """

    def __init__(self, ledger: Ledger, now: Callable[[], float]) -> None:
        self._ledger = ledger
        self._now = now
        self._accounts = BoundedCache[tuple[float, Account]]()
        self._unreserved = BoundedCache[Hold]()

    async def admit(self, hold: Hold) -> Account:
        """See `Ledger.admit`. If the store is unavailable, the cached account with `checked` False."""
        try:
            account = await self._ledger.admit(hold)
        except AuthenticationError:
            self._accounts.delete(hold.key.key_hash)
            raise
        except StoreUnavailableError:
            account = self._cached_account(hold)
            if account is None:
                raise
            self._unreserved.put(hold.hold_id, hold)
            return replace(account, checked=False)
        self._accounts.put(hold.key.key_hash, (self._now(), account))
        return account

    async def extend(self, hold: Hold, amount: int, minimum: int) -> int:
        """See `Ledger.extend`. If the store is unavailable, the response continues and is charged at settlement."""
        try:
            return await self._ledger.extend(hold, amount, minimum)
        except StoreUnavailableError:
            return hold.micro_usd + amount

    async def settle(self, record: UsageRecord, hold: Hold) -> bool:
        """See `Ledger.settle`. A hold that was admitted without the store is first reserved, whatever is left."""
        if self._unreserved.get(hold.hold_id) is not None:
            with suppress(AuthenticationError):  # the key was deleted; only the usage record is written
                account = await self._ledger.admit(replace(hold, forced=True))
                hold = replace(hold, team=account.record.team)
            # A settlement that is repeated after one of its writes must not reserve again what that one released.
            self._unreserved.delete(hold.hold_id)
        return await self._ledger.settle(record, hold)

    def _cached_account(self, hold: Hold) -> Account | None:
        admitted_at, account = self._accounts.get(hold.key.key_hash) or (0.0, None)
        if account is None or self._now() - admitted_at > CACHED_SECONDS:
            return None
        try:
            keys.verify(account.record, hold.key, hold.opened_at)
        except AuthenticationError:
            return None
        if permanent_refusal(account.record, hold) or (account.refuses_unpriced and not hold.priced):
            return None
        return account
