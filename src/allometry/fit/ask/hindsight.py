"""Hindsight: what a law, fitted to the smaller runs, missed of the larger ones, beside what it should have missed.

A miss at ln f beyond the fitted range is taken as  e ~ Student(0, s^2 + (t ln f)^2):  s^2 is what the doubt of the parameters
and the scatter of runs explain, and t is the growth of the lack of fit with the distance, in ln loss for each factor e. The
past of a group says what t may be (roll-out: Alabdulmohsin et al., 2022; judging by predictions made in order: Dawid, 1984).
"""

import dataclasses
from collections.abc import Collection, Sequence

import numpy as np
from jaxtyping import Float, Int
from scipy.special import gammaln, logsumexp

from allometry.fit.rollout import cuts
from allometry.fit.solve.pose import Posed

# Before any miss is seen: laws bend, and by how much nobody knows. An unseen bend moves ln loss by about a twentieth of its slope
# for each factor e, give or take what Student's t with two degrees of freedom allows. In simulated studies with a hidden second
# power, 90 % intervals of differences held the truth in 99, 97, 96 and 92 % for 0.1, 0.05, 0.03 and 0.01.
BEND, FREEDOM = 0.05, 2
GROWTHS = np.geomspace(1e-3, 1e3, 61)  # of the growth, in units of what is expected of it


@dataclasses.dataclass(frozen=True, kw_only=True)
class Miss:
    """One prediction of larger runs from smaller ones. Several runs at one place are averaged."""

    cut: float  # largest value that was fitted
    at: float  # place that was predicted
    distance: float  # ln(at / cut)
    error: float  # ln predicted - ln measured
    variance: float  # of the error, by the law's own doubt
    spare: int  # degrees of freedom that the variance rests on
    residual: tuple[float, ...]  # ln loss, of the runs that were fitted


def earlier(
    posed: Posed, x: Float[np.ndarray, " points"], run: Int[np.ndarray, " points"]
) -> Float[np.ndarray, "cuts points"]:
    """Weights of the points up to each cut that leaves more runs than parameters."""
    rows = [(x <= cut) * 1.0 for cut in cuts(x)]
    kept = [row for row in rows if len(np.unique(run[row > 0])) > posed.free and len(np.unique(x[row > 0])) > 1]
    return np.array(kept).reshape(len(kept), len(x))


def misses(
    posed: Posed,
    values: Float[np.ndarray, "cuts values"],
    weights: Float[np.ndarray, "cuts points"],
    x: Float[np.ndarray, " points"],
    loss: Float[np.ndarray, " points"],
    run: Int[np.ndarray, " points"],
) -> list[Miss]:
    """What the fits to the points up to each cut (`values`, in the coordinates of the search) missed of the larger ones."""
    found: list[Miss] = []
    for fitted, weight in zip(values, weights, strict=True):
        small = weight > 0
        cut, places = float(x[small].max()), np.unique(x[~small])
        spare = len(np.unique(run[small])) - posed.free
        ln, variance, residual = _foretold(posed, fitted, x[small], loss[small], spare, places)
        scatter = float((residual**2).sum()) / max(1, len(residual) - posed.free)
        for i, place in enumerate(places):
            here = x == place
            found.append(
                Miss(
                    cut=cut,
                    at=float(place),
                    distance=float(np.log(place / cut)),
                    error=float(ln[i] - np.log(loss[here]).mean()),
                    variance=float(variance[i] + scatter / here.sum()),
                    spare=spare,
                    residual=tuple(float(r) for r in residual),
                )
            )
    return found


def _foretold(
    posed: Posed,
    values: Float[np.ndarray, " values"],
    x: Float[np.ndarray, " points"],
    loss: Float[np.ndarray, " points"],
    spare: int,
    places: Float[np.ndarray, " places"],
) -> tuple[Float[np.ndarray, " places"], Float[np.ndarray, " places"], Float[np.ndarray, " points"]]:
    """ln loss at the places, its variance by the doubt of the parameters (Gauss-Newton), and the residuals of ln loss."""
    step = 1e-5 * np.maximum(np.abs(values), 1e-3)
    moved = np.concatenate([values[None], values + np.diag(step), values - np.diag(step)])
    at = {name: value[:, None] for name, value in posed.named(moved).items()}
    with np.errstate(all="ignore"):
        predicted = np.asarray(posed.law.predict(at, {posed.law.variables[0]: np.concatenate([x, places])}), dtype=float)
        ln = np.log(np.maximum(predicted, 1e-300))
    slopes = (ln[1 : len(step) + 1] - ln[len(step) + 1 :]) / (2 * step[:, None])
    low, high = posed.model.bounds
    inside = (values - step > low) & (values + step < high)  # what stands at a bound counts as held there
    slopes, residual = slopes[inside], np.log(loss) - ln[0, : len(x)]
    size = np.sqrt((slopes[:, : len(x)] ** 2).sum(axis=1))
    slopes = slopes / np.where(size > 0, size, 1.0)[:, None]
    inverse = np.linalg.pinv(slopes[:, : len(x)] @ slopes[:, : len(x)].T, rcond=1e-12, hermitian=True)
    # Rows of one run are correlated, so that the degrees of freedom are those of runs.
    doubt = np.einsum("ip,ij,jp->p", slopes[:, len(x) :], inverse, slopes[:, len(x) :]) * (residual**2).sum() / spare
    return ln[0, len(x) :], np.maximum(doubt, 0.0), residual


