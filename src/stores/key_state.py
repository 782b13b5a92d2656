"""What both stores keep of a key beside its record, and how ending a hold changes it: pure arithmetic, no I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from tollgate.gateway import limits
from tollgate.gateway.admission import Account
from tollgate.gateway.limits import UNLIMITED, WINDOW, Balance, Budget, Lease, Limits
from tollgate.gateway.metering import UsageRecord

LATE_KEPT = 3600
"""Seconds after its end in which a hold may still be settled to the balance. Holds end after their request's deadline,
so that only a clock that is wrong, or a request without a deadline, comes this late."""


@dataclass(frozen=True, slots=True)
class KeyState:
    """An account, and its `late` holds: ended with no record, what they held has gone back, and they may yet settle."""

    account: Account
    late: Mapping[str, Lease] = field(default_factory=dict[str, Lease])

    @property
    def balance(self) -> Balance:
        """What is left, and what is held."""
        return self.account.balance


def settled(state: KeyState, hold_id: str, tokens: int, micro_usd: int) -> KeyState:
    """The hold is over, having used this much. Nothing changes where it is over already."""
    leases = state.balance.leases
    if hold_id in state.late:
        leases = {**leases, hold_id: state.late[hold_id]}
    balance = limits.release(
        replace(state.balance, leases=leases), state.account.record.limits, hold_id, tokens, micro_usd
    )
    return KeyState(replace(state.account, balance=balance), _without(state.late, hold_id))


def overdue(state: KeyState, now: float) -> Sequence[str]:
    """The holds to be closed, each by whether its request left a record: those that nobody settled in their time."""
    forgotten = [hold_id for hold_id, lease in state.late.items() if lease.expires_at + LATE_KEPT <= now]
    return [*limits.ended(state.balance, now), *forgotten]


def closed(state: KeyState, hold_id: str, record: UsageRecord | None) -> KeyState:
    """An overdue hold is over. What its record says it used stays taken; without a record, everything goes back."""
    if record is not None:
        return settled(state, hold_id, record.tokens, record.cost.micro_usd)
    lease = state.balance.leases.get(hold_id)
    after = settled(state, hold_id, 0, 0)
    if lease is None:
        return after
    return replace(after, late={**after.late, hold_id: replace(lease, tokens=0, micro_usd=0)})


def shard_limits(of: Limits, shards: int, shard: int) -> Limits:
    """What one of several items that share a key's limits may give away; the shares add up to the limits."""
    if shards == 1:
        return of

    def part(limit: int) -> int:
        return limit // shards + (shard < limit % shards)

    budget = of.budget
    return Limits(
        rpm=None if of.rpm is None else part(of.rpm),
        tpm=None if of.tpm is None else part(of.tpm),
        concurrency=None if of.concurrency is None else part(of.concurrency),
        budget=budget and Budget(Decimal(part(int(budget.usd * 1_000_000))) / 1_000_000, budget.per),
    )


def combined_balance(shares: Sequence[Account], of: Limits, now: float) -> Balance:
    """The balance of a key whose limits several items share."""
    if len(shares) == 1:
        return shares[0].balance
    now = max(now, *(account.balance.window * WINDOW for account in shares))
    balances = [limits.refreshed(account.balance, account.record.limits, now) for account in shares]

    def left(limit: object, of_each: Sequence[int]) -> int:
        return sum(of_each) - (UNLIMITED * (len(shares) - 1) if limit is None else 0)

    return Balance(
        window=balances[0].window,
        requests_left=left(of.rpm, [balance.requests_left for balance in balances]),
        tokens_left=left(of.tpm, [balance.tokens_left for balance in balances]),
        budget_until=balances[0].budget_until,
        budget_left=left(of.budget, [balance.budget_left for balance in balances]),
        leases={hold_id: lease for balance in balances for hold_id, lease in balance.leases.items()},
    )


def _without(leases: Mapping[str, Lease], hold_id: str) -> Mapping[str, Lease]:
    return {other: lease for other, lease in leases.items() if other != hold_id}
