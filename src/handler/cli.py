"""The command line: `tollgate serve`, `tollgate keys` and `tollgate usage`."""

import dataclasses
import json
import os
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gateway.errors import ConfigurationError, GatewayError
from gateway.ports import Store
from gateway.usage import Summary, summarise
from handler import key_commands, reading
from handler.development_key import development_key
from handler.settings import from_environment
from handler.terminal import AsJson, CatalogFile, Db, TableName, fail, place, print_json, print_table, run, who

app = typer.Typer(no_args_is_help=True, add_completion=False, help="An OpenAI-compatible LLM gateway of your own.")
app.add_typer(key_commands.app, name="keys")


class Door(StrEnum):
    """Which way in `serve` opens: the app itself, or the Lambda artifact under a local function URL."""

    asgi = "asgi"
    lambda_ = "lambda"


def main() -> None:
    """The `tollgate` command."""
    app()


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8080,
    db: Db = None,
    catalog: CatalogFile = None,
    door: Annotated[Door, typer.Option(help="asgi: the app itself; lambda: the artifact of `make build`.")] = Door.asgi,
    fresh_key: Annotated[
        bool, typer.Option("--fresh-key", help="Revoke the file's development key; make one.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Serve on this machine, with the file's development key, until Ctrl-C."""
    from handler.serve import serve_app, serve_artifact

    try:
        # The table is for keys and usage of what is deployed; here it is the file.
        settings = from_environment({**os.environ, "TOLLGATE_TABLE": ""})
    except ConfigurationError as error:
        fail(str(error))
    settings = dataclasses.replace(
        settings, **({"db": str(db)} if db else {}), **({"catalog": str(catalog)} if catalog else {})
    )
    kept_in = Path(f"{settings.db}.key")
    text = run(settings, lambda store: development_key(store, kept_in, who(), fresh=fresh_key))
    open_door = serve_app if door is Door.asgi else serve_artifact
    try:
        open_door(settings, host, port, lambda base_url: _announce(base_url, text, as_json))
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
        groups = reading.groups_of(by)
        first_day, last_day = reading.days(first, last, time.time())
    except GatewayError as error:
        fail(str(error))

    async def read(store: Store) -> Summary:
        key_ids = await store.key_ids() if key_id is None else [await reading.known_key(store, key_id)]
        return summarise(await reading.totals_of(store, key_ids, first_day, last_day), groups)

    summary = run(place(db, table), read)
    if as_csv:
        typer.echo(reading.as_csv(summary), nl=False)
    elif as_json:
        print_json(reading.as_listing(summary))
    else:
        figures = ("requests", "errors", "input", "output", "cached", "cost USD", "no price", "est.")
        rows = [[*group, *map(str, reading.as_json(total).values())] for group, total in summary.rows]
        blanks = [""] * (len(groups) - 1)
        print_table(groups, rows, figures, ["total", *blanks, *map(str, reading.as_json(summary.total).values())])


def _announce(base_url: str, key: str, as_json: bool) -> None:
    if as_json:
        print_json({"base_url": base_url, "api_key": key})
        return
    body = json.dumps({"model": "echo", "messages": [{"role": "user", "content": "Hello, Tollgate!"}]})
    typer.echo(
        f"Tollgate is open.\n\n"
        f"  base URL   {base_url}\n"
        f"  API key    {key}   (for development: no limits; --fresh-key replaces it)\n\n"
        f"  curl {base_url}/chat/completions -H 'Authorization: Bearer {key}' \\\n"
        f"    -H 'Content-Type: application/json' -d '{body}'\n"
    )
