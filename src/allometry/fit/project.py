"""Variable projection: search the exponents of a law, solve its coefficients, for many data sets at once.

1. On a grid of exponents the coefficients come from non-negative least squares of the relative error. The law is linear
   there, so all grid points of all data sets are one matrix product.
2. From the best grid point: Gauss-Newton on the Huber loss of ln L, damped (Levenberg, Marquardt) and reweighted (Huber's
   weights majorise his loss). A step that makes it worse is not taken. Bounds hold by projection (Bertsekas 1982).

A data set is a row of `loss` with its row of `weights`; resamples and draws are further rows. There is no loop over them.
"""

import dataclasses
import itertools

import numpy as np
from jaxtyping import Bool, Float

TINY = 1e-300


@dataclasses.dataclass(frozen=True, eq=False)
class Problem:
    """The law on its points: term t at point p is `mask[t, p] * exp(-sum_e exponent[e] * logs[t, e, p])`."""

    logs: Float[np.ndarray, "terms exponents points"]  # centred by the caller, so that the columns are near 1
    mask: Float[np.ndarray, "terms points"]  # 0 where a term does not touch a point (another family's)
    low: Float[np.ndarray, " exponents"]
    high: Float[np.ndarray, " exponents"]
    delta: float  # ln loss

    def basis(self, exponents: Float[np.ndarray, "sets exponents"]) -> Float[np.ndarray, "sets points terms"]:
        return np.exp(-np.einsum("se,tep->spt", exponents, self.logs)) * self.mask.T


@dataclasses.dataclass(frozen=True, eq=False)
class Solution:
    """One row for each data set."""

    coefficients: Float[np.ndarray, "sets terms"]
    exponents: Float[np.ndarray, "sets exponents"]
    objective: Float[np.ndarray, " sets"]  # weighted sum of Huber(ln L - ln prediction)

    @property
    def converged(self) -> bool:
        return bool(np.isfinite(self.objective).all())


def solve(
    problem: Problem,
    loss: Float[np.ndarray, "sets points"],
    weights: Float[np.ndarray, "sets points"],
    grid: Float[np.ndarray, "starts exponents"],
    steps: int = 60,
) -> Solution:
    """Grid, then refinement, in chunks that keep the memory small."""
    chunk = max(1, int(4e6 / (len(grid) * len(problem.mask) ** 2)))
    parts = []
    for first in range(0, len(loss), chunk):
        part = slice(first, first + chunk)
        coefficients, exponents = grid_search(problem, loss[part], weights[part], grid)
        parts.append(refine(problem, loss[part], weights[part], coefficients, exponents, steps))
    return Solution(
        coefficients=np.concatenate([part.coefficients for part in parts]),
        exponents=np.concatenate([part.exponents for part in parts]),
        objective=np.concatenate([part.objective for part in parts]),
    )


def exponent_grid(exponents: int) -> Float[np.ndarray, "starts exponents"]:
    """Starting exponents, denser in few dimensions; with geometric steps, as the loss depends on ratios of exponents."""
    count = {1: 48, 2: 26}.get(exponents, 12)
    axis = np.geomspace(0.01, 4.0, count)
    return np.stack([level.ravel() for level in np.meshgrid(*[axis] * exponents, indexing="ij")], axis=1)


def grams(
    problem: Problem,
    loss: Float[np.ndarray, "sets points"],
    weights: Float[np.ndarray, "sets points"],
    grid: Float[np.ndarray, "starts exponents"],
) -> tuple[Float[np.ndarray, "sets starts terms terms"], Float[np.ndarray, "sets starts terms"]]:
    """Normal equations of the relative error: rows are basis / loss, the right side is 1."""
    basis = problem.basis(grid)
    starts, points, terms = basis.shape
    products = np.einsum("gpt,gpu->pgtu", basis, basis).reshape(points, -1)
    gram = (weights / loss**2) @ products
    right = (weights / loss) @ basis.transpose(1, 0, 2).reshape(points, -1)
    return gram.reshape(-1, starts, terms, terms), right.reshape(-1, starts, terms)


def grid_search(
    problem: Problem,
    loss: Float[np.ndarray, "sets points"],
    weights: Float[np.ndarray, "sets points"],
    grid: Float[np.ndarray, "starts exponents"],
) -> tuple[Float[np.ndarray, "sets terms"], Float[np.ndarray, "sets exponents"]]:
    """The best exponents of the grid, with their coefficients, by least squares of the relative error."""
    coefficients, gain = nonnegative(*grams(problem, loss, weights, grid))
    best = gain.argmax(axis=1)
    return coefficients[np.arange(len(loss)), best], grid[best]


def nonnegative(
    gram: Float[np.ndarray, "*many terms terms"], right: Float[np.ndarray, "*many terms"]
) -> tuple[Float[np.ndarray, "*many terms"], Float[np.ndarray, "*many"]]:
    """Non-negative least squares by trying every set of active terms; laws have few. Also returns the squares explained."""
    terms = right.shape[-1]
    best = np.zeros_like(right)
    best_gain = np.zeros(right.shape[:-1])
    for active in itertools.chain.from_iterable(itertools.combinations(range(terms), n) for n in range(1, terms + 1)):
        index = np.array(active)
        part = _eliminate(gram[..., index[:, None], index], right[..., index])
        gain = (part * right[..., index]).sum(-1)
        better = (part >= 0).all(-1) & (gain > best_gain)
        best_gain = np.where(better, gain, best_gain)
        full = np.zeros_like(right)
        full[..., index] = part
        best = np.where(better[..., None], full, best)
    return best, best_gain


