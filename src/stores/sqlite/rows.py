"""Records and balances as SQLite rows, and back: what SQLite has no type for is written as exact text or JSON."""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from tollgate.gateway.keys import AuditEntry, KeyRecord
from tollgate.gateway.limits import Balance, Lease
from tollgate.gateway.metering import MICRO_DOLLAR, UsageRecord
from tollgate.stores import record_fields
from tollgate.stores.key_state import KeyState
from tollgate.stores.record_fields import Plain


def key_row(record: KeyRecord) -> dict[str, Plain]:
    """A key's own columns."""
    row = record_fields.of_key(record)
    budget = row["budget_usd"]
    return row | {
        "models": json.dumps(record.models),
        "metadata": json.dumps(dict(record.metadata)),
        "budget_usd": None if budget is None else str(budget),
    }


def read_key(row: sqlite3.Row) -> KeyRecord:
    """The key that a row holds."""
    return record_fields.key_of({**row, "models": json.loads(row["models"]), "metadata": json.loads(row["metadata"])})


def balance_row(balance: Balance) -> dict[str, Plain]:
    """The columns beside a key's own; what is held is in a table of its own."""
    return {
        "balance_window": balance.window,
        "requests_left": balance.requests_left,
        "tokens_left": balance.tokens_left,
        "budget_until": balance.budget_until,
        "budget_left": balance.budget_left,
    }


def read_balance(row: sqlite3.Row, leases: Mapping[str, Lease]) -> Balance:
    """The balance that a key's row holds."""
    return Balance(
        row["balance_window"], row["requests_left"], row["tokens_left"], row["budget_until"], row["budget_left"], leases
    )


def hold_rows(of: KeyState) -> Mapping[str, tuple[Plain, ...]]:
    """The holds of a key, open and late, by their ids; each in the order of the columns of its table."""
    key_id = of.account.record.key_id
    both = [(False, *held) for held in of.balance.leases.items()] + [(True, *held) for held in of.late.items()]
    return {
        hold_id: (key_id, hold_id, lease.opened_at, lease.expires_at, lease.tokens, lease.micro_usd, late)
        for late, hold_id, lease in both
    }


def read_holds(rows: Iterable[sqlite3.Row]) -> tuple[dict[str, Lease], dict[str, Lease]]:
    """The open holds, and the late ones."""
    holds: tuple[dict[str, Lease], dict[str, Lease]] = ({}, {})
    for row in rows:
        lease = Lease(row["opened_at"], row["expires_at"], row["tokens"], row["micro_usd"])
        holds[row["late"]][row["hold_id"]] = lease
    return holds


def usage_row(record: UsageRecord) -> dict[str, Plain]:
    """A usage record, with its cost in whole micro-dollars."""
    row = record_fields.of_usage(record)
    usd = record.cost.usd
    del row["cost_usd"]
    return {**row, "cost_micro_usd": None if usd is None else int(usd / MICRO_DOLLAR)}


def read_usage(row: sqlite3.Row) -> UsageRecord:
    """The usage record that a row holds."""
    micro_usd: int | None = row["cost_micro_usd"]
    return record_fields.usage_of({**row, "cost_usd": None if micro_usd is None else Decimal(micro_usd) * MICRO_DOLLAR})


def read_audit(row: sqlite3.Row) -> AuditEntry:
    """The line of the audit that a row holds."""
    changed: Any = json.loads(row["changed"])
    return AuditEntry(row["at"], row["by"], row["action"], changed)


TOTALS = """
SELECT key_id, CAST(started_at / 86400 AS INTEGER) AS day, model, count(*) AS requests,
    count(error_code) AS errors, coalesce(sum(input_tokens), 0) AS input_tokens,
    coalesce(sum(output_tokens), 0) AS output_tokens, coalesce(sum(cached_tokens), 0) AS cached_tokens,
    coalesce(sum(cost_micro_usd), 0) AS micro_usd, count(*) - count(cost_micro_usd) AS unknown,
    sum(estimated) AS estimated
FROM usage WHERE key_id = :key_id AND started_at >= :first AND started_at < :end GROUP BY day, model
"""
