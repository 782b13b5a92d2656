"""The root of the `tollgate` command: its groups and commands, `serve`, `--version`."""

from typing import Annotated

import typer

from tollgate import __version__
from tollgate.handler.cli import credentials, importing, keys, teams
from tollgate.handler.cli.chat import chat
from tollgate.handler.cli.deploy import deploy
from tollgate.handler.cli.doctor import doctor
from tollgate.handler.cli.logs import logs
from tollgate.handler.cli.models import models
from tollgate.handler.cli.output import AsJson, CatalogFile, Db, fail_on_errors
from tollgate.handler.cli.usage import usage

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
app.command()(usage)
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
