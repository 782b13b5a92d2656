"""The state of a key in a store, and how settling or closing a hold changes it: pure functions, no I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from tollgate.gateway import limits
from tollgate.gateway.admission import Account
from tollgate.gateway.limits import UNLIMITED, WINDOW, Balance, Budget, Lease, Limits
from tollgate.gateway.metering import UsageRecord

LATE_KEPT = 3600
"""Seconds for which a late hold is kept, and can still be settled, after its lease has expired. Leases expire after the
deadline of their request, so only a wrong clock or a request without a deadline settles this late."""


@dataclass(frozen=True, slots=True)
class KeyState:
    """An account, and its `late` holds: they were closed without a usage record, their amounts were released, and they
    can still be settled.
    """

    account: Account
    late: Mapping[str, Lease] = field(default_factory=dict[str, Lease])

    @property
    def balance(self) -> Balance:
        """The balance of the account."""
        return self.account.balance


def settled(state: KeyState, hold_id: str, tokens: int, micro_usd: int) -> KeyState:
    """The state after a hold was settled with this usage; the same state if it was settled before."""
    leases = state.balance.leases
    if hold_id in state.late:
        leases = {**leases, hold_id: state.late[hold_id]}
    balance = limits.release(
        replace(state.balance, leases=leases), state.account.record.limits, hold_id, tokens, micro_usd
    )
    return KeyState(replace(state.account, balance=balance), _without(state.late, hold_id))


def cancelled(state: KeyState, hold_id: str) -> KeyState:
    """The state as if a hold had never been reserved; the same state if it is not there."""
    account = state.account
    balance = limits.cancel(state.balance, account.record.limits, hold_id)
    return KeyState(replace(account, balance=balance), _without(state.late, hold_id))


def overdue(state: KeyState, now: float) -> Sequence[str]:
    """The ids of the holds to close: leases that expired without being settled, and late holds past LATE_KEPT."""
    expired_late = [hold_id for hold_id, lease in state.late.items() if lease.expires_at + LATE_KEPT <= now]
    return [*limits.ended(state.balance, now), *expired_late]


def closed(state: KeyState, hold_id: str, record: UsageRecord | None) -> KeyState:
    """The state after an overdue hold was closed. `record` is the usage record of its request.

    With a record, the hold is settled. Without one, all it reserved is released, and it becomes late.
    """
    if record is not None:
        return settled(state, hold_id, record.tokens, record.cost.micro_usd)
    lease = state.balance.leases.get(hold_id)
    after = settled(state, hold_id, 0, 0)
    if lease is None:
        return after
    return replace(after, late={**after.late, hold_id: replace(lease, tokens=0, micro_usd=0)})


def shard_limits(whole: Limits, shards: int, shard: int) -> Limits:
    """The share of one shard in a key's limits. The shares add up to the limits."""
    if shards == 1:
        return whole

    def share(limit: int) -> int:
        return limit // shards + (shard < limit % shards)

    budget = whole.budget
    return Limits(
        rpm=None if whole.rpm is None else share(whole.rpm),
        tpm=None if whole.tpm is None else share(whole.tpm),
        concurrency=None if whole.concurrency is None else share(whole.concurrency),
        budget=budget and Budget(Decimal(share(int(budget.usd * 1_000_000))) / 1_000_000, budget.per),
    )


def combined_balance(shares: Sequence[Account], whole: Limits, now: float) -> Balance:
    """The balance of a key from those of its shards. `whole` are the limits of the key."""
    if len(shares) == 1:
        return shares[0].balance
    now = max(now, *(account.balance.window * WINDOW for account in shares))
    balances = [limits.refreshed(account.balance, account.record.limits, now) for account in shares]

    def total(limit: object, left: Sequence[int]) -> int:
        return sum(left) - (UNLIMITED * (len(shares) - 1) if limit is None else 0)

    return Balance(
        window=balances[0].window,
        requests_left=total(whole.rpm, [balance.requests_left for balance in balances]),
        tokens_left=total(whole.tpm, [balance.tokens_left for balance in balances]),
        budget_until=balances[0].budget_until,
        budget_left=total(whole.budget, [balance.budget_left for balance in balances]),
        leases={hold_id: lease for balance in balances for hold_id, lease in balance.leases.items()},
    )


def multiplied_balance(balance: Balance, shards: int) -> Balance:
    """The balance of a key from that of one of its shards, if the others have as much left."""
    if shards == 1:
        return balance
    return replace(
        balance,
        requests_left=balance.requests_left * shards,
        tokens_left=balance.tokens_left * shards,
        budget_left=balance.budget_left * shards,
    )


def _without(leases: Mapping[str, Lease], hold_id: str) -> Mapping[str, Lease]:
    return {other: lease for other, lease in leases.items() if other != hold_id}
