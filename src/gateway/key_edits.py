"""Edits of a key: texts from a command line or an admin, checked and applied to its record."""

import re
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from tollgate.gateway import keys
from tollgate.gateway.keys import Change, KeyRecord, Role, is_team_id
from tollgate.gateway.limits import MAX_LIMIT_USD, Budget, Limits
from tollgate.gateway.validation import invalid

if TYPE_CHECKING:
    from tollgate.gateway.catalog import Catalog

_DURATION = re.compile(r"(\d{1,12})([mhd])")
_SECONDS = {"m": 60, "h": 3600, "d": 86_400}
MAX_TIME = 253_402_300_799
"""9999-12-31T23:59:59Z: the latest time that ISO 8601 can write."""


DEFAULT_TIER = "default"
RandomBytes = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Rules:
    """What the catalog has for keys to name: the limits of its tiers, its guardrails, its providers' credentials."""

    tiers: Mapping[str, Limits]
    guardrails: Container[str]
    credentials: Container[str]


NO_RULES = Rules({}, (), ())


def rules_of(catalog: "Catalog") -> Rules:
    """The tiers, guardrails and credentials of the catalog."""
    tiers = {name: tier.limits for name, tier in catalog.tiers.items()}
    return Rules(tiers, catalog.guardrails, catalog.credentials)


@dataclass(frozen=True, slots=True)
class KeyEdit:
    """What to change of a key; None leaves a field as it is.

    `rpm`, `tpm` and `concurrency` of 0 remove the limit. `budget` is written as `5/day` or `none`, `models` as globs
    separated by commas (`*` is all), `expires` as a day, a time, a duration from now (`30d`) or `never`, `metadata` as
    `NAME=VALUE` texts, `team` as its id or `none`, `guardrails` and `credentials` as names or
    `none`.
    """

    name: str | None = None
    owner: str | None = None
    tier: str | None = None
    rpm: int | None = None
    tpm: int | None = None
    concurrency: int | None = None
    budget: str | None = None
    models: str | None = None
    expires: str | None = None
    role: Role | None = None
    allow_unpriced: bool | None = None
    metadata: tuple[str, ...] | None = None
    team: str | None = None
    guardrails: tuple[str, ...] | None = None
    cache_seconds: int | None = None
    credentials: tuple[str, ...] | None = None


def new_key(edit: KeyEdit, shards: int, rules: Rules, random_bytes: RandomBytes, now: int) -> tuple[str, KeyRecord]:
    """A new key, the text of which is shown once, and its record. Raises BadRequestError, naming the field."""
    text, key = keys.generate(random_bytes)
    new = KeyRecord(key.key_id, key.key_hash, edit.name or "", "active", now, shards=shards)
    return text, edit_key(new, edit, rules, now)


def new_team(edit: KeyEdit, shards: int, random_bytes: RandomBytes, now: int) -> KeyRecord:
    """The record of a new team. Raises BadRequestError, naming the field."""
    return edit_key(keys.new_team(random_bytes, edit.name or "", now, shards), edit, NO_RULES, now)


def rotation(key_id: str, overlap: str, random_bytes: RandomBytes, now: int) -> tuple[str, Change]:
    """A new secret of a key, which is shown once, and the change to it; the old one works until `overlap` ends.

    Raises BadRequestError; so does the change.
    """
    until = parse_time("overlap", overlap, now)
    text, key = keys.generate(random_bytes, key_id)
    return text, lambda record: keys.rotated(record, key, until, now)


def edit_key(record: KeyRecord, edit: KeyEdit, rules: Rules, now: int) -> KeyRecord:
    """The edited record: first the limits of the tier, then the limits that are given themselves.

    Raises BadRequestError, naming the field.
    """
    own = record.limits
    if edit.tier is not None:
        if edit.tier not in rules.tiers:
            raise invalid("tier", f"there is no tier {edit.tier!r}; there are {', '.join(sorted(rules.tiers))}")
        own = rules.tiers[edit.tier]
    edited = Limits(
        rpm=_limit(edit.rpm, own.rpm),
        tpm=_limit(edit.tpm, own.tpm),
        concurrency=_limit(edit.concurrency, own.concurrency),
        budget=own.budget if edit.budget is None else parse_budget(edit.budget),
    )
    named = {
        "guardrails": _known("guardrails", edit.guardrails, record.guardrails, rules.guardrails),
        "credentials": _known("credentials", edit.credentials, record.credentials, rules.credentials),
    }
    return replace(record, limits=edited, tier=edit.tier or record.tier, **named, **_fields(edit, now))


