"""Examples of keys, holds and usage records; a test changes the fields that it is about."""

import datetime
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from tollgate.gateway.admission import Hold
from tollgate.gateway.keys import ApiKey, KeyRecord
from tollgate.gateway.limits import Budget, Limits, Period
from tollgate.gateway.metering import Cost, GuardrailAction, UsageRecord
from tollgate.gateway.types import Usage

MINUTE = 1_790_000_040  # the start of a window
NOW = MINUTE + 0.25
KEY_ID = "0123456789ab"
BY = "somebody"


def api_key(key_id: str = KEY_ID, secret: str = "right") -> ApiKey:
    return ApiKey(key_id, hashlib.sha256(secret.encode()).hexdigest())


def key(key_id: str = KEY_ID, *, limits: Mapping[str, Any] | None = None, **changes: Any) -> KeyRecord:
    record = KeyRecord(key_id, api_key(key_id).key_hash, "a name, ünïcode too", "active", int(NOW) - 3600)
    return replace(record, limits=Limits(**limits or {}), **changes)


def budget(usd: str, per: Period = "total") -> Budget:
    return Budget(Decimal(usd), per)


def request_id(number: int, at: float = NOW) -> str:
    """A request id in the gateway's format, with a number instead of the random part."""
    return f"req_{round(at * 1000):012x}{number:020x}"


REQUEST = request_id(1)


def hold(hold_id: str = REQUEST, **changes: Any) -> Hold:
    at = changes.get("opened_at", NOW)
    new = Hold(hold_id, api_key(), "fast", opened_at=at, expires_at=at + 900)
    return replace(new, **changes)


def usage(hold_id: str = REQUEST, *, tokens: int | None = None, usd: str | None = None, **changes: Any) -> UsageRecord:
    """A usage record with a value in every field. `tokens` and `usd` are what is charged to the limits."""
    record = UsageRecord(
        request_id=hold_id,
        key_id=KEY_ID,
        model="fast",
        started_at=NOW,
        streamed=True,
        status=200,
        provider="groq",
        upstream_model="llama-3.1-8b",
        finish_reason="stop",
        error_code=None,
        latency_ms=1234,
        time_to_first_token_ms=56,
        upstream_ms=1200,
        usage=Usage(9, 8, 7, 1, 5, 4, 3, 2, 6) if tokens is None else Usage(tokens, 0),
        cost=Cost(Decimal("0.000123" if usd is None else usd), "catalog", datetime.date(2026, 1, 1)),
        guardrails=(GuardrailAction("cards", "mask", "input"),),
    )
    return replace(record, **changes)
