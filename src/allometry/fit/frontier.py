"""The frontier: the lowest loss that a family reaches with a budget, over its sizes.

At each budget: a least-squares parabola of ln loss in ln N through the sizes (approach 2 of Hoffmann et al., 2022,
arXiv:2203.15556). Its vertex counts where the parabola is convex and the vertex lies inside the sizes; else the best size
counts and `interior` is false.

The lowest of noisy values is too low on average. Two things guard against this: a draw is read at the size that the estimate
chose (at a minimum, moving the size changes nothing to first order), so draws do not pick their own minimum; and the
difference between that and picking anew in each draw is the bias, which is taken off.

Under `fixed-tokens` sizes are not optimised over: the curve is the loss against C over sizes, all at the largest number of
tokens, read on levels of C that all families reach.
"""

# ruff: noqa: N806, N815 - N, D and C are the letters of the field

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Int

from allometry.fit.cells import Cells
from allometry.fit.draws import Draws


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Frontier:
    """Logarithms of losses at the budgets; NaN where a family has none. Draws are [draws families budgets]."""

    families: tuple[str, ...]
    budgets: Float[np.ndarray, " budgets"]  # FLOPs
    value: Float[np.ndarray, "families budgets"]
    draws: Float[np.ndarray, "draws families budgets"]
    weights: Float[np.ndarray, "families budgets cells"]  # what reads a quantity of the cells at the frontier
    ln_N: Float[np.ndarray, "3 families budgets"]  # estimate, low, high
    interior: Bool[np.ndarray, "families budgets"]
    sizes: Int[np.ndarray, "families budgets"]

    @property
    def present(self) -> Bool[np.ndarray, "families budgets"]:
        return np.isfinite(self.value)

    def at(self, quantity: Float[np.ndarray, " cells"]) -> Float[np.ndarray, "families budgets"]:
        """A quantity of the cells (in logarithms, mostly) where the frontier was read."""
        used = self.weights != 0
        result = np.where(used, self.weights * quantity, 0.0).sum(2)
        return np.where(self.present, result, np.nan)


def trace(cells: Cells, draws: Draws, protocol: str, level: float) -> Frontier:
    """Read the frontier of every family, in the estimate and in all draws."""
    if protocol == "fixed-tokens":
        return _over_sizes(cells, draws)
    families, budgets = len(cells.families), len(cells.levels)
    shape = (families, budgets)
    weights = np.zeros((*shape, len(cells.ln_loss)))
    bias, interior, sizes = np.zeros(shape), np.zeros(shape, dtype=bool), np.zeros(shape, dtype=int)
    ln_N = np.full((3, *shape), np.nan)
    for family, budget in np.ndindex(*shape):
        here = np.flatnonzero((cells.family == family) & (cells.level == budget))
        sizes[family, budget] = len(here)
        if len(here):
            x = np.log(cells.costs["N"][here])
            weight, inside, picked, drawn_x = _optimum(x, draws.centre[here], draws.losses[:, here])
            read = draws.losses[:, here] @ weight
            weights[family, budget, here] = weight
            # Bounded by the noise itself: where the parabola hardly bends, the difference has no finite mean.
            bias[family, budget] = np.clip(np.mean(picked - read), -read.std(), read.std())
            interior[family, budget] = inside
            ln_N[:, family, budget] = weight @ x, *np.quantile(drawn_x, [(1 - level) / 2, (1 + level) / 2])
    value, drawn = _read(weights, draws)
    return Frontier(
        families=cells.families,
        budgets=cells.levels,
        value=value - bias,
        draws=drawn - bias,
        weights=weights,
        ln_N=ln_N,
        interior=interior,
        sizes=sizes,
    )


def _read(
    weights: Float[np.ndarray, "families budgets cells"], draws: Draws
) -> tuple[Float[np.ndarray, "families budgets"], Float[np.ndarray, "draws families budgets"]]:
    families, budgets, cells = weights.shape
    flat = weights.reshape(families * budgets, cells)
    absent = np.where((weights != 0).any(2), 0.0, np.nan)
    drawn = (draws.losses @ flat.T).reshape(len(draws.losses), families, budgets)
    return (flat @ draws.centre).reshape(families, budgets) + absent, drawn + absent


def _optimum(
    x: Float[np.ndarray, " sizes"], centre: Float[np.ndarray, " sizes"], losses: Float[np.ndarray, "draws sizes"]
) -> tuple[Float[np.ndarray, " sizes"], bool, Float[np.ndarray, " draws"], Float[np.ndarray, " draws"]]:
    """Weights that read the optimum, whether it is interior, and what each draw would have picked: value and ln N."""
    best = losses.argmin(1)
    picked, picked_x = losses.min(1), x[best]
    weight = (np.arange(len(x)) == centre.argmin()).astype(float)
    if len(np.unique(x)) < 3:
        return weight, False, picked, picked_x
    middle = x.mean()
    solver = np.linalg.pinv(np.vander(x - middle, 3, increasing=True))
    _, slope, bend = solver @ centre
    constants, slopes, bends = (losses @ solver.T).T
    safe = np.where(bends > 0, bends, 1.0)
    vertex = -slopes / (2 * safe)
    inside = (bends > 0) & (vertex > x.min() - middle) & (vertex < x.max() - middle)
    picked = np.where(inside, constants - slopes**2 / (4 * safe), picked)
    picked_x = np.where(inside, vertex + middle, picked_x)
    place = -slope / (2 * bend) if bend > 0 else np.inf
    if not x.min() < place + middle < x.max():
        return weight, False, picked, picked_x
    return np.array([1.0, place, place**2]) @ solver, True, picked, picked_x


def _over_sizes(cells: Cells, draws: Draws) -> Frontier:
    families = len(cells.families)
    chosen = cells.level == len(cells.levels) - 1
    ln_C = np.log(cells.costs["C"])
    curves = [np.flatnonzero(chosen & (cells.family == family)) for family in range(families)]
    curves = [curve[np.argsort(ln_C[curve])] for curve in curves]
    run = [curve for curve in curves if len(curve)]
    ends = (max(ln_C[c[0]] for c in run), min(ln_C[c[-1]] for c in run)) if run else (0.0, -1.0)
    levels = np.linspace(*ends, max(len(c) for c in run)) if ends[0] <= ends[1] else np.zeros(0)
    levels = np.unique(levels)
    weights = np.zeros((families, len(levels), len(cells.ln_loss)))
    for family, curve in enumerate(curves):
        if len(curve):
            weights[family][:, curve] = interpolation(ln_C[curve], levels)
    value, drawn = _read(weights, draws)
    ln_N = np.where(np.isfinite(value), weights @ np.log(cells.costs["N"]), np.nan)
    return Frontier(
        families=cells.families,
        budgets=np.exp(levels),
        value=value,
        draws=drawn,
        weights=weights,
        ln_N=np.stack([ln_N, np.full_like(ln_N, np.nan), np.full_like(ln_N, np.nan)]),
        interior=np.isfinite(value),
        sizes=np.array([[len(curve)] * len(levels) for curve in curves], dtype=int).reshape(families, len(levels)),
    )


def interpolation(
    nodes: Float[np.ndarray, " nodes"], places: Float[np.ndarray, " places"]
) -> Float[np.ndarray, "places nodes"]:
    """Weights that interpolate linearly between ascending `nodes`; rows of zeros outside them."""
    slack = 1e-9 * (1 + np.abs(nodes).max())
    inside = (places >= nodes[0] - slack) & (places <= nodes[-1] + slack)
    return np.stack([np.interp(places, nodes, unit) for unit in np.eye(len(nodes))], axis=1) * inside[:, None]
