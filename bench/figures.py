"""A row of the table: a name and several measured values."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Row:
    """`name` has the unit of `values`."""

    name: str
    values: Sequence[float]
    digits: int = 2

    @property
    def median(self) -> float:
        return median(self.values)

    def cells(self) -> tuple[str, str, str]:
        """Median, minimum, maximum."""
        figures = (self.median, min(self.values), max(self.values))
        return (f"{figures[0]:.{self.digits}f}", f"{figures[1]:.{self.digits}f}", f"{figures[2]:.{self.digits}f}")
