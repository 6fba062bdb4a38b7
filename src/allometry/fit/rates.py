"""RateSurface: the best learning rate of one family at every size and compute, and what another rate costs.

    ln L = (mean of the cell) + k/2 (ln rate - ln best)^2,    ln best = a + b_N ln N + b_C ln C

A cell is a (size, budget) where several rates were tried. For a fixed curvature k and noise s this is linear in a, b_N, b_C,
so the posterior is exact: Gaussian in those three, summed over a grid of k and s.

Learning curves are not parabolas: high rates blow up. Points more than 10 % above the best of their cell and diverged runs
are left out of the squares. Of them we keep on which side they lie: the optimum is near the best rate, and about one
standard deviation short of the rate that failed.

Priors, for what a handful of runs cannot tell (all can be seen in `Prior`): b_N = -0.3 +- 0.3 and b_C = 0 +- 0.3, that is,
larger models want lower rates, as most published fits find; k = 0.06 within a factor of 3 (a rate off by a factor of 4 costs
some 6 % of the loss); misfit and noise 1 % of the loss within a factor of 2.
"""

# ruff: noqa: N803, N806, N815 - N, D and C are the letters of the field

import dataclasses

import numpy as np
import pandas as pd
from jaxtyping import Float

from allometry.fit.cells import column, loss_column
from allometry.spec import Spec

KEPT = 1024  # posterior draws that a surface keeps
BLOWN = 0.1  # ln loss above the best of the cell; beyond this the curve is no parabola


class Prior(Spec):
    """What is believed before any run. Rates are those of AdamW."""

    rate: float = 3e-3  # best rate at the place below
    N: float = 1e6
    C: float = 1e15
    spread: float = 0.7  # of ln best rate around the rates that were tried; a factor of 2
    wide: float = 1.2  # of ln best rate when nothing was tried
    slope_N: float = -0.3
    slope_C: float = 0.0
    slope_spread: float = 0.3
    curvature: float = 0.06  # ln loss per (ln rate)^2
    curvature_spread: float = 1.0  # of its logarithm
    noise: float = 0.01  # of ln loss, around the parabola
    noise_spread: float = 0.7  # of its logarithm
    doubt: float = 0.35  # of ln best rate around the rate that a run used, when there are no rates to compare


