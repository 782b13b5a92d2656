"""`tollgate logs`: the requests of a gateway, from its store or from CloudWatch."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tollgate.handler.cli.output import AsJson, Db, TableName, fail_on_errors, run, store_settings, with_progress

if TYPE_CHECKING:
    from tollgate.gateway.store_ports import Store

POLL_SECONDS = 2.0
LONGEST_REQUEST = 900.0
"""Seconds: a record is stored under the start of its request, when that has ended."""
Entry = tuple[float, Mapping[str, Any]]
"""The Unix time of a request, and the fields of its log line."""


def logs(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for more until Ctrl-C.")] = False,
    minutes: Annotated[int, typer.Option(min=1, max=43_200, help="How far back to begin.")] = 60,
    key_id: Annotated[str | None, typer.Option("--key", help="Only requests of this key.")] = None,
    log_group: Annotated[
        str | None,
        typer.Option(help="Read this log group of CloudWatch, which also has the requests that were refused."),
    ] = None,
    region: Annotated[str | None, typer.Option(help="The AWS region of the log group.")] = None,
    db: Db = None,
    table: TableName = None,
    as_json: AsJson = False,
) -> None:
    """The requests of a gateway, oldest first: those in its store, or the lines that its functions log."""
    from tollgate.handler.cli.request_log import request_line

    def show(entry: Entry) -> None:
        at, fields = entry
        clock = time.strftime("%Y-%m-%d %H:%M:%S" if minutes > 1440 else "%H:%M:%S", time.localtime(at))
        typer.echo(json.dumps(fields) if as_json else request_line(fields, clock))

    since = time.time() - minutes * 60
    with fail_on_errors():
        if log_group is not None:
            from tollgate.handler.cli.cloudwatch import log_lines

            for entry in log_lines(log_group, region, since, key_id, POLL_SECONDS if follow else None):
                show(entry)
            return

    async def read(store: "Store") -> None:
        async for entry in _records(store, since, key_id, follow):
            show(entry)

    run(store_settings(db, table), read)


async def _records(store: "Store", since: float, key_id: str | None, follow: bool) -> AsyncIterator[Entry]:
    """Every record since then, once; with `follow` also those that come."""
    shown: set[str] = set()
    while True:
        found = await _read(store, since, key_id, follow)
        for at, fields in sorted(found, key=lambda entry: entry[0]):
            if fields["request_id"] not in shown:
                shown.add(fields["request_id"])
                yield at, fields
        if not follow:
            return
        since = max(since, time.time() - LONGEST_REQUEST)
        await asyncio.sleep(POLL_SECONDS)


async def _read(store: "Store", since: float, key_id: str | None, follow: bool) -> list[Entry]:
    from tollgate.gateway.usage_report import existing_key
    from tollgate.handler.telemetry import record_fields

    key_ids: Iterable[str] = [await existing_key(store, key_id)] if key_id else await store.key_ids()
    return [
        (record.started_at, {"request_id": record.request_id, **record_fields(record)})
        for each in (key_ids if follow else with_progress("Reading requests", key_ids))
        async for record in store.usage(each, since, time.time() + 1)
    ]
