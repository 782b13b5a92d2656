"""Protocols of the stores: admission and settlement, keys and teams, and usage records."""

from collections.abc import AsyncIterator, Sequence, Set
from typing import Protocol

from tollgate.gateway.admission import Account, Hold
from tollgate.gateway.documents import Documents
from tollgate.gateway.keys import AuditEntry, Change, KeyRecord
from tollgate.gateway.metering import UsageRecord
from tollgate.gateway.usage_totals import DailyTotal


class Ledger(Protocol):
    """Admission and settlement, exact across every instance of the gateway."""

    async def admit(self, hold: Hold) -> Account:
        """Make the decision of `gateway.admission.decide` and open the hold; on the usual path in ONE conditional
        write, and one more for the team of a key that has one.

        Returns the key's state after it, with the team's. Raises AuthenticationError and RefusedError, having changed
        nothing; StoreUnavailableError if the store does not respond. Admitting the same hold again reserves nothing
        twice.
        """
        ...

    async def extend(self, hold: Hold, amount: int, minimum: int) -> int:
        """Hold more of the budget for an output that grows, in micro-dollars; on the usual path ONE conditional write,
        and one more for the team.

        `hold` is the open hold with what it holds now. It gets `amount` more, or what is left, but at least `minimum`.
        Returns what it then holds in all. Raises RefusedError `budget`, having changed nothing, if less is left or the
        hold is over; AuthenticationError if the key is gone; StoreUnavailableError.
        """
        ...

    async def settle(self, record: UsageRecord, hold: Hold) -> bool:
        """Write the request's usage record and close its hold; what was held and not used is released.

        Each is done only once, however often this is called and wherever an earlier call was interrupted. False if the
        request was settled already; then nothing changed. Raises StoreUnavailableError.
        """
        ...


class KeyStore(Protocol):
    """The stored keys and teams. Every change is audited: who, when, what.

    A team is a key without a secret: what is said of a key here applies to a team, by its id, unless it says otherwise.
    """

    async def create(self, record: KeyRecord, by: str) -> None:
        """Store a new key with a full balance. Raises KeyExistsError if the key_id is taken, KeyNotFoundError if its
        team does not exist."""
        ...

    async def get(self, key_id: str) -> Account | None:
        """The key and its state, consistent with the last change to it; None if there is no such key."""
        ...

    async def list(self) -> Sequence[KeyRecord]:
        """Every key, oldest first; no teams."""
        ...

    async def teams(self) -> Sequence[KeyRecord]:
        """Every team, oldest first."""
        ...

    async def key_ids(self) -> Set[str]:
        """The ids of all keys, and of those deleted so recently that usage records of theirs may be left."""
        ...

    async def update(self, key_id: str, change: Change, by: str) -> KeyRecord:
        """Replace a key's record by `change` of it, atomically. Raises KeyNotFoundError, also for a new team of it.

        If its limits change, what was used of them stays used.
        """
        ...

    async def reset(self, key_id: str, by: str) -> None:
        """Refill a key's balance: nothing is used, nothing is held. Raises KeyNotFoundError.

        Usage records stay. A request that is open meanwhile is recorded, and not charged to the new balance.
        """
        ...

    async def delete(self, key_id: str, by: str) -> None:
        """Delete a key. Its usage records stay. Raises KeyNotFoundError, and TeamInUseError for a team with keys."""
        ...

    async def audit(self, key_id: str) -> Sequence[AuditEntry]:
        """The changes of a key, oldest first, also after it was deleted."""
        ...


class UsageStore(Protocol):
    """The stored usage records, to read."""

    async def totals(self, key_id: str, first: int, last: int) -> Sequence[DailyTotal]:
        """What a key used on the days from `first` to `last`, both included, one total per model, provider and day.

        They are in any order. The cost depends on the number of days and models, not of records: a store keeps these
        totals.
        """
        ...

    def usage(self, key_id: str, start: float, end: float) -> AsyncIterator[UsageRecord]:
        """The records of a key whose request began in [start, end), Unix seconds, oldest first."""
        ...

    async def recent(self, key_id: str, before: str, limit: int) -> Sequence[UsageRecord]:
        """The last records of a key whose request id sorts before this text, newest first. A record that was written
        a moment ago may be missing."""
        ...

    async def usage_of(self, key_id: str, request_id: str) -> UsageRecord | None:
        """The record of one request; None if it does not exist, or no longer."""
        ...


class Store(Ledger, KeyStore, UsageStore, Documents, Protocol):
    """One store with all of it."""

    def close(self) -> None:
        """Accept no more calls, and release everything once the open ones have ended. Closing again is no error."""
        ...
