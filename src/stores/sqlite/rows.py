"""Records and balances as SQLite rows and back. Values without an SQLite type are stored as exact text or as JSON."""

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
from tollgate.stores.record_fields import Scalar


def key_row(record: KeyRecord) -> dict[str, Scalar]:
    """The columns of a key's record."""
    row = record_fields.key_fields(record)
    budget = row["budget_usd"]
    return row | {
        **{name: json.dumps(getattr(record, name)) for name in record_fields.NAMES},
        "metadata": json.dumps(dict(record.metadata)),
        "budget_usd": None if budget is None else str(budget),
    }


def read_key(row: sqlite3.Row) -> KeyRecord:
    """The key in a row."""
    parsed = {name: json.loads(row[name]) for name in (*record_fields.NAMES, "metadata")}
    return record_fields.read_key({**row, **parsed})


def balance_row(balance: Balance) -> dict[str, Scalar]:
    """The columns of a key's balance. Leases are in a table of their own."""
    return {
        "balance_window": balance.window,
        "requests_left": balance.requests_left,
        "tokens_left": balance.tokens_left,
        "budget_until": balance.budget_until,
        "budget_left": balance.budget_left,
    }


def read_balance(row: sqlite3.Row, leases: Mapping[str, Lease]) -> Balance:
    """The balance in a key's row."""
    return Balance(
        row["balance_window"], row["requests_left"], row["tokens_left"], row["budget_until"], row["budget_left"], leases
    )


def hold_rows(state: KeyState) -> Mapping[str, tuple[Scalar, ...]]:
    """The open and the late holds of a key by their ids, each in the order of the table's columns."""
    key_id = state.account.record.key_id
    leases = [(False, *entry) for entry in state.balance.leases.items()]
    late_holds = [(True, *entry) for entry in state.late.items()]
    return {
        hold_id: (key_id, hold_id, lease.opened_at, lease.expires_at, lease.tokens, lease.micro_usd, late)
        for late, hold_id, lease in leases + late_holds
    }


def read_holds(rows: Iterable[sqlite3.Row]) -> tuple[dict[str, Lease], dict[str, Lease]]:
    """The open and the late holds in rows."""
    holds: tuple[dict[str, Lease], dict[str, Lease]] = ({}, {})
    for row in rows:
        lease = Lease(row["opened_at"], row["expires_at"], row["tokens"], row["micro_usd"])
        holds[row["late"]][row["hold_id"]] = lease
    return holds


def usage_row(record: UsageRecord) -> dict[str, Scalar]:
    """The columns of a usage record. The cost is in whole micro-dollars."""
    row = record_fields.usage_fields(record)
    usd = record.cost.usd
    del row["cost_usd"]
    return {**row, "cost_micro_usd": None if usd is None else int(usd / MICRO_DOLLAR)}


def read_usage_record(row: sqlite3.Row) -> UsageRecord:
    """The usage record in a row."""
    micro_usd: int | None = row["cost_micro_usd"]
    return record_fields.read_usage_record(
        {**row, "cost_usd": None if micro_usd is None else Decimal(micro_usd) * MICRO_DOLLAR}
    )


def read_audit_entry(row: sqlite3.Row) -> AuditEntry:
    """The audit entry in a row."""
    changed: Any = json.loads(row["changed"])
    return AuditEntry(row["at"], row["by"], row["action"], changed)


TOTALS = """
SELECT key_id, CAST(started_at / 86400 AS INTEGER) AS day, model, provider, count(*) AS requests,
    count(error_code) AS errors, coalesce(sum(input_tokens), 0) AS input_tokens,
    coalesce(sum(output_tokens), 0) AS output_tokens, coalesce(sum(cached_tokens), 0) AS cached_tokens,
    coalesce(sum(cost_micro_usd), 0) AS micro_usd, count(*) - count(cost_micro_usd) AS unknown,
    sum(estimated) AS estimated
FROM usage WHERE key_id = :key_id AND started_at >= :first AND started_at < :end GROUP BY day, model, provider
"""
