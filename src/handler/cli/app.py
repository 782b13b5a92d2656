"""The root of the `tollgate` command: its groups, `serve`, `usage`, `--version`."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from tollgate import __version__
from tollgate.handler.cli import credentials, importing, keys, teams
from tollgate.handler.cli.chat import chat
from tollgate.handler.cli.deploy import deploy
from tollgate.handler.cli.doctor import doctor
from tollgate.handler.cli.logs import logs
from tollgate.handler.cli.models import models
from tollgate.handler.cli.output import (
    AsJson,
    CatalogFile,
    Db,
    TableName,
    fail,
    fail_on_errors,
    print_json,
    print_table,
    run,
    store_settings,
)

if TYPE_CHECKING:
    from tollgate.gateway.store_ports import Store
    from tollgate.gateway.usage_totals import Summary

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,  # help without rich takes half the time to start
    pretty_exceptions_enable=False,
)
app.add_typer(keys.app, name="keys")
app.add_typer(credentials.app, name="credentials")
app.command()(models)
app.command()(chat)
app.command()(logs)
app.command()(deploy)
app.command()(doctor)
app.add_typer(teams.app, name="teams")
app.add_typer(importing.app, name="import")


def main() -> None:
    """The `tollgate` command."""
    app()


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"tollgate {__version__}")
        raise typer.Exit


@app.callback()
def options(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """An OpenAI-compatible LLM gateway of your own."""


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8080,
    db: Db = None,
    catalog: CatalogFile = None,
    fresh_key: Annotated[
        bool, typer.Option("--fresh-key", help="Revoke the development key of the file and make a new one.")
    ] = False,
    json_logs: Annotated[
        bool, typer.Option("--json-logs", help="A line of JSON for each request, as the functions write it.")
    ] = False,
    live: Annotated[bool, typer.Option("--live", help="A table of the last requests, instead of a line each.")] = False,
    as_json: AsJson = False,
) -> None:
    """Serve on this machine until Ctrl-C, with a development key for the SQLite file."""
    from tollgate.handler.cli.local_run import announce, local_run
    from tollgate.handler.cli.serve import serve_app

    with fail_on_errors():
        settings, api_key = local_run(db, catalog, fresh_key)
        requests = "live" if live else "json" if json_logs or as_json else "lines"
        serve_app(settings, host, port, lambda base_url: announce(base_url, api_key, as_json), requests)


@app.command()
def usage(
    by: Annotated[str, typer.Option(help="day, model, provider, key or team, or several with commas.")] = "day",
    first: Annotated[str | None, typer.Option("--from", help="First day, as 2026-11-21.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day.")] = None,
    key_id: Annotated[str | None, typer.Option("--key", help="Only this key.")] = None,
    team: Annotated[str | None, typer.Option(help="Only the keys that belong to this team now.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    db: Db = None,
    table: TableName = None,
    as_json: AsJson = False,
) -> None:
    """Usage and cost, by day, model, provider, key or team."""
    from tollgate.gateway.usage_report import (
        existing_key,
        keys_of_team,
        parse_days,
        parse_groups,
        summary_csv,
        summary_json,
        teams_of_keys,
        total_json,
        usage_report,
    )

    if key_id is not None and team is not None:
        fail("--key and --team name different keys: give one of them.")
    with fail_on_errors():
        groups = parse_groups(by)
        days = parse_days(first, last, time.time())

    async def read(store: "Store") -> "Summary":
        if team is not None:
            key_ids = await keys_of_team(store, team)
        else:
            key_ids = await store.key_ids() if key_id is None else [await existing_key(store, key_id)]
        return await usage_report(store, key_ids, days, groups, await teams_of_keys(store, groups))

    summary = run(store_settings(db, table), read)
    if as_csv:
        typer.echo(summary_csv(summary), nl=False)
    elif as_json:
        print_json(summary_json(summary))
    else:
        figures = ("requests", "errors", "input", "output", "cached", "cost USD", "no price", "est.")
        rows = [[*group, *map(str, total_json(total).values())] for group, total in summary.rows]
        blanks = [""] * (len(groups) - 1)
        print_table(groups, rows, figures, ["total", *blanks, *map(str, total_json(summary.total).values())])
