"""A row of the table: a name and several measured values."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Row:
    """`name` has the unit of `values`; `naive` is the same measured of the naive build or relay; `note` says more."""

    name: str
    values: Sequence[float]
    digits: int = 2
    naive: float | None = None
    note: str = ""

    @property
    def median(self) -> float:
        return median(self.values)

    def cells(self) -> Sequence[str]:
        """Name, median, minimum, maximum, the naive figure, the ratio to it, and the note."""
        figures = [f"{figure:.{self.digits}f}" for figure in (self.median, min(self.values), max(self.values))]
        if self.naive is None:
            return [self.name, *figures, "", "", self.note]
        return [self.name, *figures, f"{self.naive:.{self.digits}f}", f"{self.median / self.naive:.2f} x", self.note]
