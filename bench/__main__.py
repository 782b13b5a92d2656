"""Runs every measurement and prints one table."""

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from bench import capacity, cold_start, growth, peers, prices, serving, subjects, translation
from bench.figures import Row
from bench.provider import canned_provider
from bench.serving import Measured
from bench.subjects import FUNCTION, Fixture
from support.archive import zip_megabytes
from support.instances import SharedStore, base_env


async def serve(folder: Path) -> tuple[list[Measured], list[Row]]:
    """What serving takes, one request at a time, and how it grows. The provider has a thread of its own."""
    async with canned_provider() as url:
        return await asyncio.to_thread(_serve, folder, url)


def _serve(folder: Path, url: str) -> tuple[list[Measured], list[Row]]:
    with subjects.fixture(folder, url) as shared, contextlib.ExitStack() as running:
        gateways = subjects.start_all(running, shared)
        measured = asyncio.run(serving.measure([*gateways, *peers.start_peers(running, shared)]))
        holds = asyncio.run(growth.measure_holds(gateways[1:], shared))
    with contextlib.ExitStack() as running:
        gateways = subjects.start_all(running, _on_one_machine(shared))
        delays = asyncio.run(serving.measure_delays(gateways[1:], "on SQLite"))
        return measured, [*delays, *asyncio.run(growth.measure(gateways)), *holds]


def _on_one_machine(shared: Fixture) -> Fixture:
    """With an SQLite file, and a function that serves 64 invocations at once, for which DynamoDB Local is too slow."""
    db = str(shared.folder / "bench.db")
    env = {**base_env(), "TOLLGATE_DB": db, "AWS_LAMBDA_MAX_CONCURRENCY": "64"}
    store = SharedStore(["--db", db], env)
    return replace(shared, store=store, key=store.key(*subjects.FLAGS))


def starts(folder: Path) -> list[Row]:
    """Cold starts, beside that of a naive build."""
    naive, *gateways = cold_start.measure(folder)
    return [naive, *(replace(row, naive=naive.median) for row in gateways)]


def main() -> None:
    """Run the measurements and print their table."""
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        groups: list[Sequence[Row]] = [starts(folder)]
        measured, grown = asyncio.run(serve(folder))
        calls = asyncio.run(capacity.measure())
        groups += [serving.rows(measured), grown, translation.measure(), calls]
        groups.append([Row("function, zipped, MB", [zip_megabytes()], 1)])
    peak = next(each.peak for each in measured if each.subject.name == FUNCTION)
    groups.append(prices.rows(capacity.units_per_request(calls), peak))
    table = Table("", "median", "min", "max", "naive", "ratio", "", title=f"Tollgate on this machine ({sys.platform})")
    for group in groups:
        for row in group:
            table.add_row(*row.cells())
        table.add_section()
    Console(width=170).print(table)


if __name__ == "__main__":
    main()
