"""What every command shares: which store it uses, how its work is run, and how results and errors are printed."""

import json
import os
import sys
from collections.abc import Awaitable, Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from tollgate.gateway.errors import ConfigurationError, GatewayError, StoreUnavailableError
from tollgate.gateway.limits import iso
from tollgate.handler.settings import Settings, from_environment

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from tollgate.gateway.catalog import Catalog
    from tollgate.gateway.keys import AuditEntry
    from tollgate.gateway.store_ports import Store

Result = TypeVar("Result")
Part = TypeVar("Part")

PIPE_WIDTH = 160
"""Columns of a table that is printed to a pipe."""

Db = Annotated[Path | None, typer.Option("--db", help="SQLite file.  [env: TOLLGATE_DB; default: tollgate.db]")]
TableName = Annotated[str | None, typer.Option("--table", help="The deployed table.  [env: TOLLGATE_TABLE]")]
CatalogFile = Annotated[
    Path | None,
    typer.Option(
        "--catalog", help="A catalog file whose rows replace those of the built-in catalog.", envvar="TOLLGATE_CATALOG"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def store_settings(db: Path | None, table: str | None) -> Settings:
    """Which store to use: a flag wins over a variable, and a variable for a table over one for a file."""
    if db is not None and table is not None:
        fail("--db and --table name two different stores: give one of them.")
    with fail_on_errors():
        settings = from_environment(os.environ)
    if db is not None:
        return replace(settings, table=None, db=str(db))
    return replace(settings, table=table or settings.table)


def run(settings: Settings, work: Callable[["Store"], Awaitable[Result]]) -> Result:
    """The result of `work` on the store. Its errors end the command with one line."""
    import asyncio

    from tollgate.handler.components import open_store

    async def opened() -> Result:
        store = open_store(settings)
        try:
            return await work(store)
        finally:
            store.close()

    with fail_on_errors():
        return asyncio.run(opened())


@contextmanager
def fail_on_errors() -> Generator[None]:
    """Errors of the gateway end the command with one line."""
    try:
        yield
    except StoreUnavailableError as error:
        fail("\n".join(getattr(error, "__notes__", [])) or str(error))
    except (GatewayError, ConfigurationError) as error:
        fail(str(error))


def catalog_of(file: Path | None) -> "Catalog":
    """The built-in catalog with the rows of this file. Raises CatalogError."""
    from tollgate.handler.components import read_catalog

    return read_catalog(None if file is None else str(file))


def actor() -> str:
    """Who changes keys here, for the audit."""
    return f"cli:{os.environ.get('USER') or os.environ.get('USERNAME') or os.getuid()}"


def print_json(value: Any) -> None:
    """One line of JSON."""
    typer.echo(json.dumps(value))


def print_table(
    names: Sequence[str], rows: Sequence[Sequence[str]], figures: Sequence[str] = (), total: Sequence[str] | None = None
) -> None:
    """Print a table; see `table_of`."""
    console().print(table_of(names, rows, figures, total))


def console() -> "Console":
    """What prints tables: as wide as the terminal, and wide in a pipe."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)


def with_progress(what: str, parts: Iterable[Part]) -> Iterable[Part]:
    """The parts of some long work, with a progress bar on the standard error if that is a terminal."""
    if not sys.stderr.isatty():
        return parts
    from rich.console import Console
    from rich.progress import track

    return track([*parts], what, console=Console(stderr=True), transient=True)


def table_of(
    names: Sequence[str], rows: Sequence[Sequence[str]], figures: Sequence[str] = (), total: Sequence[str] | None = None
) -> "Table":
    """Rows under a header and, below a line, their total; the columns named by `figures` come last."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    for at, name in enumerate(names):
        table.add_column(name, no_wrap=at == 0, overflow="fold")  # the first is what one copies
    for name in figures:
        table.add_column(name, overflow="fold", justify="right")
    for row in rows:
        table.add_row(*map(Text, row))  # plain text: the name of a key is not markup
    if total is not None:
        table.add_section()
        table.add_row(*map(Text, total))
    return table


def print_history(entries: Sequence["AuditEntry"]) -> None:
    """The changes of a key or a team as a table."""
    rows = [
        (iso(entry.at), entry.by, entry.action, ", ".join(f"{name}: {value}" for name, value in entry.changed.items()))
        for entry in entries
    ]
    print_table(("when", "who", "what", "changed"), rows)


def require_id(kind: str, is_id: Callable[[str], bool]) -> Callable[[str | None], str | None]:
    """A check that an argument, if it is given, is the id of a key or a team; no other text can be the id of one."""

    def check(text: str | None) -> str | None:
        if text is not None and not is_id(text):
            fail(f"There is no {kind} {text[:200]}.")
        return text

    return check


def fail(message: str) -> NoReturn:
    """End the command with this line."""
    typer.secho(message, err=True, fg=typer.colors.RED)
    raise typer.Exit(1)