PRIOR = Prior()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rate:
    """The best rate with its interval. Interior: rates were tried on both sides of it in the nearest cell."""

    rate: float
    low: float
    high: float
    interior: bool


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Cell:
    """The rates that were tried at one size and budget."""

    size: float
    budget: float
    N: float
    C: float
    rates: Float[np.ndarray, " runs"]
    losses: Float[np.ndarray, " runs"]  # NaN where the run did not end well
    status: tuple[str, ...]

    @property
    def near(self) -> np.ndarray:
        """Which runs lie where the curve is near a parabola."""
        return self.losses <= self.lowest * np.exp(BLOWN)

    @property
    def lowest(self) -> float:
        finite = self.losses[np.isfinite(self.losses)]
        return float(finite.min()) if len(finite) else float("nan")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class RateSurface:
    """The posterior of one family's surface, as draws. `informed` is false when no two rates could be compared."""

    cells: tuple[Cell, ...]
    curvature: Float[np.ndarray, " draws"]
    plane: Float[np.ndarray, "draws 3"]  # ln best rate at the origin, its slope in ln N, in ln C
    origin: tuple[float, float]  # ln N, ln C
    informed: bool
    note: str = ""

    @classmethod
    def fit(cls, tune: pd.DataFrame, *, prior: Prior = PRIOR, seed: int = 0) -> "RateSurface":
        """Fit the tuning runs of one family: columns rate, loss (or bpb), N, C or budget, and size and status if known.

        Never refuses: with one cell of three rates, with diverged runs only or with nothing the prior shows through.
        """
        cells = read_cells(tune)
        used = [cell for cell in cells if cell.near.any()]
        informed = any(cell.near.sum() >= 2 for cell in used)
        if used:
            origin = (float(np.mean([np.log(c.N) for c in used])), float(np.mean([np.log(c.C) for c in used])))
            middle = float(np.mean([np.log(c.rates[np.nanargmin(c.losses)]) for c in used]))
            spread = prior.spread
        else:
            origin, middle, spread = (np.log(prior.N), np.log(prior.C)), np.log(prior.rate), prior.wide
        draws = _posterior(used, origin, middle, spread, prior, np.random.default_rng(seed))
        return cls(
            cells=tuple(cells),
            curvature=draws[0],
            plane=draws[1],
            origin=origin,
            informed=informed,
            note=_note(cells, informed),
        )

    def ln_best(self, N: Float[np.ndarray, "..."], C: Float[np.ndarray, "..."]) -> Float[np.ndarray, "draws ..."]:
        """Draws of ln best rate at `N` parameters and `C` training FLOPs."""
        place = np.stack([np.ones(np.shape(N)), np.log(N) - self.origin[0], np.log(C) - self.origin[1]])
        return np.tensordot(self.plane, place, axes=1)

    def best(self, N: float, C: float, level: float = 0.9) -> Rate:
        """The rate to use at `N` parameters and `C` training FLOPs."""
        low, middle, high = np.exp(
            np.quantile(
                self.ln_best(np.array(N, dtype=float), np.array(C, dtype=float)), [(1 - level) / 2, 0.5, (1 + level) / 2]
            )
        )
        interior = False
        if self.cells:
            near = min(self.cells, key=lambda cell: np.log(cell.N / N) ** 2 + np.log(cell.C / C) ** 2)
            done = np.isfinite(near.losses)
            interior = bool(done.any() and near.rates[done].min() < middle < near.rates.max() and _bracketed(near))
        return Rate(rate=float(middle), low=float(low), high=float(high), interior=interior)

    def penalty(
        self,
        N: Float[np.ndarray, " cells"] | float,
        C: Float[np.ndarray, " cells"] | float,
        rate: Float[np.ndarray, " cells"] | float,
        draws: int,
        generator: np.random.Generator,
    ) -> Float[np.ndarray, " draws *cells"]:
        """Draws of the excess ln loss of having trained with `rate`. One draw is one surface for all places in the call.

        Where no two rates were compared, the best rate is believed within a factor of 1.4 of the rate that was used.
        """
        which = generator.integers(0, len(self.curvature), draws)
        N, C, used = np.broadcast_arrays(np.asarray(N, float), np.asarray(C, float), np.log(np.asarray(rate, float)))
        if self.informed:
            off = used - self.ln_best(N, C)[which]
        else:
            off = PRIOR.doubt * generator.standard_normal(draws).reshape((draws,) + (1,) * used.ndim) * np.ones(used.shape)
        curvature = self.curvature[which].reshape((draws,) + (1,) * used.ndim)
        return np.minimum(curvature / 2 * off**2, 0.5)


def read_cells(tune: pd.DataFrame) -> list[Cell]:
    """Group tuning runs into cells. Runs without a usable rate, N or C are passed over."""
    rate, N, budget, C = (column(tune, name) for name in ("rate", "N", "budget", "C"))
    budget, C = np.where(np.isfinite(budget), budget, C), np.where(np.isfinite(C), C, budget)
    size = column(tune, "size") if "size" in tune else N
    loss = column(tune, loss_column(tune)[0])
    status = tune["status"].astype(str).to_numpy() if "status" in tune else np.full(len(tune), "done")
    loss = np.where((status == "done") & (loss > 0) & np.isfinite(loss), loss, np.nan)
    usable = np.flatnonzero((rate > 0) & (N > 0) & (C > 0) & np.isfinite(rate * N * C))
    usable = usable[np.argsort(rate[usable], kind="stable")]
    places, cell = np.unique(np.stack([budget, size], axis=1)[usable], axis=0, return_inverse=True)
    rows = [usable[cell.ravel() == index] for index in range(len(places))]
    return [
        Cell(
            size=float(place[1]),
            budget=float(place[0]),
            N=float(N[here].mean()),
            C=float(C[here].mean()),
            rates=rate[here],
            losses=loss[here],
            status=tuple(str(value) for value in status[here]),
        )
        for place, here in zip(places, rows, strict=True)
    ]


