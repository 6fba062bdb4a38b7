"""What to train at a budget that was not run: family, size, tokens, rate, and the loss to expect, or why not.

The interval of the loss holds the draws of all three laws, so the choice of the law widens it. Families are compared draw by
draw under one law, as what they share cancels.
"""

# ruff: noqa: N803, N806 - N, D and C are the letters of the field

from typing import Any

import numpy as np
from jaxtyping import Float

from allometry.fit.cells import Cells
from allometry.fit.differences import interval
from allometry.fit.frontier import Frontier
from allometry.fit.rates import RateSurface
from allometry.fit.trends import Trend
from allometry.flow import TooFar


def check_reach(asked: float, largest: float, reach: float) -> None:
    """Raise TooFar when `asked` FLOPs are beyond `reach` times the largest."""
    if asked > reach * largest * (1 + 1e-9):
        raise TooFar(
            f"{asked:.3g} FLOPs is {asked / largest:.3g} times the largest budget; this fit answers up to {reach:g} times. "
            "Add larger runs, or accept the risk with reach= (--reach)."
        )


def choose(
    flops: float,
    cells: Cells,
    frontier: Frontier,
    trends: list[Trend],
    surfaces: dict[str, RateSurface],
    *,
    level: float,
    reach: float,
    margin: float,
) -> dict[str, Any]:
    """The `target` of docs/answer.md. A family within `margin` of the best is not told from it."""
    largest = float(frontier.budgets.max()) if len(frontier.budgets) else float("nan")
    try:
        check_reach(flops, largest, reach)
        refused = None
    except TooFar as error:
        refused = str(error)
    choices, losses = [], []
    for family, name in enumerate(frontier.families):
        drawn = np.concatenate([np.log(trend.predict(np.array([flops]))[family, :, 0]) for trend in trends])
        drawn = np.where(np.isfinite(drawn), drawn, np.nan)
        N = _size(cells, frontier, family, flops)
        D = flops / _flops_per_token(cells, family, N)
        reason = refused or (None if np.isfinite(drawn).any() and np.isfinite(N) else "too few budgets to fit a law to")
        losses.append(np.full_like(drawn, np.nan) if reason else drawn)
        row: dict[str, Any] = {"family": name, "N": N, "D": D, "rate": None, "loss": None, "low": None, "high": None}
        if reason is None:
            finite = drawn[np.isfinite(drawn)]
            low, high = np.exp(interval(finite, level))
            rate = surfaces[name].best(N, flops).rate if name in surfaces and surfaces[name].cells else None
            row |= {"rate": rate, "loss": np.exp(np.median(finite)), "low": low, "high": high}
        choices.append(row | {"reason": reason})
    winner, reason = (None, refused) if refused else _best(frontier.families, losses, level, margin)
    return {"flops": flops, "choices": choices, "winner": winner, "reason": reason}


def _size(cells: Cells, frontier: Frontier, family: int, flops: float) -> float:
    """ln N of the optimum on a line in ln C, through interior optima where there are two of them."""
    here = frontier.present[family]
    inside = here & frontier.interior[family]
    use = inside if inside.sum() >= 2 else here
    if use.sum() < 2:
        return float("nan")
    line = np.polynomial.Polynomial.fit(np.log(frontier.budgets[use]), frontier.ln_N[0, family, use], 1)
    return float(np.exp(line(np.log(flops))))


def _flops_per_token(cells: Cells, family: int, N: float) -> float:
    """FLOPs per token on a line in ln N through the family's sizes."""
    here = np.flatnonzero(cells.family == family)
    if not len(here) or not np.isfinite(N):
        return float("nan")
    x, y = np.log(cells.costs["N"][here]), np.log(cells.costs["C"][here] / cells.D[here])
    if len(np.unique(x)) < 2:
        return float(np.exp(y.mean()) * N / np.exp(x.mean()))
    return float(np.exp(np.polynomial.Polynomial.fit(x, y, 1)(np.log(N))))


def _best(
    families: tuple[str, ...], losses: list[Float[np.ndarray, " draws"]], level: float, margin: float
) -> tuple[str | None, str | None]:
    known = [family for family, drawn in enumerate(losses) if np.isfinite(drawn).any()]
    if not known:
        return None, "no family has enough budgets to fit a law to"
    best = min(known, key=lambda family: float(np.nanmedian(losses[family])))
    close = []
    for other in known:
        gap = losses[other] - losses[best]
        gap = gap[np.isfinite(gap)]
        if other != best and (not len(gap) or interval(gap, level)[0] <= margin):
            close.append(families[other])
    if close:
        return None, f"cannot tell {', '.join([families[best], *close])} apart at this budget"
    return families[best], None
