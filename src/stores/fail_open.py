"""What the owner may choose for the minutes in which the store does not answer: known keys go on, without limits."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from tollgate.gateway import keys
from tollgate.gateway.admission import Account, Hold, permanent_refusal
from tollgate.gateway.errors import AuthenticationError, StoreUnavailableError
from tollgate.gateway.metering import UsageRecord
from tollgate.gateway.ports import Ledger
from tollgate.stores.bounded_cache import BoundedCache

KNOWN_SECONDS = 900
"""How long a key that was admitted here counts as known: a key revoked meanwhile works no longer than that."""


class FailOpenLedger:
    """A ledger that lets known keys through where the one behind it does not answer. See `gateway.ports.Ledger`.

    A key is known that this process has admitted, with this very secret, in the last KNOWN_SECONDS; it may still use
    only its models, and only until it expires. What is used meanwhile is charged when it is settled.
    """

    def __init__(self, ledger: Ledger, now: Callable[[], float]) -> None:
        self._ledger = ledger
        self._now = now
        self._known = BoundedCache[tuple[float, Account]]()
        self._let_through = BoundedCache[Hold]()

    async def admit(self, hold: Hold) -> Account:
        """As the store decides; where it is silent, the account as it was last seen, `checked` False."""
        try:
            account = await self._ledger.admit(hold)
        except AuthenticationError:
            self._known.delete(hold.key.key_hash)
            raise
        except StoreUnavailableError:
            account = self._known_account(hold)
            if account is None:
                raise
            self._let_through.put(hold.hold_id, hold)
            return replace(account, checked=False)
        self._known.put(hold.key.key_hash, (self._now(), account))
        return account

    async def extend(self, hold: Hold, wanted: int, least: int) -> int:
        """As the store decides; where it is silent, the answer goes on, and is charged when it is settled."""
        try:
            return await self._ledger.extend(hold, wanted, least)
        except StoreUnavailableError:
            return hold.micro_usd + wanted

    async def settle(self, record: UsageRecord, hold: Hold) -> bool:
        """A request that was let through is held now, whatever is left to its key, and then settled like any other."""
        if self._let_through.get(hold.hold_id) is not None:
            with suppress(AuthenticationError):  # the key is gone: the record alone tells of what was used
                await self._ledger.admit(replace(hold, forced=True))
        settled = await self._ledger.settle(record, hold)
        self._let_through.delete(hold.hold_id)
        return settled

    def _known_account(self, hold: Hold) -> Account | None:
        seen_at, account = self._known.get(hold.key.key_hash) or (0.0, None)
        if account is None or self._now() - seen_at > KNOWN_SECONDS:
            return None
        try:
            keys.verify(account.record, hold.key, hold.opened_at)
        except AuthenticationError:
            return None
        return None if permanent_refusal(account.record, hold) else account