def paired(one: Sequence[Miss], other: Sequence[Miss]) -> list[Miss]:
    """Errors of the difference of two groups with the same places: what both miss alike does not count.

    Two fits of one law to one design err alike where their residuals are alike, so the variance of the difference is to the sum
    of variances as the squares of the differences of residuals are to the sum of their squares.
    """
    mates = {(miss.cut, miss.at, len(miss.residual)): miss for miss in other}
    found = []
    for miss in one:
        mate = mates.get((miss.cut, miss.at, len(miss.residual)))
        if mate is None:
            continue
        residuals = np.array([miss.residual, mate.residual])
        both = (residuals**2).sum()
        share = float(((residuals[0] - residuals[1]) ** 2).sum() / both) if both else 1.0
        error, variance = miss.error - mate.error, share * (miss.variance + mate.variance)
        found.append(dataclasses.replace(miss, error=error, variance=variance))
    return found


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Growth:
    """How lack of fit grows: values (ln loss for each factor e) with their probabilities before and after the misses."""

    values: Float[np.ndarray, " growths"]
    prior: Float[np.ndarray, " growths"]
    probability: Float[np.ndarray, " growths"]
    near: dict[float, Float[np.ndarray, " growths"]]  # cut -> for each growth, ln density of what came up to the next cut

    @property
    def middle(self) -> float:
        return float(self.values[np.searchsorted(np.cumsum(self.probability), 0.5)])

    def evidence(self, cuts: Collection[float]) -> float:
        """ln density of what came after these cuts, one after another, over all growths as expected before any of them."""
        return float(logsumexp(sum(self.near[cut] for cut in sorted(cuts)) + np.zeros(len(self.prior)), b=self.prior))


def growth(history: Sequence[Miss], slope: float) -> Growth:
    """Bayes' rule on a grid. `slope` is that of ln loss in ln x; it says how large a growth is expected.

    The errors of one cut are those of one fit, so all rows of a cut count as one observation, with the mean of their ln
    densities. The evidence of a law is of the rows up to the next cut only: then every row is predicted once, and the product
    over cuts, under one growth, is the density of all that came.
    """
    values = GROWTHS * max(BEND * abs(slope), 1e-9)
    # The square of the growth has a scaled inverse chi-squared distribution; the grid is even in its logarithm.
    prior = -FREEDOM * np.log(GROWTHS) - FREEDOM / (2 * GROWTHS**2)
    prior = np.exp(prior - prior.max()) / np.exp(prior - prior.max()).sum()
    total, near = np.zeros(len(values)), {}
    order = sorted({miss.cut for miss in history})
    for cut, following in zip(order, [*order, np.inf][1:], strict=True):
        here = [miss for miss in history if miss.cut == cut]
        total += _density(here, values)
        near[cut] = _density([miss for miss in here if miss.at <= following] or here, values)
    after = prior * np.exp(total - total.max())
    return Growth(values=values, prior=prior, probability=after / after.sum(), near=near)


def _density(history: Sequence[Miss], values: Float[np.ndarray, " growths"]) -> Float[np.ndarray, " growths"]:
    """ln density (Student's) of the misses for each growth, their mean."""
    error, variance, distance, spare = (
        np.array([[getattr(miss, name)] for miss in history], dtype=float)
        for name in ("error", "variance", "distance", "spare")
    )
    scale = np.sqrt(variance + (values * distance) ** 2)
    tails = (spare + 1) / 2 * np.log1p((error / scale) ** 2 / spare)
    return (gammaln((spare + 1) / 2) - gammaln(spare / 2) - np.log(spare * np.pi) / 2 - np.log(scale) - tails).mean(axis=0)
