"""Study: the scored runs of a table with their draws and frontier, before anything is concluded."""

import dataclasses

import numpy as np
import pandas as pd
from jaxtyping import Float

from allometry.fit import cells as tables
from allometry.fit import frontier, noise
from allometry.fit.cells import Cells
from allometry.fit.draws import Draws, check_documents, draw
from allometry.fit.frontier import Frontier
from allometry.fit.noise import Noise
from allometry.fit.rates import RateSurface


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Study:
    """All that the conclusions are drawn from."""

    cells: Cells
    noise: Noise
    surfaces: dict[str, RateSurface]  # by family
    drawn: Draws
    frontier: Frontier


def measure(
    table: pd.DataFrame,
    documents: Float[np.ndarray, "rows documents"] | None = None,
    document_bytes: Float[np.ndarray, " documents"] | None = None,
    *,
    level: float = 0.9,
    count: int = 1000,
    seed: int = 0,
    protocol: str = "frontier",
    families: tuple[str, ...] | None = None,
    least_steps: int = 300,
) -> Study:
    """Read the table, fit each family's rates, measure the noise, draw `count` times, trace the frontier."""
    check_documents(len(table), documents, document_bytes)
    cells = tables.read(table, families=families, least_steps=least_steps)
    names = table["family"].astype(str).to_numpy()
    tuning = (table["stage"] == "tune").to_numpy() if "stage" in table else np.zeros(len(table), dtype=bool)
    surfaces = {
        name: RateSurface.fit(table.iloc[np.flatnonzero(tuning & (names == name))], seed=seed) for name in cells.families
    }
    spread = noise.measure(cells)
    drawn = draw(cells, spread, surfaces, documents, document_bytes, count, np.random.default_rng(seed))
    return Study(
        cells=cells, noise=spread, surfaces=surfaces, drawn=drawn, frontier=frontier.trace(cells, drawn, protocol, level)
    )
