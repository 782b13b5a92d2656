"""What is shown of a key: its record, and the state of its limits and budget."""

from collections.abc import Sequence
from datetime import date

from tollgate.gateway import keys, limits
from tollgate.gateway.admission import Account
from tollgate.gateway.keys import KeyRecord
from tollgate.gateway.limits import Balance, iso
from tollgate.gateway.ports import UsageStore
from tollgate.gateway.types import Json
from tollgate.gateway.usage_report import EPOCH
from tollgate.gateway.usage_totals import DailyTotal, day_of


def key_json(record: KeyRecord, now: float) -> Json:
    """A key as it may be shown to its owner; never its hash."""
    own = record.limits
    return {
        "key_id": record.key_id,
        "name": record.name,
        "owner": record.owner,
        "status": key_status(record, now),
        "role": record.role,
        "tier": record.tier,
        "rpm": own.rpm,
        "tpm": own.tpm,
        "concurrency": own.concurrency,
        "budget": own.budget and str(own.budget),
        "models": list(record.models),
        "allow_unpriced": record.allow_unpriced,
        "shards": record.shards,
        "metadata": dict(record.metadata),
        "created_at": iso(record.created_at),
        "expires_at": None if record.expires_at is None else iso(record.expires_at),
        "previous_secret_until": None if record.previous_until is None else iso(record.previous_until),
    }


def key_status(record: KeyRecord, now: float) -> str:
    """`active`, `revoked` or `expired`."""
    return "expired" if record.status == "active" and not keys.is_usable(record, now) else record.status


async def current_balance(store: UsageStore, account: Account, now: float) -> Balance:
    """What is left of a key's limits now, with the holds of requests that ended unsettled released.

    If such a request left a record, what that record used stays taken, as when the store closes the hold.
    """
    own = account.record.limits
    balance = limits.refreshed(account.balance, own, now)
    for hold_id in limits.ended(balance, now):
        record = await store.usage_of(account.record.key_id, hold_id)
        used = (record.tokens, record.cost.micro_usd) if record else (0, 0)
        balance = limits.release(balance, own, hold_id, *used)
    return balance


def limits_json(record: KeyRecord, balance: Balance, totals: Sequence[DailyTotal], now: float) -> Json:
    """A key's limits and what is left of them, under OpenRouter's names ("Get current API key") where it has them.

    `totals` are the key's daily totals of the days that records are kept.
    """
    own, until, today = record.limits, balance.budget_until, day_of(now)
    date_now = date.fromordinal(EPOCH + today)
    monday, first = today - date_now.weekday(), today - date_now.day + 1
    return {
        "label": record.name,
        "key_id": record.key_id,
        "usage": _cost_since(totals, 0),
        "usage_daily": _cost_since(totals, today),
        "usage_weekly": _cost_since(totals, monday),
        "usage_monthly": _cost_since(totals, first),
        "limit": None if own.budget is None else float(own.budget.usd),
        "limit_remaining": None if own.budget is None else balance.budget_left / 1_000_000,
        "limit_reset": None if own.budget is None or until >= limits.NEVER else iso(until),
        "is_free_tier": False,
        "is_management_key": record.role == "admin",
        "rate_limit": {"requests": own.rpm, "interval": "1m", "note": "per calendar minute"},
        "expires_at": None if record.expires_at is None else iso(record.expires_at),
        "owner": record.owner,
        "tier": record.tier,
        "models": list(record.models) or None,
        "limits": {
            "requests": _limit_json(own.rpm, balance.requests_left, iso(limits.window_ends(balance))),
            "tokens": _limit_json(own.tpm, balance.tokens_left, iso(limits.window_ends(balance))),
            "concurrency": _limit_json(own.concurrency, (own.concurrency or 0) - len(balance.leases), None),
        },
    }


def _limit_json(limit: int | None, left: int, resets_at: str | None) -> Json | None:
    if limit is None:
        return None
    return {"limit": limit, "used": limit - left, "remaining": max(0, left), "resets_at": resets_at}


def _cost_since(totals: Sequence[DailyTotal], day: int) -> float:
    return float(sum(daily.total.cost_usd for daily in totals if daily.day >= day))
