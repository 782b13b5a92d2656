"""Totals of usage: by key, day and model as the stores keep them, and summaries of these."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Literal

from tollgate.gateway.limits import iso
from tollgate.gateway.metering import UsageRecord

Group = Literal["day", "model", "key", "team", "provider"]


@dataclass(slots=True)
class Total:
    """What some requests used together.

    `unknown` counts requests whose cost is unknown, `estimated` those whose usage was counted from what was delivered,
    because the provider did not report it.
    """

    requests: int = 0
    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost_usd: Decimal = field(default_factory=Decimal)
    unknown: int = 0
    estimated: int = 0

    def add(self, record: UsageRecord) -> None:
        """Add one request."""
        self.requests += 1
        self.errors += record.error_code is not None
        self.estimated += record.estimated
        if record.usage is not None:
            self.input_tokens += record.usage.input_tokens
            self.output_tokens += record.usage.output_tokens
            self.cached_tokens += record.usage.cached_tokens
        if record.cost.usd is None:
            self.unknown += 1
        else:
            self.cost_usd += record.cost.usd

    def include(self, other: "Total") -> None:
        """Add another total."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


@dataclass(frozen=True, slots=True)
class DailyTotal:
    """What one key used of one model at one provider in requests that began on one UTC day.

    `day` counts days of Unix time. `provider` is empty for requests that none answered, and in totals that were stored
    before they had one.
    """

    key_id: str
    day: int
    model: str
    provider: str
    total: Total


DAY_SECONDS = 86_400


def day_of(seconds: float) -> int:
    """The day of a Unix time."""
    return int(seconds // DAY_SECONDS)


def daily_totals(records: Iterable[UsageRecord]) -> Sequence[DailyTotal]:
    """The daily totals of these records."""
    totals: dict[tuple[str, int, str, str], Total] = {}
    for record in records:
        place = (record.key_id, day_of(record.started_at), record.model, record.provider)
        totals.setdefault(place, Total()).add(record)
    return [DailyTotal(*place, total) for place, total in totals.items()]


def merge_totals(totals: Iterable[DailyTotal]) -> Sequence[DailyTotal]:
    """The same totals, one for each key, day, model and provider."""
    sums: dict[tuple[str, int, str, str], Total] = {}
    for daily in totals:
        sums.setdefault((daily.key_id, daily.day, daily.model, daily.provider), Total()).include(daily.total)
    return [DailyTotal(*place, total) for place, total in sums.items()]


@dataclass(frozen=True, slots=True)
class Summary:
    """`rows` sorted by their groups, each with the values of its groups, and the total of all rows."""

    groups: Sequence[Group]
    rows: Sequence[tuple[tuple[str, ...], Total]]
    total: Total


def summarise(totals: Iterable[DailyTotal], groups: Sequence[Group], teams: Mapping[str, str]) -> Summary:
    """Summarise daily totals by these groups. `teams` are those that keys belong to; other keys have none."""
    rows: dict[tuple[str, ...], Total] = {}
    whole = Total()
    for each in totals:
        names: dict[Group, str] = {
            "day": iso(each.day * DAY_SECONDS)[:10],
            "model": each.model,
            "key": each.key_id,
            "team": teams.get(each.key_id, ""),
            "provider": each.provider,
        }
        rows.setdefault(tuple(names[group] for group in groups), Total()).include(each.total)
        whole.include(each.total)
    return Summary(groups, sorted(rows.items(), key=lambda row: row[0]), whole)
