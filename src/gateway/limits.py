"""Limits of a key or team: requests and tokens per minute, requests at once, and money, as arithmetic on a balance.

Every store keeps a balance per key and team, and changes it by these functions, or by conditional writes that say the
same. A balance counts down: what is left is compared with what is requested, so that one condition can check it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal

WINDOW = 60
"""Seconds of one window of requests and tokens; windows begin at whole minutes of Unix time."""

UNLIMITED = 10**15
"""What is left of a limit that does not exist: more than any window can use."""

NEVER = 2**40
"""A Unix time that is never reached: the end of a budget that is never refilled."""

MAX_LIMIT = 10**9
"""The highest limit of requests, tokens or requests at once; far below UNLIMITED, which both stores can count to."""

MAX_LIMIT_USD = 10_000_000
"""The largest budget; in micro-dollars it is far below UNLIMITED."""

MAX_OPEN = 1000
"""How many requests one item of a key holds open at once, whatever its limits. Every write of the item is charged by
its size, and 1,000 holds take about 75 kB of the 400 kB that DynamoDB allows (developer guide, "Item size")."""

MAX_SKEW = 600
"""Seconds by which the clock of another instance may be ahead. A time further ahead was written by a wrong clock."""

Period = Literal["day", "month", "total"]
Kind = Literal["requests", "tokens", "concurrency", "open", "budget"]
"""Which limit is exceeded; `open` is MAX_OPEN, which applies whatever the limits of the key are."""


@dataclass(frozen=True, slots=True)
class Budget:
    """A budget: USD per calendar day or month (UTC), or in total."""

    usd: Decimal
    per: Period

    def __str__(self) -> str:
        return f"{self.usd:f}/{self.per}"


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one key or team; None means unlimited. `rpm` and `tpm` are per minute."""

    rpm: int | None = None
    tpm: int | None = None
    concurrency: int | None = None
    budget: Budget | None = None

    def __str__(self) -> str:
        """The limits in words; a dash for none."""
        rows = ((self.rpm, "{} rpm"), (self.tpm, "{} tpm"), (self.concurrency, "{} at once"), (self.budget, "${}"))
        return ", ".join(text.format(limit) for limit, text in rows if limit is not None) or "-"


@dataclass(frozen=True, slots=True)
class Lease:
    """What one admitted request holds until it is settled. Times are Unix seconds, money is in micro-dollars.

    A lease that is not settled ends at `expires_at`, and everything that it holds is released.
    """

    opened_at: float
    expires_at: float
    tokens: int
    micro_usd: int


@dataclass(frozen=True, slots=True)
class Balance:
    """What is left of a key's limits: of the minute numbered `window`, and of the budget until `budget_until`."""

    window: int
    requests_left: int
    tokens_left: int
    budget_until: int
    budget_left: int
    leases: Mapping[str, Lease]


class ExceededError(Exception):
    """A limit is exceeded; `kind` says which. Nothing was reserved."""

    def __init__(self, kind: Kind) -> None:
        super().__init__(kind)
        self.kind: Kind = kind


def window_of(now: float) -> int:
    """The number of the minute of a Unix time."""
    return int(now) // WINDOW


def full(limits: Limits, now: float) -> Balance:
    """The balance of a key that has used nothing."""
    return Balance(
        window=window_of(now),
        requests_left=_or_unlimited(limits.rpm),
        tokens_left=_or_unlimited(limits.tpm),
        budget_until=_budget_until(limits.budget, now),
        budget_left=_budget(limits),
        leases={},
    )


def refreshed(balance: Balance, limits: Limits, now: float) -> Balance:
    """The balance at this time: a new window is full, and so is the budget of a new day or month.

    Time never goes back: an instance whose clock is behind uses the window of the one that is ahead. A window or a
    budget period that begins more than MAX_SKEW seconds from now was opened by a wrong clock, and is reset: the window
    is full again, and what was used of the budget stays used.
    """
    fresh = full(limits, now)
    if fresh.window > balance.window or balance.window > window_of(now + MAX_SKEW):
        balance = replace(
            balance, window=fresh.window, requests_left=fresh.requests_left, tokens_left=fresh.tokens_left
        )
    if now >= balance.budget_until:
        balance = replace(balance, budget_until=fresh.budget_until, budget_left=fresh.budget_left)
    elif balance.budget_until > _budget_until(limits.budget, now + MAX_SKEW):
        balance = replace(balance, budget_until=fresh.budget_until)
    return balance


def ended(balance: Balance, now: float) -> Mapping[str, Lease]:
    """The leases that were not settled in time, and those that a wrong clock opened far ahead of this one."""
    return {
        hold_id: lease
        for hold_id, lease in balance.leases.items()
        if lease.expires_at <= now or lease.opened_at > now + MAX_SKEW
    }


def reserve(balance: Balance, limits: Limits, hold_id: str, lease: Lease, *, forced: bool = False) -> Balance:
    """The balance with this lease in it. A `forced` lease may leave less than zero. Raises ExceededError.

    A lease that exists already is not reserved again.
    """
    if hold_id in balance.leases:
        return balance
    if not forced:
        _check(balance, limits, lease)
    # Where another instance's clock is ahead, the lease is of the window it was taken from, not of an earlier one.
    lease = replace(lease, opened_at=max(lease.opened_at, balance.window * WINDOW))
    return replace(
        balance,
        requests_left=balance.requests_left - 1,
        tokens_left=balance.tokens_left - lease.tokens,
        budget_left=balance.budget_left - lease.micro_usd,
        leases={**balance.leases, hold_id: lease},
    )


