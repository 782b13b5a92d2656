"""The calculator of docs/costs.md has the prices that the benchmark has."""

import re
from pathlib import Path

from bench import prices

CALCULATOR = Path(__file__).parents[2] / "docs" / "javascripts" / "cost_calculator.js"
NAMES = ("GB_SECOND", "MILLION_REQUESTS", "MILLION_WRITE_UNITS", "LOG_GB", "LOG_LINE_KB")


def test_calculator_and_benchmark_have_the_same_prices() -> None:
    written = dict(re.findall(r"([A-Z_]+) = ([0-9.]+)", CALCULATOR.read_text("utf-8")))
    assert {name: float(written[name]) for name in NAMES} == {name: getattr(prices, name) for name in NAMES}