def _eliminate(
    gram: Float[np.ndarray, "*many terms terms"], right: Float[np.ndarray, "*many terms"]
) -> Float[np.ndarray, "*many terms"]:
    """Solve many tiny positive systems by elimination; far quicker than one LAPACK call for each."""
    terms = right.shape[-1]
    gram, right = gram.copy(), right.copy()
    for i in range(terms):
        gram[..., i, i] = gram[..., i, i] * (1 + 1e-13) + TINY
        for j in range(i + 1, terms):
            factor = gram[..., j, i] / gram[..., i, i]
            gram[..., j, i:] -= factor[..., None] * gram[..., i, i:]
            right[..., j] -= factor * right[..., i]
    for i in reversed(range(terms)):
        right[..., i] = (right[..., i] - (gram[..., i, i + 1 :] * right[..., i + 1 :]).sum(-1)) / (gram[..., i, i] + TINY)
    return right


def huber(residual: Float[np.ndarray, "..."], delta: float) -> Float[np.ndarray, "..."]:
    """`r^2 / 2` up to delta, `delta (|r| - delta / 2)` beyond."""
    size = np.abs(residual)
    return np.where(size <= delta, size**2 / 2, delta * (size - delta / 2))


def objective(
    problem: Problem,
    loss: Float[np.ndarray, "sets points"],
    weights: Float[np.ndarray, "sets points"],
    coefficients: Float[np.ndarray, "sets terms"],
    exponents: Float[np.ndarray, "sets exponents"],
) -> Float[np.ndarray, " sets"]:
    """The weighted sum over points of Huber(ln L - ln prediction)."""
    predicted = np.einsum("spt,st->sp", problem.basis(exponents), coefficients)
    return (weights * huber(np.log(loss) - np.log(predicted + TINY), problem.delta)).sum(1)


def refine(
    problem: Problem,
    loss: Float[np.ndarray, "sets points"],
    weights: Float[np.ndarray, "sets points"],
    coefficients: Float[np.ndarray, "sets terms"],
    exponents: Float[np.ndarray, "sets exponents"],
    steps: int = 60,
) -> Solution:
    """Go down from a start until nothing moves. Only the data sets that still move are worked on."""
    low = np.concatenate([np.zeros(coefficients.shape[1]), problem.low])
    high = np.concatenate([np.full(coefficients.shape[1], np.inf), problem.high])
    values = np.clip(np.concatenate([coefficients, exponents], axis=1), low, high)
    terms = coefficients.shape[1]
    score = objective(problem, loss, weights, values[:, :terms], values[:, terms:])
    damping = np.full(len(loss), 1e-4)
    moving = np.arange(len(loss))
    for _ in range(steps):
        now, data, weight = values[moving], loss[moving], weights[moving]
        step = _step(problem, data, weight, now, damping[moving], low, high)
        trial = np.clip(now + step, low, high)
        trial_score = objective(problem, data, weight, trial[:, :terms], trial[:, terms:])
        better = trial_score < score[moving]
        # A small gain settles nothing while a strong damping keeps the steps small.
        small = score[moving] - trial_score <= 1e-9 * score[moving] + 1e-14
        settled = small & np.where(better, damping[moving] < 1, damping[moving] > 1e5)
        values[moving[better]] = trial[better]
        score[moving[better]] = trial_score[better]
        damping[moving] = np.clip(np.where(better, damping[moving] / 5, damping[moving] * 8), 1e-9, 1e6)
        moving = moving[~settled]
        if not len(moving):
            break
    return Solution(coefficients=values[:, :terms], exponents=values[:, terms:], objective=score)


def _step(
    problem: Problem,
    loss: Float[np.ndarray, "sets points"],
    weights: Float[np.ndarray, "sets points"],
    values: Float[np.ndarray, "sets parameters"],
    damping: Float[np.ndarray, " sets"],
    low: Float[np.ndarray, " parameters"],
    high: Float[np.ndarray, " parameters"],
) -> Float[np.ndarray, "sets parameters"]:
    """One damped Gauss-Newton step; parameters that press against a bound stand still."""
    terms = len(problem.mask)
    basis = problem.basis(values[:, terms:])
    parts = basis * values[:, None, :terms]
    predicted = parts.sum(2) + TINY
    residual = np.log(loss) - np.log(predicted)
    weight = weights * np.minimum(1.0, problem.delta / np.maximum(np.abs(residual), TINY))
    slopes = np.concatenate([basis, -np.einsum("spt,tep->spe", parts, problem.logs)], axis=2) / predicted[:, :, None]
    weighted = slopes * weight[:, :, None]
    uphill = np.einsum("spi,sp->si", weighted, residual)
    free: Bool[np.ndarray, "sets parameters"] = ~(((values <= low) & (uphill < 0)) | ((values >= high) & (uphill > 0)))
    gram = np.matmul(weighted.transpose(0, 2, 1), slopes) * (free[:, :, None] & free[:, None, :])
    size = np.einsum("sii->si", gram)
    diagonal = size * damping[:, None] + np.where(free, 1e-14 * size.max(1, keepdims=True) + TINY, 1.0)
    gram[:, np.arange(len(low)), np.arange(len(low))] += diagonal
    return np.linalg.solve(gram, (uphill * free)[:, :, None])[:, :, 0]
