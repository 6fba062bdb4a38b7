"""Two views of one learning curve, each a posterior over laws: what it predicts, and how sure it is.

The curve is ln L = law(x) + wander(x) + noise, seen from the last row, backwards and forwards.

wander  The slope in log-log strays from the law's slope as a random walk in ln x, nothing at the last row: the law is what the
        curve follows *now*, and rows count less the longer ago they are. Its rate may grow with distance into the past, which
        is how an early transient is left behind. (An integrated random walk, the process behind smoothing splines: Wahba 1978;
        Kennedy & O'Hagan 2001 for a law with a discrepancy.)
noise   White, plus a part that is correlated over a short stretch of ln x, as in successive checkpoints of one run.

How much wander, how fast it grows and how the noise is correlated are averaged over a grid by the marginal likelihood of this
curve's rows, together with the law. There is nothing else to choose a window with.

`recent` is the second view: no wander and white noise, rows weighted so that the residual counts in proportion to x.
"""

import dataclasses

import numpy as np
from jaxtyping import Float

from allometry.fit.curves.laws import UNSHIFTED, WIDEST, Box, Laws, Nodes, closer, laws, share_kept, union

STRAY = 0.3  # scale of the prior of the wander: change of slope over a factor e in x, as a share of the slope
STEADY = 0.1  # prior weight of no wander, against one node of the wander's grid
FINE = 0.2  # zoom in until this share of the grid carries weight
ZOOMS = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class View:
    """Which disturbances a view allows."""

    box: Box
    nodes: Nodes
    ratios: tuple[float, ...]  # variance of the wander's rate over that of the noise
    growths: tuple[float, ...]  # the wander's rate grows as (last / x)^growth
    correlated: tuple[tuple[float, float], ...]  # variance over that of the white noise, length in ln x
    weight: float = 0.0  # noise variance falls as x^-weight


WANDERING = View(
    box=WIDEST,
    nodes=(10, 8, 5),
    ratios=(0.0, *(10.0**power for power in range(-4, 9))),
    growths=(0.0, 1.0, 2.0),
    correlated=((0.0, 1.0), (3.0, 0.1), (3.0, 0.3)),
)
RECENT = View(box=UNSHIFTED, nodes=(32, 24, 1), ratios=(0.0,), growths=(0.0,), correlated=((0.0, 1.0),), weight=2.0)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Posterior:
    """A weighted grid of disturbances x laws."""

    laws: Laws
    weight: Float[np.ndarray, "disturbances laws"]  # sums to 1
    level: Float[np.ndarray, "disturbances laws"]  # ln loss at the last row, by the law
    variance: Float[np.ndarray, "disturbances laws"]  # of the white noise of one row
    doubt: Float[np.ndarray, " disturbances"]  # variance of the level, over that of the noise
    ratio: Float[np.ndarray, " disturbances"]
    growth: Float[np.ndarray, " disturbances"]
    correlated: Float[np.ndarray, " disturbances"]

    def predict(
        self, ahead: Float[np.ndarray, " points"]
    ) -> tuple[Float[np.ndarray, " points"], Float[np.ndarray, " points"]]:
        """Mean and variance of ln loss of a single row at ln (x / last) = ahead."""
        shape = self.laws.shape(ahead)
        level = (self.weight * self.level).sum(0)
        mean = level.sum() + shape @ self.weight.sum(0)
        square = (self.weight * self.level**2).sum() + 2 * shape @ level + shape**2 @ self.weight.sum(0)
        noise = (self.weight * self.variance).sum(1)
        rows = (noise * (1 + self.correlated + self.doubt)).sum()
        return mean, np.maximum(square - mean**2, 0) + rows + (noise * self.ratio).sum() * np.abs(ahead) ** 3 / 3


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class _Whitened:
    """The disturbances, diagonal: rotate the rows once, then every ratio of wander to noise is a set of weights."""

    rotation: Float[np.ndarray, "kinds points points"]
    weight: Float[np.ndarray, "kinds ratios points"]
    one: Float[np.ndarray, "kinds points"]  # the rotated level
    doubt: Float[np.ndarray, "kinds ratios"]
    score: Float[np.ndarray, "kinds ratios"]  # log determinants


def posterior(
    view: View,
    ago: Float[np.ndarray, " points"],
    loss: Float[np.ndarray, " points"],
    count: Float[np.ndarray, " points"],
) -> Posterior:
    """Weigh the laws of a view by rows at `ago` = ln (last / x) with ln loss `loss`, each the mean of `count` rows."""
    white = _whiten(view, ago, count)
    found = _grid(view, white, ago, loss)
    weight, level, variance = _weigh(white, np.array(view.ratios), found, ago, loss)
    weight = np.exp(weight - weight.max())
    kinds = [(growth, part) for growth in view.growths for part, _ in view.correlated]
    return Posterior(
        laws=found,
        weight=weight / weight.sum(),
        level=level,
        variance=variance,
        doubt=white.doubt.ravel(),
        ratio=np.tile(view.ratios, len(kinds)),
        growth=np.repeat([growth for growth, _ in kinds], len(view.ratios)),
        correlated=np.repeat([part for _, part in kinds], len(view.ratios)),
    )


