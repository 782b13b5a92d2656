"""`tollgate usage`: usage and cost as a table, as CSV or as JSON, once or again and again."""

import asyncio
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from tollgate.handler.cli.output import (
    AsJson,
    Db,
    TableName,
    console,
    fail,
    fail_on_errors,
    print_json,
    run,
    store_settings,
    table_of,
    with_progress,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.table import Table

    from tollgate.gateway.store_ports import Store
    from tollgate.gateway.usage_totals import Summary

WATCH_SECONDS = 2.0
FIGURES = ("requests", "errors", "input", "output", "cached", "cost USD", "no price", "est.")


def usage(
    by: Annotated[str, typer.Option(help="day, model, provider, key or team, or several with commas.")] = "day",
    first: Annotated[str | None, typer.Option("--from", help="First day, as 2026-11-21.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day.")] = None,
    key_id: Annotated[str | None, typer.Option("--key", help="Only this key.")] = None,
    team: Annotated[str | None, typer.Option(help="Only the keys that belong to this team now.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show the table again and again until Ctrl-C.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    db: Db = None,
    table: TableName = None,
    as_json: AsJson = False,
) -> None:
    """Usage and cost, by day, model, provider, key or team."""
    from tollgate.gateway import usage_report

    if key_id is not None and team is not None:
        fail("--key and --team name different keys: give one of them.")
    if watch and (as_csv or as_json):
        fail("--watch shows a table: leave out --csv and --json.")
    if watch and not sys.stdout.isatty():
        fail("--watch needs a terminal.")
    with fail_on_errors():
        groups = usage_report.parse_groups(by)
        usage_report.parse_days(first, last, time.time())

    async def read(store: "Store") -> "Summary":
        days = usage_report.parse_days(first, last, time.time())
        key_ids = await _key_ids(store, key_id, team)
        teams = await usage_report.teams_of_keys(store, groups)
        shown = key_ids if watch else with_progress("Reading usage", key_ids)
        return await usage_report.usage_report(store, shown, days, groups, teams)

    async def read_again(store: "Store") -> None:
        from rich.live import Live

        with Live(_table(await read(store), groups), console=console(), auto_refresh=False) as live:
            while True:
                await asyncio.sleep(WATCH_SECONDS)
                live.update(_table(await read(store), groups), refresh=True)

    settings = store_settings(db, table)
    if watch:
        run(settings, read_again)
        return
    summary = run(settings, read)
    if as_csv:
        typer.echo(usage_report.summary_csv(summary), nl=False)
    elif as_json:
        print_json(usage_report.summary_json(summary))
    else:
        console().print(_table(summary, groups))


async def _key_ids(store: "Store", key_id: str | None, team: str | None) -> "Iterable[str]":
    """The keys whose usage is shown. Raises KeyNotFoundError."""
    from tollgate.gateway.usage_report import existing_key, keys_of_team

    if team is not None:
        return await keys_of_team(store, team)
    return await store.key_ids() if key_id is None else [await existing_key(store, key_id)]


def _table(summary: "Summary", groups: "Sequence[str]") -> "Table":
    from tollgate.gateway.usage_report import total_json

    rows = [[*group, *map(str, total_json(total).values())] for group, total in summary.rows]
    blanks = [""] * (len(groups) - 1)
    return table_of(groups, rows, FIGURES, ["total", *blanks, *map(str, total_json(summary.total).values())])