def _known(param: str, edited: Sequence[str] | None, own: tuple[str, ...], known: Container[str]) -> tuple[str, ...]:
    """The names that the edit leaves. Raises BadRequestError for one that the catalog does not have."""
    if edited is None:
        return own
    names = tuple(name for name in edited if name != "none")
    for name in names:
        if name not in known:
            raise invalid(param, f"the catalog has no {param.removesuffix('s')} {name!r}")
    return names


def _limit(edited: int | None, own: int | None) -> int | None:
    return own if edited is None else edited or None


def _fields(edit: KeyEdit, now: int) -> dict[str, Any]:
    """The record's other fields that are edited."""
    for param, text in (("name", edit.name), ("owner", edit.owner)):
        if text is not None and not (text.strip() and text.isprintable()):
            raise invalid(param, "use printable characters, at least one")
    names = ("name", "owner", "role", "allow_unpriced", "cache_seconds")
    values = {name: getattr(edit, name) for name in names}
    fields: dict[str, Any] = {name: value for name, value in values.items() if value is not None}
    if edit.models is not None:
        fields["models"] = _parse_models(edit.models)
    if edit.expires is not None:
        fields["expires_at"] = None if edit.expires == "never" else parse_time("expires", edit.expires, now)
    if edit.metadata is not None:
        fields["metadata"] = dict(map(_parse_pair, edit.metadata))
    if edit.team is not None:
        fields["team"] = _parse_team(edit.team)
    return fields


def parse_budget(text: str) -> Budget | None:
    """`5/day`, `2.50/month`, `100/total`, or `none`. Raises BadRequestError."""
    if text == "none":
        return None
    amount, _, per = text.partition("/")
    try:
        usd = Decimal(amount)
    except InvalidOperation:
        usd = Decimal(-1)
    is_amount = usd.is_finite() and 0 <= usd <= MAX_LIMIT_USD and usd == round(usd, 6)
    if per not in ("day", "month", "total") or not is_amount:
        form = "write USD per day, month or total, such as 5/day or 2.50/month"
        raise invalid("budget", f"{form}, with {MAX_LIMIT_USD} at most")
    return Budget(usd, per)


def parse_time(param: str, text: str, now: int) -> int:
    """A Unix time that is not past: a duration from now, or a day or time in ISO 8601, in UTC if it names no zone.

    Raises BadRequestError for this parameter.
    """
    at = _parse_time(param, text, now)
    if at < now:
        raise invalid(param, f"{text} is in the past")
    if at > MAX_TIME:
        raise invalid(param, f"{text[:50]} is after the year 9999")
    return at


def _parse_time(param: str, text: str, now: int) -> int:
    if match := _DURATION.fullmatch(text):
        return now + int(match[1]) * _SECONDS[match[2]]
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        form = "write a duration (30d, 12h, 90m), a day (2026-12-31) or a time (2026-12-31T12:00:00Z)"
        raise invalid(param, form) from None
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp())


def _parse_models(text: str) -> tuple[str, ...]:
    """Globs separated by commas; `*` is every model, for which a record has none."""
    patterns = [pattern.strip() for pattern in text.split(",")]
    if not all(patterns) or not text.isprintable():
        raise invalid("models", "name at least one model or glob, such as gpt-*,claude-*; all models are '*'")
    return () if "*" in patterns else tuple(patterns)


def _parse_team(text: str) -> str | None:
    if text != "none" and not is_team_id(text):
        raise invalid("team", "write the id of a team, which `tollgate teams list` shows, or none")
    return None if text == "none" else text


def _parse_pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name or not text.isprintable():
        raise invalid("metadata", "write NAME=VALUE")
    return name, value
