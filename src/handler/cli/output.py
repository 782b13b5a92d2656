"""What every command shares: where the keys are, how work is run, and how answers and errors are printed."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tollgate.gateway.errors import ConfigurationError, GatewayError, StoreUnavailableError
from tollgate.gateway.ports import Store
from tollgate.handler.components import open_store
from tollgate.handler.settings import Settings, from_environment

Result = TypeVar("Result")

PIPE_WIDTH = 160
"""Columns for who reads a table through a pipe."""

Db = Annotated[Path | None, typer.Option("--db", help="SQLite file.  [env: TOLLGATE_DB; default: tollgate.db]")]
TableName = Annotated[str | None, typer.Option("--table", help="The deployed table.  [env: TOLLGATE_TABLE]")]
CatalogFile = Annotated[
    Path | None, typer.Option("--catalog", help="A catalog laid over the built-in one.", envvar="TOLLGATE_CATALOG")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def place(db: Path | None, table: str | None) -> Settings:
    """Where the keys are: a flag beats a variable, and a variable with a table beats one with a file."""
    if db is not None and table is not None:
        fail("--db and --table name two different places: give one of them.")
    try:
        settings = from_environment(os.environ)
    except ConfigurationError as error:
        fail(str(error))
    if db is not None:
        return replace(settings, table=None, db=str(db))
    return replace(settings, table=table or settings.table)


def run(settings: Settings, work: Callable[[Store], Awaitable[Result]]) -> Result:
    """What `work` makes of the store; its errors end the command with one line."""

    async def opened() -> Result:
        store = open_store(settings)
        try:
            return await work(store)
        finally:
            store.close()

    try:
        return asyncio.run(opened())
    except StoreUnavailableError as error:
        fail("\n".join(getattr(error, "__notes__", [])) or str(error))
    except (GatewayError, ConfigurationError) as error:
        fail(str(error))


def who() -> str:
    """Who changes keys from here, for the audit."""
    return f"cli:{os.environ.get('USER') or os.environ.get('USERNAME') or os.getuid()}"


def print_json(value: Any) -> None:
    """One line of JSON."""
    typer.echo(json.dumps(value))


def print_table(
    names: Sequence[str], rows: Sequence[Sequence[str]], figures: Sequence[str] = (), total: Sequence[str] | None = None
) -> None:
    """Rows under their names and, below a line, their total; those columns that are `figures` come last."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    for at, name in enumerate(names):
        table.add_column(name, no_wrap=at == 0, overflow="fold")  # the first is what one copies: it stays whole
    for name in figures:
        table.add_column(name, overflow="fold", justify="right")
    for row in rows:
        table.add_row(*map(Text, row))  # a text as it is: what a key is called is no markup
    if total is not None:
        table.add_section()
        table.add_row(*map(Text, total))
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(table)


def fail(message: str) -> NoReturn:
    """End the command with this line."""
    typer.secho(message, err=True, fg=typer.colors.RED)
    raise typer.Exit(1)
