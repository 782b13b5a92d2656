"""The requests of a local gateway as a person reads them: a line each, or a table that follows them."""

import logging
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

SHOWN = 20
"""Requests in the table."""
COLUMNS = ("time", "status", "key", "model", "provider", "first token", "total", "tokens", "USD", "error")


def request_line(fields: Mapping[str, Any], at: str) -> str:
    """One line for the fields of a request's log line; coloured, unless it is printed to a file."""
    cells = _cells(fields, at)
    status = typer.style(cells["status"], fg=_colour(fields["status"]), bold=True)
    shown = [at, status, f"{cells['model'] or fields.get('path', ''):<28}", f"{cells['provider']:<12}"]
    shown += [f"{cells['total']:>9}", f"{cells['tokens']:>13}", f"{cells['USD']:>11}"]
    if cells["first token"]:
        shown.append(f"first token {cells['first token']}")
    if fields.get("attempts"):
        shown.append(f"{len(fields['attempts'])} attempts")
    if cells["error"]:
        shown.append(typer.style(cells["error"], fg="red"))
    return "  ".join(shown)


class RequestLines(logging.Handler):
    """Prints one line per request."""

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
        fields = record.__dict__
        if "status" in fields:
            typer.echo(request_line(fields, _time(record)))
        else:
            typer.secho(f"{_time(record)} {record.getMessage()} {_fault(fields)}", fg="red")


class RequestTable(logging.Handler):
    """Shows the last requests and the sum of all in a table that is drawn anew with each; a context manager."""

    def __init__(self) -> None:
        from rich.live import Live

        super().__init__()
        self._rows: deque[tuple[Mapping[str, str], str]] = deque(maxlen=SHOWN)
        self._requests = self._errors = self._tokens = 0
        self._usd = 0.0
        self._live = Live(auto_refresh=False)

    def __enter__(self) -> "RequestTable":
        self._live.start()
        self._live.update(self._table(), refresh=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
        fields = record.__dict__
        if "status" not in fields:
            self._live.console.print(f"{_time(record)} {record.getMessage()} {_fault(fields)}", markup=False)
            return
        self._requests += 1
        self._errors += bool(fields.get("error_code"))
        self._tokens += (fields.get("input_tokens") or 0) + (fields.get("output_tokens") or 0)
        self._usd += fields.get("cost_usd") or 0.0
        self._rows.append((_cells(fields, _time(record)), _colour(fields["status"])))
        self._live.update(self._table(), refresh=True)

    def _table(self) -> "Table":
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        sums = f"{self._requests} requests, {self._errors} errors, {self._tokens:,} tokens, {self._usd:.6f} USD"
        table = Table(box=SIMPLE_HEAD, title=sums, title_justify="left", show_edge=False)
        for name in COLUMNS:
            table.add_column(name, overflow="ellipsis", no_wrap=True)
        for cells, colour in self._rows:
            texts = (Text(cells[name], style=colour if name == "status" else "") for name in COLUMNS)
            table.add_row(*texts)
        return table


def _cells(fields: Mapping[str, Any], at: str) -> Mapping[str, str]:
    """What is shown of a request, by column."""
    used = fields.get("input_tokens") is not None
    cost = fields.get("cost_usd")
    return {
        "time": at,
        "status": str(fields["status"]),
        "key": fields.get("key_id") or "",
        "model": fields.get("model") or "",
        "provider": fields.get("provider") or "",
        "first token": _ms(fields.get("time_to_first_token_ms")),
        "total": _ms(fields.get("latency_ms")),
        "tokens": f"{fields['input_tokens']} + {fields['output_tokens']}" if used else "",
        "USD": "" if cost is None else f"{cost:.6f}",
        "error": fields.get("error_code") or "",
    }


def _time(record: logging.LogRecord) -> str:
    return logging.Formatter().formatTime(record, "%H:%M:%S")


def _ms(value: int | None) -> str:
    return "" if value is None else f"{value} ms"


def _fault(fields: Mapping[str, Any]) -> str:
    return " ".join(str(fields.get(name, "")) for name in ("request_id", "error_type")).strip()


def _colour(status: int) -> str:
    return "green" if status < 400 else "yellow" if status < 500 else "red"
