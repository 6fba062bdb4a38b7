"""Which learning rates are tried, and which are used: a fixed grid, then a bracket around the best, then the tuned surface.

Every family gets the same number of tries by the same rule. What was decided is kept in rates.json, so that a study that is
started again or given more minutes does not change its mind about runs that it has.
"""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from allometry.fit.rates import PRIOR, RateSurface
from allometry.record.store import read_json, write_json
from allometry.study.design import Cell
from allometry.study.job import short_name

GRID = {3: (1 / 3, 1.0, 3.0), 4: (3**-1.5, 3**-0.5, 3**0.5, 3**1.5)}  # around what is believed beforehand
BRACKET = 2.5  # between the rates of a bracket


class Rates:
    """The decided rates of a study's cells, by the cell's key."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "rates.json"
        self._decided: dict[str, list[float]] = read_json(self._path) if self._path.exists() else {}

    def of(self, cell: Cell) -> list[float]:
        return self._decided[cell.key]

    def decide(self, cells: list[Cell], tuned: pd.DataFrame, begun: Callable[[Cell], bool]) -> None:
        """Decide the rates of cells that have none, from the tuning runs so far (rows of the table).

        A cell without any run is decided again: when it was first, tuning may have been cut short by the time.
        """
        surfaces: dict[str, RateSurface] = {}
        for cell in (c for c in cells if c.key not in self._decided or not begun(c)):
            if cell.stage == "tune":
                believed = PRIOR.rate * (cell.N / PRIOR.N) ** PRIOR.slope_N
                rates = [believed * factor for factor in GRID[cell.rates]]
            else:
                if cell.family not in surfaces:
                    surfaces[cell.family] = RateSurface.fit(tuned[tuned["family"] == short_name(cell.family)])
                best = surfaces[cell.family].best(cell.N, cell.C).rate
                rates = [best / BRACKET, best, best * BRACKET] if cell.rates == 3 else [best]
            self._decided[cell.key] = [_rounded(rate) for rate in rates]
        write_json(self._path, self._decided)

    def widen(self, cells: list[Cell], tuned: pd.DataFrame) -> bool:
        """Add one rate beyond the end of each cell whose best rate is its first or last. True if any was added."""
        added = False
        for cell in cells:
            runs = tuned[(tuned["family"] == short_name(cell.family)) & (tuned["size"] == cell.size)]
            runs = runs[(runs["budget"] == cell.budget) & runs["loss"].notna()]
            rates = sorted(self.of(cell))
            if len(runs) == 0 or len(rates) > cell.rates:
                continue
            best = float(runs.loc[runs["loss"].idxmin(), "rate"])
            if best >= rates[-1] * 0.999 or best <= rates[0] * 1.001:
                beyond = rates[-1] * BRACKET if best >= rates[-1] * 0.999 else rates[0] / BRACKET
                self._decided[cell.key] = [*rates, _rounded(beyond)]
                added = True
        write_json(self._path, self._decided)
        return added


def _rounded(rate: float) -> float:
    """Three digits: what is printed is what was used."""
    return float(f"{rate:.3g}")