def _bracketed(cell: Cell) -> bool:
    """The best of the rates that were tried has a worse or failed one on each side."""
    best = cell.rates[np.nanargmin(cell.losses)]
    done = np.isfinite(cell.losses)
    return bool(cell.rates[done].min() < best < cell.rates.max())


def _note(cells: list[Cell], informed: bool) -> str:
    if not cells:
        return "no tuning runs: rates are a prior"
    if not any(np.isfinite(cell.losses).any() for cell in cells):
        return "every tuning run diverged or failed: rates are a prior"
    return "" if informed else "no two rates can be compared in any cell: rates are a prior"


def _posterior(
    cells: list[Cell],
    origin: tuple[float, float],
    middle: float,
    spread: float,
    prior: Prior,
    generator: np.random.Generator,
) -> tuple[Float[np.ndarray, " draws"], Float[np.ndarray, "draws 3"]]:
    """Exact posterior on a grid of curvature and noise; returns draws of the curvature and of the plane."""
    curvature = np.geomspace(prior.curvature / 30, prior.curvature * 30, 45)
    noise = np.geomspace(prior.noise / 10, prior.noise * 10, 17)
    k, s = (values.ravel() for values in np.meshgrid(curvature, noise, indexing="ij"))
    # Sufficient sums, each within cells: the mean of a cell is free.
    zz, zy, zq, yy, yq, qq, freedom = np.zeros((3, 3)), np.zeros(3), np.zeros(3), 0.0, 0.0, 0.0, 0
    precision = np.diag([spread**-2, prior.slope_spread**-2, prior.slope_spread**-2])
    pull = precision @ np.array([0.0, prior.slope_N, prior.slope_C])
    for cell in cells:
        place = np.array([1.0, np.log(cell.N) - origin[0], np.log(cell.C) - origin[1]])
        x = np.log(cell.rates[cell.near]) - middle
        y = np.log(cell.losses[cell.near])
        q = _centre(x**2 / 2)
        x, y = _centre(x), _centre(y)
        z = np.outer(x, place)
        zz, zy, zq = zz + z.T @ z, zy + z.T @ y, zq + z.T @ q
        yy, yq, qq, freedom = yy + y @ y, yq + y @ q, qq + q @ q, freedom + len(x) - 1
        for value, width in _sides(cell):
            precision = precision + np.outer(place, place) / width**2
            pull = pull + place * (value - middle) / width**2
    # Residual = (y - k q) + k z.plane, so the plane has design -k z and target y - k q.
    total = k[:, None, None] ** 2 * zz / s[:, None, None] ** 2 + precision
    right = -k[:, None] * (zy - k[:, None] * zq) / s[:, None] ** 2 + pull
    inverse = np.linalg.inv(total)
    mean = np.einsum("gij,gj->gi", inverse, right)
    squares = (yy - 2 * k * yq + k**2 * qq) / s**2 - np.einsum("gi,gi->g", mean, right)
    log_weight = -freedom * np.log(s) - squares / 2 + np.linalg.slogdet(inverse)[1] / 2
    log_weight -= (np.log(k / prior.curvature) / prior.curvature_spread) ** 2 / 2
    log_weight -= (np.log(s / prior.noise) / prior.noise_spread) ** 2 / 2
    weight = np.exp(log_weight - log_weight.max())
    which = generator.choice(len(k), KEPT, p=weight / weight.sum())
    factor = np.linalg.cholesky(inverse)
    plane = mean[which] + np.einsum("gij,gj->gi", factor[which], generator.standard_normal((KEPT, 3)))
    plane[:, 0] += middle
    return k[which], plane


def _sides(cell: Cell) -> list[tuple[float, float]]:
    """(ln best rate, distance in ln rate) for the nearest failed or blown-up rate on each side of the best one."""
    best = cell.rates[np.nanargmin(cell.losses)]
    out = cell.rates[~cell.near]
    nearest = [side for side in (out[out > best][:1], out[out < best][-1:]) if len(side)]
    return [(float(np.log(best)), float(abs(np.log(side[0] / best)))) for side in nearest]


def _centre(values: Float[np.ndarray, " runs"]) -> Float[np.ndarray, " runs"]:
    return values - values.mean()
