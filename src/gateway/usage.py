"""Reading it back: usage records, added up by day, model or key."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from gateway.limits import iso
from gateway.metering import UsageRecord

Group = Literal["day", "model", "key"]


@dataclass(slots=True)
class Total:
    """What some requests used together.

    `unknown` is how many of them have a cost that nobody knows, `estimated` how many have usage that was counted from
    what was delivered, because the provider did not say.
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
        """Count one request in."""
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


@dataclass(frozen=True, slots=True)
class Summary:
    """`rows` in the order of their groups, each with what its group is, and the total of all of them."""

    groups: Sequence[Group]
    rows: Sequence[tuple[tuple[str, ...], Total]]
    total: Total


async def summarise(records: AsyncIterator[UsageRecord], groups: Sequence[Group]) -> Summary:
    """Add records up; a day is a day of UTC."""
    rows: dict[tuple[str, ...], Total] = {}
    total = Total()
    async for record in records:
        names: dict[Group, str] = {"day": iso(record.started_at)[:10], "model": record.model, "key": record.key_id}
        rows.setdefault(tuple(names[group] for group in groups), Total()).add(record)
        total.add(record)
    return Summary(groups, sorted(rows.items(), key=lambda row: row[0]), total)
