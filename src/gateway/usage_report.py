"""Usage reports: which keys, days and groups are requested, and the totals as JSON or CSV."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from typing import cast, get_args

from tollgate.gateway import keys
from tollgate.gateway.errors import BadRequestError, KeyNotFoundError
from tollgate.gateway.store_ports import KeyStore, UsageStore
from tollgate.gateway.types import Json
from tollgate.gateway.usage_totals import Group, Summary, Total, day_of, summarise

KEPT_DAYS = 30
"""How long usage records are kept; also the days of a report for which none are named."""
EPOCH = date(1970, 1, 1).toordinal()


NO_TEAMS: Mapping[str, str] = {}


async def usage_report(
    store: UsageStore,
    key_ids: Iterable[str],
    days: tuple[int, int],
    groups: Sequence[Group],
    teams: Mapping[str, str] = NO_TEAMS,
) -> Summary:
    """The usage of these keys from the first to the last day, both included, by these groups.

    `teams` are the teams of keys, see `teams_of_keys`; they are only read to group by team.
    """
    totals = [total for key_id in key_ids for total in await store.totals(key_id, *days)]
    return summarise(totals, groups, teams)


async def teams_of_keys(store: KeyStore, groups: Sequence[Group]) -> Mapping[str, str]:
    """The team that each key belongs to now, if one of the groups asks for it; keys without a team are absent."""
    if "team" not in groups:
        return NO_TEAMS
    return {record.key_id: record.team for record in await store.list() if record.team}


async def existing_key(store: KeyStore, key_id: str) -> str:
    """This key_id, if it may have usage records: deleted keys may. Raises KeyNotFoundError."""
    if keys.is_key_id(key_id) and (await store.get(key_id) is not None or key_id in await store.key_ids()):
        return key_id
    raise unknown_key(key_id)


async def keys_of_team(store: KeyStore, team: str) -> Iterable[str]:
    """The ids of the keys that belong to this team now. Raises KeyNotFoundError if there is no such team."""
    if not keys.is_team_id(team) or await store.get(team) is None:
        raise KeyNotFoundError(f"There is no team {team[:200]}.", param="team")
    return [record.key_id for record in await store.list() if record.team == team]


def unknown_key(key_id: str) -> KeyNotFoundError:
    """The error for a key that does not exist."""
    return KeyNotFoundError(f"There is no key {key_id[:200]}.", param="key_id")


def parse_days(first: str | None, last: str | None, now: float) -> tuple[int, int]:
    """The first and last day, counted in Unix time; by default the last KEPT_DAYS days.

    Raises BadRequestError, naming the parameter `from` or `to`.
    """
    today = day_of(now)
    begin, end = _parse_day("from", first, today - KEPT_DAYS), _parse_day("to", last, today)
    if end < begin:
        raise BadRequestError("'to' is before 'from'.", param="to", code="invalid_value")
    return begin, end


def parse_groups(text: str) -> Sequence[Group]:
    """What to group by: names from Group, separated by commas. Raises BadRequestError."""
    groups = [name.strip() for name in text[:200].split(",")]
    if not set(groups) <= set(get_args(Group)) or len(set(groups)) < len(groups):
        message = f"Invalid value for 'group_by': use {', '.join(get_args(Group))}, each at most once."
        raise BadRequestError(message, param="group_by", code="invalid_value")
    return cast("list[Group]", groups)


def total_json(total: Total) -> Json:
    """The figures of one row; money as text, exact to the micro-dollar."""
    return {**asdict(total), "cost_usd": f"{total.cost_usd:.6f}"}


def summary_json(summary: Summary) -> Json:
    """The rows, each with its groups, and their total."""
    rows = [{**dict(zip(summary.groups, names, strict=True)), **total_json(total)} for names, total in summary.rows]
    return {"object": "list", "data": rows, "total": total_json(summary.total)}


def summary_csv(summary: Summary) -> str:
    """The rows under a header line."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([*summary.groups, *total_json(summary.total)])
    for names, total in summary.rows:
        writer.writerow([*names, *total_json(total).values()])
    return out.getvalue()


def _parse_day(name: str, value: str | None, default: int) -> int:
    try:
        return date.fromisoformat(value).toordinal() - EPOCH if value else default
    except ValueError:
        message = f"Invalid value for '{name}': write a day as 2026-11-21."
        raise BadRequestError(message, param=name, code="invalid_value") from None
