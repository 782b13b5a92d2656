"""The command line: `tollgate serve`, `tollgate keys` and `tollgate usage`."""

import time
from typing import Annotated

import typer

from tollgate.gateway.errors import ConfigurationError, GatewayError
from tollgate.gateway.ports import Store
from tollgate.gateway.usage_totals import Summary, summarise
from tollgate.handler.cli import keys
from tollgate.handler.cli.local_run import announce, local_run
from tollgate.handler.cli.output import (
    AsJson,
    CatalogFile,
    Db,
    TableName,
    fail,
    place,
    print_json,
    print_table,
    run,
)
from tollgate.handler.http import account

app = typer.Typer(no_args_is_help=True, add_completion=False, help="An OpenAI-compatible LLM gateway of your own.")
app.add_typer(keys.app, name="keys")


def main() -> None:
    """The `tollgate` command."""
    app()


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8080,
    db: Db = None,
    catalog: CatalogFile = None,
    fresh_key: Annotated[
        bool, typer.Option("--fresh-key", help="Revoke the development key of the file and make a new one.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Serve on this machine until Ctrl-C, with a development key for the SQLite file."""
    from tollgate.handler.cli.serve import serve_app

    try:
        settings, api_key = local_run(db, catalog, fresh_key)
        serve_app(settings, host, port, lambda base_url: announce(base_url, api_key, as_json))
    except ConfigurationError as error:
        fail(str(error))


@app.command()
def usage(
    by: Annotated[str, typer.Option(help="day, model or key, or several with commas.")] = "day",
    first: Annotated[str | None, typer.Option("--from", help="First day, as 2026-11-21.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day.")] = None,
    key_id: Annotated[str | None, typer.Option("--key", help="Only this key.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    db: Db = None,
    table: TableName = None,
    as_json: AsJson = False,
) -> None:
    """What was used, and what it cost."""
    try:
        groups = account.groups_of(by)
        first_day, last_day = account.days(first, last, time.time())
    except GatewayError as error:
        fail(str(error))

    async def read(store: Store) -> Summary:
        key_ids = await store.key_ids() if key_id is None else [await account.known_key(store, key_id)]
        return summarise(await account.totals_of(store, key_ids, first_day, last_day), groups)

    summary = run(place(db, table), read)
    if as_csv:
        typer.echo(account.as_csv(summary), nl=False)
    elif as_json:
        print_json(account.as_listing(summary))
    else:
        figures = ("requests", "errors", "input", "output", "cached", "cost USD", "no price", "est.")
        rows = [[*group, *map(str, account.as_json(total).values())] for group, total in summary.rows]
        blanks = [""] * (len(groups) - 1)
        print_table(groups, rows, figures, ["total", *blanks, *map(str, account.as_json(summary.total).values())])
