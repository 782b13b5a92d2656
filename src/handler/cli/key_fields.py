"""What a command line says of a key, read into the fields of its record."""

import re
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from tollgate.gateway.catalog import Catalog
from tollgate.gateway.keys import KeyRecord
from tollgate.gateway.limits import MAX_LIMIT_USD, Budget, Limits
from tollgate.handler.cli.output import fail

_DURATION = re.compile(r"(\d{1,12})([mhd])")
LATEST = 253_402_300_799  # 9999-12-31T23:59:59Z: no later time can be written
_SECONDS = {"m": 60, "h": 3600, "d": 86_400}


def edited(
    old: KeyRecord,
    catalog: Catalog,
    tier: str | None,
    rpm: int | None,
    tpm: int | None,
    concurrency: int | None,
    budget: str | None,
    fields: Mapping[str, Any],
) -> KeyRecord:
    """The record with what was given: first the tier's limits, then those that were named by themselves."""
    of = old.limits
    if tier is not None:
        if tier not in catalog.tiers:
            fail(f"There is no tier {tier!r}; there are {', '.join(sorted(catalog.tiers))}.")
        of = catalog.tiers[tier].limits
    of = Limits(
        rpm=rpm or of.rpm,
        tpm=tpm or of.tpm,
        concurrency=concurrency or of.concurrency,
        budget=of.budget if budget is None else budget_of(budget),
    )
    return replace(old, limits=of, tier=tier or old.tier, **fields)


def given(
    name: str | None = None,
    owner: str | None = None,
    models: str | None = None,
    expires: str | None = None,
    role: str | None = None,
    unpriced: bool | None = None,
    metadata: list[str] | None = None,
) -> dict[str, Any]:
    """The fields of a record that a command line names, by the record's own names for them."""
    for text in (name, owner):
        if text is not None and not (text.strip() and text.isprintable()):
            fail("A name is of printable characters, and not empty.")
    fields: dict[str, Any] = {"name": name, "owner": owner, "role": role, "allow_unpriced": unpriced}
    fields = {field: value for field, value in fields.items() if value is not None}
    if models is not None:
        fields["models"] = models_of(models)
    if expires is not None:
        fields["expires_at"] = None if expires == "never" else moment(expires)
    if metadata is not None:
        fields["metadata"] = dict(_pair(text) for text in metadata)
    return fields


def models_of(text: str) -> tuple[str, ...]:
    """Globs with commas between them; `*` is every model, of which a record says nothing."""
    patterns = [pattern.strip() for pattern in text.split(",")]
    if not all(patterns) or not text.isprintable():
        fail("--models: name at least one model or glob, for instance gpt-*,claude-*; all of them are '*'.")
    return () if "*" in patterns else tuple(patterns)


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name or not text.isprintable():
        fail(f"--metadata {text}: write NAME=VALUE.")
    return name, value


def budget_of(text: str) -> Budget | None:
    """`5/day`, `2.50/month`, `100/total`, or none."""
    if text == "none":
        return None
    amount, _, per = text.partition("/")
    try:
        usd = Decimal(amount)
    except InvalidOperation:
        usd = Decimal(-1)
    if (
        per not in ("day", "month", "total")
        or not usd.is_finite()
        or not 0 <= usd <= MAX_LIMIT_USD
        or usd != round(usd, 6)
    ):
        fail(
            f"--budget {text}: write USD per day, month or total, such as 5/day or 2.50/month, at most {MAX_LIMIT_USD}."
        )
    return Budget(usd, per)


def moment(text: str) -> int:
    """A Unix time that is not over: so long from now, or a day or time in ISO 8601, in UTC where it names no zone."""
    now = int(time.time())
    at = _read_moment(text, now)
    if at < now:
        fail(f"{text}: that is in the past.")
    if at > LATEST:
        fail(f"{text}: that is after the year 9999.")
    return at


def _read_moment(text: str, now: int) -> int:
    if match := _DURATION.fullmatch(text):
        return now + int(match[1]) * _SECONDS[match[2]]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{text}: write a while from now (30d, 12h, 90m), a day (2026-12-31) or a time (2026-12-31T12:00:00Z).")
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
