"""The slopes of Tay et al. 2022 (arXiv:2207.10551): how each family's quality grows with what it costs, by straight lines.

    quality = a + alpha log10(cost)

upstream quality is the negative held-out loss (nats per target token, larger is better), downstream quality the accuracy after
fine-tuning; the cost is training FLOPs, active parameters, or speed (tokens per second, where larger is cheaper). The paper
plots both on logarithmic axes; a negative loss has no logarithm, and 0.54 agrees with a slope of the loss itself per decade, so
that is what stands here, with the exponent -d ln(loss) / d ln(cost) beside it. These slopes are no Chinchilla exponents: there
is no floor. Points are means over seeds: every size under fixed tokens, the best size of each budget on the frontier.
Intervals are Student's t of the line's residuals.
"""

import math
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats

FEWEST = 3  # points of a line with an interval
MEASURES = {
    "F-U": ("upstream on FLOPs", "C", "quality"),
    "P-U": ("upstream on parameters", "N", "quality"),
    "S-U": ("upstream on speed", "tokens_per_second", "quality"),
    "F-D": ("downstream on FLOPs", "C", "accuracy"),
    "P-D": ("downstream on parameters", "N", "accuracy"),
    "U-D": ("downstream on upstream", "quality", "accuracy"),
}
# Second-hand: notes of readers of the paper agree on them; its own table was not at hand. Per decade, by the reading above.
PUBLISHED = {
    ("transformer", "F-U"): 0.54,
    ("transformer", "F-D"): 0.28,
    ("performer", "F-U"): 0.25,
    ("albert", "F-D"): -0.12,
}


def alphas(runs: pd.DataFrame, accuracy: pd.DataFrame | None, protocol: str, level: float = 0.9) -> list[dict[str, Any]]:
    """One row for each family and measure: slope, low, high (None: cannot tell), the same of the exponent, points, published.

    `runs` is the table of a study; `accuracy` what `transfer.downstream` gives, of one labelled set or several (their mean).
    """
    scored = runs[(runs["stage"] == "score") & runs["loss"].notna()]
    cells = scored.groupby(["family", "size", "budget"], as_index=False)[["C", "N", "tokens_per_second", "loss"]].mean()
    if protocol == "frontier" and len(cells):
        cells = cells.loc[cells.groupby(["family", "budget"])["loss"].idxmin()]
    cells["quality"] = -cells["loss"]
    if accuracy is not None and len(accuracy):
        mean = accuracy.groupby(["family", "size", "budget"], as_index=False)["accuracy"].mean()
        cells = cells.merge(mean, on=["family", "size", "budget"], how="left")
    else:
        cells["accuracy"] = math.nan
    rows = []
    for family, own in cells.groupby("family", sort=True):
        for measure, (text, cost, gain) in MEASURES.items():
            points = own[[cost, gain]].dropna()
            if gain == "accuracy" and points.empty:
                continue
            x = points[cost].to_numpy(dtype=float)
            x, y = (x if cost == "quality" else np.log10(x)), points[gain].to_numpy(dtype=float)
            row = {"family": family, "measure": measure, "text": text, "points": len(points)}
            row |= dict(zip(("slope", "low", "high"), line(x, y, level), strict=True))
            exponent: tuple[float | None, ...] = (None, None, None)
            if gain == "quality":
                exponent = line(np.log(points[cost].to_numpy(float)), -np.log(-y), level)
            row |= dict(zip(("exponent", "exponent_low", "exponent_high"), exponent, strict=True))
            rows.append(row | {"published": PUBLISHED.get((str(family), measure))})
    return rows


def line(
    x: Float[np.ndarray, " points"], y: Float[np.ndarray, " points"], level: float
) -> tuple[float | None, float | None, float | None]:
    """Slope and interval of a straight line; None where the points are too few, all in one place, or all equal.

    Equal accuracies, as of models that all answer by chance, have no scatter that could say how sure a slope of 0 is.
    """
    if len(x) < FEWEST or np.ptp(x) < 1e-9 * (1 + np.abs(x).max()) or np.ptp(y) == 0:
        return None, None, None
    found = stats.linregress(x, y)
    half = float(stats.t.ppf((1 + level) / 2, len(x) - 2)) * float(found.stderr)
    return float(found.slope), float(found.slope) - half, float(found.slope) + half
