"""What is shown of a key or a team: its record, and the state of its limits and budget."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from tollgate.gateway import keys, limits
from tollgate.gateway.admission import Account, usage_of_hold
from tollgate.gateway.errors import KeyNotFoundError
from tollgate.gateway.keys import AuditEntry, KeyRecord
from tollgate.gateway.limits import Balance, Limits, iso
from tollgate.gateway.store_ports import KeyStore, UsageStore
from tollgate.gateway.types import Json
from tollgate.gateway.usage_report import EPOCH
from tollgate.gateway.usage_totals import DailyTotal, day_of


def key_json(record: KeyRecord, now: float) -> Json:
    """A key as it may be shown to its owner; never its hash."""
    return {
        "key_id": record.key_id,
        "name": record.name,
        "owner": record.owner,
        "status": key_status(record, now),
        "role": record.role,
        "team": record.team,
        "tier": record.tier,
        **_own_limits(record.limits),
        "models": list(record.models),
        "guardrails": list(record.guardrails),
        "credentials": list(record.credentials),
        "cache_seconds": record.cache_seconds,
        "allow_unpriced": record.allow_unpriced,
        "shards": record.shards,
        "metadata": dict(record.metadata),
        "created_at": iso(record.created_at),
        "expires_at": None if record.expires_at is None else iso(record.expires_at),
        "previous_secret_until": None if record.previous_until is None else iso(record.previous_until),
    }


def team_json(record: KeyRecord) -> Json:
    """A team as its owner may see it."""
    return {
        "team_id": record.key_id,
        "name": record.name,
        "owner": record.owner,
        **_own_limits(record.limits),
        "allow_unpriced": record.allow_unpriced,
        "shards": record.shards,
        "created_at": iso(record.created_at),
    }


def history_json(entries: Sequence[AuditEntry]) -> list[Json]:
    """The changes of a key or a team, oldest first."""
    return [{"at": iso(entry.at), "by": entry.by, "action": entry.action, **entry.changed} for entry in entries]


async def team_and_members(
    keys_of: KeyStore, usage: UsageStore, team_id: str, now: float
) -> tuple[Account, Sequence[KeyRecord]]:
    """A team with what is left of its limits now, and its keys. Raises KeyNotFoundError."""
    account = await keys_of.get(team_id) if keys.is_team_id(team_id) else None
    if account is None:
        raise KeyNotFoundError(f"There is no team {team_id[:200]}.", param="team")
    members = [record for record in await keys_of.list() if record.team == team_id]
    return await current_account(keys_of, usage, account, now), members


def whole_team_json(account: Account, members: Sequence[KeyRecord]) -> Json:
    """A team, what is left of its limits, and the ids of its keys."""
    return {**team_json(account.record), **state_of_team(account), "keys": [each.key_id for each in members]}


def _own_limits(own: Limits) -> Json:
    return {
        "rpm": own.rpm,
        "tpm": own.tpm,
        "concurrency": own.concurrency,
        "budget": own.budget and str(own.budget),
    }


def key_status(record: KeyRecord, now: float) -> str:
    """`active`, `revoked` or `expired`."""
    return "expired" if record.status == "active" and not keys.is_usable(record, now) else record.status


async def current_balance(store: UsageStore, account: Account, now: float) -> Balance:
    """What is left of the limits of a key or a team now, with the holds of requests that ended unsettled released.

    If such a request left a record, what that record used stays taken, as when the store closes the hold.
    """
    own = account.record.limits
    balance = limits.refreshed(account.balance, own, now)
    for hold_id in limits.ended(balance, now):
        record = await store.usage_of(*usage_of_hold(account.record.key_id, hold_id))
        used = (record.tokens, record.cost.micro_usd) if record else (0, 0)
        balance = limits.release(balance, own, hold_id, *used)
    return balance


async def current_account(store: KeyStore, usage: UsageStore, account: Account, now: float) -> Account:
    """The account and that of its team, with what is left of both now."""
    team = None if account.record.team is None else await store.get(account.record.team)
    if team is not None:
        team = replace(team, balance=await current_balance(usage, team, now))
    return replace(account, balance=await current_balance(usage, account, now), team=team)


def limits_json(account: Account, totals: Sequence[DailyTotal], now: float) -> Json:
    """A key's limits and what is left of them, under OpenRouter's names ("Get current API key") where it has them.

    The balances of the account and of its team are current, see `current_account`. `totals` are the key's daily totals
    of the days that records are kept.
    """
    record, today = account.record, day_of(now)
    date_now = date.fromordinal(EPOCH + today)
    monday, first = today - date_now.weekday(), today - date_now.day + 1
    return {
        "label": record.name,
        "key_id": record.key_id,
        "usage": _cost_since(totals, 0),
        "usage_daily": _cost_since(totals, today),
        "usage_weekly": _cost_since(totals, monday),
        "usage_monthly": _cost_since(totals, first),
        **_budget_json(account),
        "is_free_tier": False,
        "is_management_key": record.role == "admin",
        "rate_limit": {"requests": record.limits.rpm, "interval": "1m", "note": "per calendar minute"},
        "expires_at": None if record.expires_at is None else iso(record.expires_at),
        "owner": record.owner,
        "tier": record.tier,
        "models": list(record.models) or None,
        "limits": _limits_json(account),
        "team": account.team and state_of_team(account.team),
    }


def state_of_team(team: Account) -> Json:
    """A team's limits and what is left of them, under the same names as a key's."""
    names: Json = {"team_id": team.record.key_id, "name": team.record.name}
    return {**names, **_budget_json(team), "limits": _limits_json(team)}


def _budget_json(account: Account) -> Json:
    budget, balance = account.record.limits.budget, account.balance
    if budget is None:
        return {"limit": None, "limit_remaining": None, "limit_reset": None}
    return {
        "limit": float(budget.usd),
        "limit_remaining": balance.budget_left / 1_000_000,
        "limit_reset": None if balance.budget_until >= limits.NEVER else iso(balance.budget_until),
    }


def _limits_json(account: Account) -> Json:
    own, balance = account.record.limits, account.balance
    resets_at = iso(limits.window_ends(balance))
    return {
        "requests": _limit_json(own.rpm, balance.requests_left, resets_at),
        "tokens": _limit_json(own.tpm, balance.tokens_left, resets_at),
        "concurrency": _limit_json(own.concurrency, (own.concurrency or 0) - len(balance.leases), None),
    }


def _limit_json(limit: int | None, left: int, resets_at: str | None) -> Json | None:
    if limit is None:
        return None
    return {"limit": limit, "used": limit - left, "remaining": max(0, left), "resets_at": resets_at}


def _cost_since(totals: Sequence[DailyTotal], day: int) -> float:
    return float(sum(daily.total.cost_usd for daily in totals if daily.day >= day))
