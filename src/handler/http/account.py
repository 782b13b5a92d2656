"""What a key's holder can read back under /v1: how the key stands, what it used, one request by its id.

Field names follow OpenRouter's API reference ("Get current API key", "Get credits", "Get a generation") where it has
them. A key with the role `admin` may read another key's with `?key_id=`; of usage, `*` means every key's.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import date
from typing import Any, cast, get_args

from fastapi import APIRouter, Request, Response

from tollgate.adapters.clients.openai import bearer_key
from tollgate.gateway import keys, limits
from tollgate.gateway.admission import Account
from tollgate.gateway.errors import BadRequestError, KeyNotFoundError, NotFoundError, PermissionDeniedError
from tollgate.gateway.keys import KeyRecord
from tollgate.gateway.limits import Balance
from tollgate.gateway.metering import UsageRecord
from tollgate.gateway.ports import KeyStore, UsageStore
from tollgate.gateway.types import Json
from tollgate.gateway.usage_totals import DailyTotal, Group, Summary, Total, day_of, summarise
from tollgate.handler.components import Components
from tollgate.handler.http.requests import components_of, context_of
from tollgate.handler.http.responses import json_response

router = APIRouter(prefix="/v1")

KEPT_DAYS = 30
"""How long usage records are kept."""

_EPOCH = date(1970, 1, 1).toordinal()
_REQUEST_ID = re.compile(r"(?:chatcmpl-|req_)?([0-9a-f]{32})", re.ASCII)


@router.get("/usage")
async def read_usage(request: Request) -> Response:
    """Usage by `group_by` (day, model, key, or several with commas) from day `from` to day `to`, as JSON or CSV."""
    components = components_of(request)
    account = await components.gateway.authenticate(bearer_key(request.headers), context_of(request))
    given = request.query_params
    first, last = days(given.get("from"), given.get("to"), components.clock.now())
    groups = groups_of(given.get("group_by", "day"))
    key_ids = await _readable(request, components, account)
    summary = summarise(await totals_of(components.usage, key_ids, first, last), groups)
    if given.get("format") == "csv" or "text/csv" in request.headers.get("accept", ""):
        return Response(as_csv(summary), media_type="text/csv")
    return json_response(as_listing(summary))


@router.get("/key")
@router.get("/auth/key")
async def read_key(request: Request) -> Response:
    """A key: its limits, what is used of them and what is left, and when they are filled again."""
    components = components_of(request)
    account = await _asked_account(request, components)
    now = components.clock.now()
    today = day_of(now)
    kept = await components.usage.totals(account.record.key_id, today - KEPT_DAYS, today + 1)
    return json_response({"data": _key(account.record, await _standing(components, account, now), kept, now)})


@router.get("/credits")
async def read_credits(request: Request) -> Response:
    """A key's budget and what is spent of it, in USD; null for a key without one."""
    components = components_of(request)
    account = await _asked_account(request, components)
    budget = account.record.limits.budget
    if budget is None:
        return json_response({"data": {"total_credits": None, "total_usage": None}})
    left = (await _standing(components, account, components.clock.now())).budget_left
    spent = float(budget.usd) - left / 1_000_000
    return json_response({"data": {"total_credits": float(budget.usd), "total_usage": spent}})


@router.get("/generation")
async def read_generation(request: Request) -> Response:
    """One request by the id of its answer, or its request id."""
    components = components_of(request)
    account = await components.gateway.authenticate(bearer_key(request.headers), context_of(request))
    wanted = request.query_params.get("id", "")
    key_ids = await _readable(request, components, account)
    if match := _REQUEST_ID.fullmatch(wanted):
        for key_id in key_ids:
            record = await components.usage.usage_of(key_id, f"req_{match[1]}")
            if record is not None:
                return json_response({"data": _generation(wanted, record)})
    raise NotFoundError(f"There is no request {wanted[:200]!r}.", param="id", code="generation_not_found")


