"""What a key's holder reads back under /v1: the state of the key, its usage, and one request by its id.

Field names follow OpenRouter's API reference ("Get current API key", "Get credits", "Get a generation") where it has
them. A key with the role `admin` may read another key with `?key_id=`; for usage, `*` means every key.
"""

import re
from collections.abc import Iterable
from dataclasses import asdict
from operator import itemgetter

from starlette.requests import Request
from starlette.responses import Response

from tollgate.adapters.clients.openai import bearer_key
from tollgate.gateway import keys, limits
from tollgate.gateway.admission import Account
from tollgate.gateway.errors import NotFoundError, PermissionDeniedError
from tollgate.gateway.key_report import current_account, limits_json
from tollgate.gateway.metering import UsageRecord
from tollgate.gateway.types import Json
from tollgate.gateway.usage_report import (
    KEPT_DAYS,
    existing_key,
    parse_days,
    parse_groups,
    summary_csv,
    summary_json,
    teams_of_keys,
    unknown_key,
    usage_report,
)
from tollgate.gateway.usage_totals import day_of
from tollgate.gateway.validation import invalid
from tollgate.handler.components import Components
from tollgate.handler.http.requests import components_of, context_of
from tollgate.handler.http.responses import json_response
from tollgate.handler.http.routes import route

AFTER_ALL = "req_~"
"""A text that sorts behind every request id."""
_REQUEST_ID = re.compile(r"(?:chatcmpl-|cmpl-|modr-|msg_|resp_|req_)?([0-9a-f]{32})", re.ASCII)


async def get_usage(request: Request) -> Response:
    """Usage by `group_by` (day, model, provider, key, team, or several with commas) from day `from` to day `to`, as
    JSON or CSV."""
    components = components_of(request)
    account = await components.gateway.authenticate(bearer_key(request.headers), context_of(request))
    key_ids = await _readable_keys(request, components, account)
    return await usage_response(request, key_ids, account)


async def usage_response(request: Request, key_ids: Iterable[str], account: Account) -> Response:
    """The usage of these keys as the query wants it. `account` is that of the client's key."""
    components, query, own = components_of(request), request.query_params, account.record
    days = parse_days(query.get("from"), query.get("to"), components.clock.now())
    groups = parse_groups(query.get("group_by", "day"))
    if own.role == "admin":
        teams = await teams_of_keys(components.keys, groups)
    else:
        teams = {own.key_id: own.team} if own.team else {}
    summary = await usage_report(components.usage, key_ids, days, groups, teams)
    if query.get("format") == "csv" or "text/csv" in request.headers.get("accept", ""):
        return Response(summary_csv(summary), media_type="text/csv")
    return json_response(summary_json(summary))


async def get_key(request: Request) -> Response:
    """A key: its limits, what is used and left of them, and when they are refilled."""
    components = components_of(request)
    account = await _requested_account(request, components)
    now = components.clock.now()
    today = day_of(now)
    totals = await components.usage.totals(account.record.key_id, today - KEPT_DAYS, today + 1)
    account = await current_account(components.keys, components.usage, account, now)
    return json_response({"data": limits_json(account, totals, now)})


async def get_credits(request: Request) -> Response:
    """A key's budget or its team's, whichever has less left, and what is spent of it, in USD; null without one."""
    components = components_of(request)
    account = await _requested_account(request, components)
    account = await current_account(components.keys, components.usage, account, components.clock.now())
    budgets = [(each.balance.budget_left, each.record.limits.budget) for each in account.each]
    left, budget = min(budgets, key=itemgetter(0))
    if budget is None:
        return json_response({"data": {"total_credits": None, "total_usage": None}})
    spent = float(budget.usd) - left / 1_000_000
    return json_response({"data": {"total_credits": float(budget.usd), "total_usage": spent}})


async def get_generation(request: Request) -> Response:
    """One request by the id of its response, or by its request id."""
    components = components_of(request)
    account = await components.gateway.authenticate(bearer_key(request.headers), context_of(request))
    requested_id = request.query_params.get("id", "")
    key_ids = await _readable_keys(request, components, account)
    if match := _REQUEST_ID.fullmatch(requested_id):
        for key_id in key_ids:
            record = await components.usage.usage_of(key_id, f"req_{match[1]}")
            if record is not None:
                return json_response({"data": _generation(requested_id, record)})
    raise NotFoundError(f"There is no request {requested_id[:200]!r}.", param="id", code="generation_not_found")


async def list_requests(request: Request) -> Response:
    """The last requests of a key, newest first, in pages; each is described as `GET /v1/generation` does."""
    account = await _requested_account(request, components_of(request))
    return await requests_response(request, account.record.key_id)


async def requests_response(request: Request, key_id: str) -> Response:
    """A page of the last requests of this key. Raises BadRequestError for `limit` and `before`."""
    query = request.query_params
    limit, before = query.get("limit", "20"), query.get("before", "")
    if not re.fullmatch(r"[1-9][0-9]?|100", limit, re.ASCII):
        raise invalid("limit", "it is a number from 1 to 100")
    if before and not _REQUEST_ID.fullmatch(before):
        raise invalid("before", "it is the id of a request, such as `next` of the page before")
    records = await components_of(request).usage.recent(key_id, before or AFTER_ALL, int(limit))
    following = records[-1].request_id if len(records) == int(limit) else None
    rows = [_generation(record.request_id, record) for record in records]
    return json_response({"object": "list", "data": rows, "next": following})


async def _requested_account(request: Request, components: Components) -> Account:
    """The account of the requested key. Raises PermissionDeniedError, KeyNotFoundError."""
    own = await components.gateway.authenticate(bearer_key(request.headers), context_of(request))
    key_id = _requested_key(request, own)
    if key_id == own.record.key_id:
        return own
    account = await components.keys.get(key_id) if keys.is_key_id(key_id) else None
    if account is None:
        raise unknown_key(key_id)
    return account


async def _readable_keys(request: Request, components: Components, account: Account) -> Iterable[str]:
    """The keys whose usage is requested. Raises PermissionDeniedError, KeyNotFoundError."""
    key_id = _requested_key(request, account)
    if key_id == account.record.key_id:
        return [key_id]
    return await components.keys.key_ids() if key_id == "*" else [await existing_key(components.keys, key_id)]


def _requested_key(request: Request, account: Account) -> str:
    """The requested key, by default the client's own. Raises PermissionDeniedError for another, except to an admin."""
    own = account.record.key_id
    key_id = request.query_params.get("key_id", own)
    if key_id != own and account.record.role != "admin":
        raise PermissionDeniedError("Only an admin's key may read another key.", param="key_id", code="admin_only")
    return key_id


def _generation(requested_id: str, record: UsageRecord) -> Json:
    usage = record.usage
    first, whole = record.time_to_first_token_ms, record.latency_ms
    cost = None if record.cost.usd is None else float(record.cost.usd)
    return {
        "id": requested_id,
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
        "attempts": [attempt.to_json() for attempt in record.attempts],
        "guardrails": [asdict(action) for action in record.guardrails],
        "latency": first if first is not None else whole,
        "generation_time": None if first is None else whole - first,
    }


ROUTES = (
    route("GET", "/v1/usage", get_usage),
    route("GET", "/v1/key", get_key),
    route("GET", "/v1/auth/key", get_key),
    route("GET", "/v1/credits", get_credits),
    route("GET", "/v1/generation", get_generation),
    route("GET", "/v1/requests", list_requests),
)