def _check(balance: Balance, limits: Limits, lease: Lease) -> None:
    """A limit that does not exist is not compared: whatever was counted refuses nothing."""
    if limits.rpm is not None and balance.requests_left < 1:
        raise ExceededError("requests")
    if limits.tpm is not None and balance.tokens_left < lease.tokens:
        raise ExceededError("tokens")
    if limits.concurrency is not None and len(balance.leases) >= limits.concurrency:
        raise ExceededError("concurrency")
    if len(balance.leases) >= MAX_OPEN:
        raise ExceededError("open")
    if limits.budget is not None and balance.budget_left < lease.micro_usd:
        raise ExceededError("budget")


def extend(balance: Balance, limits: Limits, hold_id: str, amount: int, minimum: int) -> Balance:
    """The balance with `amount` more micro-dollars held by an open lease, or what is left but at least `minimum`.

    Raises ExceededError if less is left, or if the lease is over. If the budget period it was reserved in is over,
    nothing is reserved in the new one.
    """
    lease = balance.leases.get(hold_id)
    if lease is None:
        raise ExceededError("budget")
    taken = 0
    if limits.budget is not None and same_budget(balance, limits, lease):
        amount = taken = max(min(amount, balance.budget_left), minimum)
        if balance.budget_left < taken:
            raise ExceededError("budget")
    grown = replace(lease, micro_usd=lease.micro_usd + amount)
    return replace(balance, budget_left=balance.budget_left - taken, leases={**balance.leases, hold_id: grown})


def release(balance: Balance, limits: Limits, hold_id: str, tokens: int, micro_usd: int) -> Balance:
    """The balance without this lease: what it held is released, what was used stays used.

    What was held in a window or a budget period that is over is gone with it.
    """
    lease = balance.leases.get(hold_id)
    if lease is None:
        return balance
    return replace(
        balance,
        tokens_left=balance.tokens_left + (lease.tokens - tokens if same_window(balance, lease) else 0),
        budget_left=balance.budget_left + (lease.micro_usd - micro_usd if same_budget(balance, limits, lease) else 0),
        leases={other: held for other, held in balance.leases.items() if other != hold_id},
    )


def cancel(balance: Balance, limits: Limits, hold_id: str) -> Balance:
    """The balance as if this lease had never been reserved."""
    lease = balance.leases.get(hold_id)
    after = release(balance, limits, hold_id, 0, 0)
    if lease is None or not same_window(balance, lease):
        return after
    return replace(after, requests_left=after.requests_left + 1)


def shrink(balance: Balance, limits: Limits, hold_id: str, micro_usd: int) -> Balance:
    """The balance after an open lease has given back what it holds above this amount."""
    lease = balance.leases.get(hold_id)
    if lease is None or lease.micro_usd <= micro_usd:
        return balance
    is_charged = limits.budget is not None and same_budget(balance, limits, lease)
    returned = lease.micro_usd - micro_usd if is_charged else 0
    leases = {**balance.leases, hold_id: replace(lease, micro_usd=micro_usd)}
    return replace(balance, budget_left=balance.budget_left + returned, leases=leases)


def same_window(balance: Balance, lease: Lease) -> bool:
    """Whether the lease was reserved in this balance's window."""
    return window_of(lease.opened_at) == balance.window


def same_budget(balance: Balance, limits: Limits, lease: Lease) -> bool:
    """Whether the lease was reserved in this balance's budget period."""
    return _budget_until(limits.budget, lease.opened_at) == balance.budget_until


def changed(balance: Balance, old: Limits, new: Limits, now: float) -> Balance:
    """The balance after the limits have changed: what was used stays used.

    A budget of another period begins anew, less what is held at that moment; so does the first budget of a key.
    """
    balance = refreshed(balance, old, now)
    before, after = full(old, now), full(new, now)
    if before.budget_until == after.budget_until and (old.budget is None) == (new.budget is None):
        taken = before.budget_left - balance.budget_left
    else:  # what is held now goes back to the new budget, and so is taken from it
        new_period = replace(balance, budget_until=after.budget_until)
        taken = sum(held.micro_usd for held in balance.leases.values() if same_budget(new_period, new, held))
    return replace(
        balance,
        requests_left=after.requests_left - (before.requests_left - balance.requests_left),
        tokens_left=after.tokens_left - (before.tokens_left - balance.tokens_left),
        budget_until=after.budget_until,
        budget_left=after.budget_left - taken,
    )


def window_ends(balance: Balance) -> int:
    """When requests and tokens are refilled, in Unix seconds."""
    return (balance.window + 1) * WINDOW


def iso(seconds: float) -> str:
    """A Unix time as ISO 8601, in whole seconds of UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _or_unlimited(limit: int | None) -> int:
    return UNLIMITED if limit is None else limit


def _budget(limits: Limits) -> int:
    return UNLIMITED if limits.budget is None else int(limits.budget.usd * 1_000_000)


def _budget_until(budget: Budget | None, now: float) -> int:
    if budget is None or budget.per == "total":
        return NEVER
    day = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if budget.per == "day":
        return int((day + timedelta(days=1)).timestamp())
    return int((day.replace(day=1) + timedelta(days=32)).replace(day=1).timestamp())