async def _asked_account(request: Request, components: Components) -> Account:
    """The account that is asked for. Raises PermissionDeniedError, KeyNotFoundError."""
    own = await components.gateway.authenticate(bearer_key(request.headers), context_of(request))
    wanted = _wanted_key(request, own)
    if wanted == own.record.key_id:
        return own
    account = await components.keys.get(wanted) if keys.is_key_id(wanted) else None
    if account is None:
        raise _no_key(wanted)
    return account


async def _readable(request: Request, components: Components, account: Account) -> Iterable[str]:
    """The keys whose usage is asked for. Raises PermissionDeniedError, KeyNotFoundError."""
    wanted = _wanted_key(request, account)
    if wanted == account.record.key_id:
        return [wanted]
    return await components.keys.key_ids() if wanted == "*" else [await known_key(components.keys, wanted)]


def _wanted_key(request: Request, account: Account) -> str:
    """The key that is asked for, by default one's own. Raises PermissionDeniedError for others, unless to an admin."""
    own = account.record.key_id
    wanted = request.query_params.get("key_id", own)
    if wanted != own and account.record.role != "admin":
        raise PermissionDeniedError("Only an admin's key may read another key.", param="key_id", code="admin_only")
    return wanted


async def known_key(store: KeyStore, key_id: str) -> str:
    """This key, if it may have usage records. Raises KeyNotFoundError."""
    if keys.is_key_id(key_id) and (await store.get(key_id) is not None or key_id in await store.key_ids()):
        return key_id
    raise _no_key(key_id)


def _no_key(key_id: str) -> KeyNotFoundError:
    return KeyNotFoundError(f"There is no key {key_id[:200]}.", param="key_id")


async def totals_of(store: UsageStore, key_ids: Iterable[str], first: int, last: int) -> Sequence[DailyTotal]:
    """The daily totals of several keys, on the days from `first` to `last`."""
    return [total for key_id in key_ids for total in await store.totals(key_id, first, last)]


def days(first: str | None, last: str | None, now: float) -> tuple[int, int]:
    """The days `first` and `last`, counted in Unix time; by default the last KEPT_DAYS days.

    Raises BadRequestError, naming the parameter `from` or `to`.
    """
    today = day_of(now)
    begin, end = _day("from", first, today - KEPT_DAYS), _day("to", last, today)
    if end < begin:
        raise BadRequestError("'to' is before 'from'.", param="to", code="invalid_value")
    return begin, end


def _day(name: str, given: str | None, otherwise: int) -> int:
    try:
        return date.fromisoformat(given).toordinal() - _EPOCH if given else otherwise
    except ValueError:
        message = f"Invalid value for '{name}': a day is written as 2026-11-21."
        raise BadRequestError(message, param=name, code="invalid_value") from None


def groups_of(text: str) -> Sequence[Group]:
    """What to group by: names from Group, with commas. Raises BadRequestError."""
    groups = [name.strip() for name in text[:200].split(",")]
    if not set(groups) <= set(get_args(Group)) or len(set(groups)) < len(groups):
        message = f"Invalid value for 'group_by': it is made of {', '.join(get_args(Group))}, each once."
        raise BadRequestError(message, param="group_by", code="invalid_value")
    return cast("list[Group]", groups)


def as_json(total: Total) -> Json:
    """One row's figures; money as text, exact to the micro-dollar."""
    return {**asdict(total), "cost_usd": f"{total.cost_usd:.6f}"}


def as_listing(summary: Summary) -> Json:
    """The rows, each with what its group is, and their total."""
    rows = [{**dict(zip(summary.groups, names, strict=True)), **as_json(total)} for names, total in summary.rows]
    return {"object": "list", "data": rows, "total": as_json(summary.total)}


