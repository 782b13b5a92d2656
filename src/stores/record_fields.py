"""Records as flat rows of scalar values and back: the columns that both stores have, under the same names."""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import date
from decimal import Decimal
from typing import Any

from tollgate.gateway.keys import KeyRecord
from tollgate.gateway.limits import Budget, Limits
from tollgate.gateway.metering import MICRO_DOLLAR, AttemptSummary, Cost, GuardrailAction, UsageRecord
from tollgate.gateway.types import Usage
from tollgate.gateway.usage_totals import DailyTotal, Total

Scalar = str | int | float | bool | Decimal | None
Row = Mapping[str, Any]

COUNTS = tuple(Usage().counts())
TOTAL_COUNTS = tuple(f.name for f in fields(Total) if f.name != "cost_usd")
NAMES = ("models", "guardrails", "credentials")
"""Fields of a key that are several texts."""
KEY_FIELDS = tuple(f.name for f in fields(KeyRecord) if f.name not in ("limits", "metadata", *NAMES))


def key_fields(record: KeyRecord) -> dict[str, Scalar]:
    """The columns of a key, except for NAMES and `metadata`, which each store encodes in its way."""
    row: dict[str, Scalar] = {name: getattr(record, name) for name in KEY_FIELDS}
    budget = record.limits.budget
    return row | {
        "rpm": record.limits.rpm,
        "tpm": record.limits.tpm,
        "concurrency": record.limits.concurrency,
        "budget_usd": budget and budget.usd,
        "budget_per": budget and budget.per,
    }


def read_key(row: Row) -> KeyRecord:
    """The key in a row, with NAMES as sequences and `metadata` as a mapping.

    Missing columns mean None or empty.
    """
    usd = row.get("budget_usd")
    return KeyRecord(
        key_id=row["key_id"],
        key_hash=row["key_hash"],
        name=row["name"],
        status=row["status"],
        created_at=int(row["created_at"]),
        expires_at=_int(row.get("expires_at")),
        owner=row.get("owner"),
        metadata=dict(row.get("metadata") or {}),
        tier=row.get("tier"),
        role=row.get("role") or "user",
        **{name: tuple(row.get(name) or ()) for name in NAMES},
        limits=Limits(
            rpm=_int(row.get("rpm")),
            tpm=_int(row.get("tpm")),
            concurrency=_int(row.get("concurrency")),
            budget=None if usd is None else Budget(Decimal(usd), row["budget_per"]),
        ),
        allow_unpriced=bool(row.get("allow_unpriced")),
        shards=_int(row.get("shards")) or 1,
        previous_hash=row.get("previous_hash"),
        previous_until=_int(row.get("previous_until")),
        team=row.get("team"),
        cache_seconds=_int(row.get("cache_seconds")) or 0,
    )


def usage_fields(record: UsageRecord) -> dict[str, Scalar]:
    """The columns of a usage record. If the provider reported no usage, all token counts are None: unknown is not zero.

    `cost_usd` is `record.cost.usd`. A cost that the provider reported (see `cost_source`) is the same amount before
    rounding, and is not stored twice.
    """
    row: dict[str, Scalar] = {
        "request_id": record.request_id,
        "key_id": record.key_id,
        "operation": record.operation,
        "model": record.model,
        "started_at": record.started_at,
        "streamed": record.streamed,
        "status": record.status,
        "provider": record.provider,
        "upstream_model": record.upstream_model,
        "finish_reason": record.finish_reason,
        "error_code": record.error_code,
        "latency_ms": record.latency_ms,
        "time_to_first_token_ms": record.time_to_first_token_ms,
        "upstream_ms": record.upstream_ms,
        "cost_usd": record.cost.usd,
        "cost_source": record.cost.source,
        "priced_on": record.cost.priced_on and record.cost.priced_on.isoformat(),
        "cost_note": record.cost.note,
        "estimated": record.estimated,
        "attempts": json.dumps([attempt.to_json() for attempt in record.attempts]) if record.attempts else None,
        "guardrails": json.dumps([asdict(each) for each in record.guardrails]) if record.guardrails else None,
    }
    return row | (record.usage.counts() if record.usage else dict.fromkeys(COUNTS))


def read_usage_record(row: Row) -> UsageRecord:
    """The usage record in a row. A token count that an older version of Tollgate did not store is 0."""
    usd, priced_on = row.get("cost_usd"), row.get("priced_on")
    cost = Cost(
        usd=None if usd is None else Decimal(usd),
        source=row["cost_source"],
        priced_on=priced_on and date.fromisoformat(priced_on),
        note=row.get("cost_note"),
    )
    usage = None
    if row.get("input_tokens") is not None:
        counts = {name: _int(row.get(name)) or 0 for name in COUNTS}
        usage = Usage(**counts, cost_usd=cost.usd if cost.source == "provider" else None)
    return UsageRecord(
        request_id=row["request_id"],
        key_id=row["key_id"],
        model=row["model"],
        started_at=float(row["started_at"]),
        streamed=bool(row["streamed"]),
        status=int(row["status"]),
        provider=row.get("provider") or "",
        upstream_model=row.get("upstream_model") or "",
        finish_reason=row.get("finish_reason"),
        error_code=row.get("error_code"),
        latency_ms=int(row["latency_ms"]),
        time_to_first_token_ms=_int(row.get("time_to_first_token_ms")),
        upstream_ms=_int(row.get("upstream_ms")),
        usage=usage,
        cost=cost,
        estimated=bool(row.get("estimated")),
        operation=row.get("operation") or "chat",
        attempts=_read_attempts(row.get("attempts")),
        guardrails=tuple(GuardrailAction(**each) for each in json.loads(row.get("guardrails") or "[]")),
    )


def _read_attempts(text: str | None) -> tuple[AttemptSummary, ...]:
    rows: list[dict[str, Any]] = json.loads(text, parse_float=Decimal) if text else []
    for row in rows:
        row["cost_usd"] = None if row["cost_usd"] is None else Decimal(row["cost_usd"])
    return tuple(AttemptSummary(**row) for row in rows)


def read_total(row: Row) -> DailyTotal:
    """The daily total in a row, which has its cost in micro-dollars."""
    cost = Decimal(int(row["micro_usd"])) * MICRO_DOLLAR
    total = Total(**{name: int(row[name]) for name in TOTAL_COUNTS}, cost_usd=cost)
    return DailyTotal(row["key_id"], int(row["day"]), row["model"], row.get("provider") or "", total)


def _int(value: Any) -> int | None:
    return None if value is None else int(value)