def _whiten(view: View, ago: Float[np.ndarray, " points"], count: Float[np.ndarray, " points"]) -> _Whitened:
    apart = np.abs(np.subtract.outer(ago, ago))
    larger = np.exp(view.weight * ago / 2)
    noises = np.stack([np.diag(1 / count) + part * np.exp(-apart / length) for part, length in view.correlated])
    half = np.linalg.cholesky(noises * larger * larger[:, None])
    whiten = np.linalg.inv(half)
    wander = np.stack([_wander(ago, growth) for growth in view.growths])
    values, vectors = np.linalg.eigh(whiten @ wander[:, None] @ whiten.transpose(0, 2, 1))
    rotation = (vectors.transpose(0, 1, 3, 2) @ whiten).reshape(-1, len(ago), len(ago))
    values = np.maximum(values, 0).reshape(-1, len(ago))
    weight = 1 / (1 + np.array(view.ratios)[None, :, None] * values[:, None])
    one = rotation.sum(2)
    known = np.einsum("krp,kp->kr", weight, one**2)
    determinant = np.log(np.einsum("kpp->kp", half)).sum(1)
    score = np.log(weight).sum(2) / 2 - np.tile(determinant, len(view.growths))[:, None] - np.log(known) / 2
    return _Whitened(rotation=rotation, weight=weight, one=one, doubt=1 / known, score=score)


def _wander(ago: Float[np.ndarray, " points"], growth: float) -> Float[np.ndarray, "points points"]:
    """Covariance of the wander: integral of e^(growth v) (a - v) (b - v) over v from 0 to min(a, b)."""
    near = np.minimum.outer(ago, ago)
    apart = np.abs(np.subtract.outer(ago, ago))
    if growth == 0:
        return near**2 * (2 * near + 3 * apart) / 6
    scaled = growth * near
    rest = np.expm1(scaled) - scaled
    return 2 / growth**3 * (rest - scaled**2 / 2) + apart * rest / growth**2


def _grid(view: View, white: _Whitened, ago: Float[np.ndarray, " points"], loss: Float[np.ndarray, " points"]) -> Laws:
    """Laws where they matter: the whole box, near the best laws alone, and near the best laws with wander.

    A law without wander that fits well may need a hundredth of the box's width to be seen, and a coarse grid would take its own
    coarseness for wander. So the first close-up goes after the laws alone.
    """
    whole = laws(view.box, view.nodes)
    grids = [whole]
    alone = dataclasses.replace(white, weight=white.weight[:, :1], doubt=white.doubt[:, :1], score=white.score[:, :1])
    sides = [(alone, np.zeros(1))]
    if len(view.ratios) > 1:
        sides.append((white, np.array(view.ratios)))
    for part, ratios in sides:
        near = whole
        support = _weigh(part, ratios, near, ago, loss)[0].max(0)
        for _ in range(ZOOMS if len(ratios) == 1 else 2):
            before, best = near.mass[0], support.max() - near.mass[0]
            near = laws(closer(near, support, view.box), view.nodes)
            support = _weigh(part, ratios, near, ago, loss)[0].max(0)
            # While a closer look finds better laws, the grid has not seen the best ones.
            found_better = support.max() - near.mass[0] > best + 1
            as_close_as_it_gets = share_kept(support) > FINE or near.mass[0] > before - 0.3
            if as_close_as_it_gets and not found_better:
                break
        grids.append(near)
    return union(grids)


def _weigh(
    white: _Whitened,
    ratios: Float[np.ndarray, " ratios"],
    found: Laws,
    ago: Float[np.ndarray, " points"],
    loss: Float[np.ndarray, " points"],
) -> tuple[
    Float[np.ndarray, "disturbances laws"], Float[np.ndarray, "disturbances laws"], Float[np.ndarray, "disturbances laws"]
]:
    """Log posterior, level and noise variance; level and variance are integrated out with their reference prior."""
    rows = white.rotation @ (loss[:, None] - found.shape(-ago))
    cross = white.weight @ (white.one[:, :, None] * rows)
    level = cross * white.doubt[:, :, None]
    # Rounding of float64 through the rotations leaves about 1e-14 of the squares; below it nothing is known.
    squares = white.weight @ rows**2 - level * cross + 1e-13 * len(loss)
    degrees = len(loss) - 1
    variance = squares / degrees
    score = white.score[:, :, None] - degrees / 2 * np.log(squares)
    ratios = ratios[None, :, None]
    stray = np.sqrt(ratios * variance) / (STRAY * found.slope)
    # Half a Cauchy distribution on the scale of the wander, on a grid that is even in its logarithm.
    prior = found.mass + np.where(ratios > 0, np.log(stray + 1e-9) - np.log1p(stray**2), np.log(STEADY))
    laws_count = len(found.exponent)
    return (
        (score + prior).reshape(-1, laws_count),
        level.reshape(-1, laws_count),
        variance.reshape(-1, laws_count),
    )
