"""Runs every measurement and prints one table."""

import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from bench import capacity, cold_start, serving, translation
from support.archive import zip_megabytes


def main() -> None:
    """Run the measurements and print their table."""
    table = Table("measurement", "median", "min", "max", title=f"Tollgate on this machine ({sys.platform})")
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        starts = cold_start.measure(folder)
        for row in starts:
            table.add_row(row.name, *row.cells())
        naive, *gateway_starts = starts
        for row in gateway_starts:
            table.add_row(f"{row.name.removesuffix(', s CPU')} / naive", f"{row.median / naive.median:.2f}", "", "")
        table.add_section()
        for row in asyncio.run(serving.measure(folder)):
            table.add_row(row.name, *row.cells())
        table.add_section()
        for row in translation.measure():
            table.add_row(row.name, *row.cells())
        table.add_section()
        for row in asyncio.run(capacity.measure()):
            table.add_row(row.name, *row.cells())
        table.add_section()
        table.add_row("function, zipped, MB", f"{zip_megabytes():.1f}", "", "")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