def as_csv(summary: Summary) -> str:
    """The rows, under a line of their names."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([*summary.groups, *as_json(summary.total)])
    for names, total in summary.rows:
        writer.writerow([*names, *as_json(total).values()])
    return out.getvalue()


async def _standing(components: Components, account: Account, now: float) -> Balance:
    """What is left of a key's limits now, with what is held by leases that ended unsettled given back.

    Where such a request left a record, what that says it used stays taken, as when the store closes the lease.
    """
    of = account.record.limits
    balance = limits.refreshed(account.balance, of, now)
    for hold_id in limits.ended(balance, now):
        record = await components.usage.usage_of(account.record.key_id, hold_id)
        used = (record.tokens, record.cost.micro_usd) if record else (0, 0)
        balance = limits.release(balance, of, hold_id, *used)
    return balance


def _key(record: KeyRecord, balance: Balance, kept: Sequence[DailyTotal], now: float) -> dict[str, Any]:
    of, until, today = record.limits, balance.budget_until, day_of(now)
    date_now = date.fromordinal(_EPOCH + today)
    monday, first = today - date_now.weekday(), today - date_now.day + 1
    return {
        "label": record.name,
        "key_id": record.key_id,
        "usage": _cost_since(kept, 0),
        "usage_daily": _cost_since(kept, today),
        "usage_weekly": _cost_since(kept, monday),
        "usage_monthly": _cost_since(kept, first),
        "limit": None if of.budget is None else float(of.budget.usd),
        "limit_remaining": None if of.budget is None else balance.budget_left / 1_000_000,
        "limit_reset": None if of.budget is None or until >= limits.NEVER else limits.iso(until),
        "is_free_tier": False,
        "is_management_key": record.role == "admin",
        "rate_limit": {"requests": of.rpm, "interval": "1m", "note": "per calendar minute"},
        "expires_at": None if record.expires_at is None else limits.iso(record.expires_at),
        "owner": record.owner,
        "tier": record.tier,
        "models": list(record.models) or None,
        "limits": {
            "requests": _row(of.rpm, balance.requests_left, limits.iso(limits.window_ends(balance))),
            "tokens": _row(of.tpm, balance.tokens_left, limits.iso(limits.window_ends(balance))),
            "concurrency": _row(of.concurrency, (of.concurrency or 0) - len(balance.leases), None),
        },
    }


def _row(limit: int | None, left: int, resets_at: str | None) -> dict[str, Any] | None:
    if limit is None:
        return None
    return {"limit": limit, "used": limit - left, "remaining": max(0, left), "resets_at": resets_at}


def _cost_since(totals: Sequence[DailyTotal], day: int) -> float:
    return float(sum(daily.total.cost_usd for daily in totals if daily.day >= day))


def _generation(wanted: str, record: UsageRecord) -> dict[str, Any]:
    usage = record.usage
    first, whole = record.time_to_first_token_ms, record.latency_ms
    cost = None if record.cost.usd is None else float(record.cost.usd)
    return {
        "id": wanted,
        "request_id": record.request_id,
        "operation": record.operation,
        "model": record.model,
        "provider_name": record.provider,
        "upstream_model": record.upstream_model,
        "created_at": limits.iso(record.started_at),
        "streamed": record.streamed,
        "cancelled": record.error_code == "client_closed_request",
        "finish_reason": record.finish_reason,
        "error_code": record.error_code,
        "status": record.status,
        "tokens_prompt": usage and usage.input_tokens,
        "tokens_completion": usage and usage.output_tokens,
        "native_tokens_reasoning": usage and usage.reasoning_tokens,
        "native_tokens_cached": usage and usage.cached_tokens,
        "total_cost": cost,
        "usage": cost,
        "cost_source": record.cost.source,
        "cost_note": record.cost.note,
        "priced_on": record.cost.priced_on and record.cost.priced_on.isoformat(),
        "estimated": record.estimated,
        "latency": first if first is not None else whole,
        "generation_time": None if first is None else whole - first,
    }
