"""Variable projection: search the exponents of a law, solve its coefficients, for many data sets at once.

1. On a grid of exponents the coefficients come from non-negative least squares of the relative error. The law is linear
   there, so all grid points of all data sets are one matrix product.
2. From the best grid points the search goes down the criterion itself (`descend.py`).

A data set is a row of `loss` with its row of `weights`; resamples and draws are further rows. There is no loop over them.
"""

import dataclasses
import functools
from typing import no_type_check

import numpy as np
from jaxtyping import Float

from allometry.fit.criterion import LN, Criterion, huber
from allometry.fit.solve.descend import objective, refine
from allometry.fit.solve.model import Model, Solution
from allometry.fit.solve.nonnegative import nonnegative

__all__ = [
    "Model",
    "Problem",
    "Solution",
    "exponent_grid",
    "grid_search",
    "huber",
    "nonnegative",
    "objective",
    "refine",
    "solve",
]


@dataclasses.dataclass(frozen=True, eq=False)
class Problem(Model):
    """An additive law on its points: term t at point p is `mask[t, p] * exp(-sum_e exponent[e] * logs[t, e, p])`."""

    logs: Float[np.ndarray, "terms exponents points"]  # centred by the caller, so that the columns are near 1
    mask: Float[np.ndarray, "terms points"]  # 0 where a term does not touch a point (another family's)
    low: Float[np.ndarray, " exponents"]
    high: Float[np.ndarray, " exponents"]
    delta: float | None  # see Criterion
    of: str = LN
    over: float = 1.0

    @functools.cached_property
    def criterion(self) -> Criterion:
        return Criterion(delta=self.delta, of=self.of, over=self.over)

    @functools.cached_property
    def terms(self) -> int:
        return len(self.mask)

    @functools.cached_property
    def bounds(self) -> tuple[Float[np.ndarray, " values"], Float[np.ndarray, " values"]]:
        return np.concatenate([np.zeros(self.terms), self.low]), np.concatenate([np.full(self.terms, np.inf), self.high])

    @functools.cached_property
    def squares(self) -> Float[np.ndarray, "points_terms exponents_exponents"]:
        """Products of the logarithms of each term at each point."""
        pairs = np.einsum("tep,tfp->ptef", self.logs, self.logs)
        return pairs.reshape(len(self.mask) * self.mask.shape[1], -1)

    @no_type_check
    def basis(self, exponents: Float[np.ndarray, "sets exponents"]) -> Float[np.ndarray, "sets points terms"]:
        return np.exp(-np.einsum("se,tep->spt", exponents, self.logs)) * self.mask.T

    @no_type_check
    def predicted(self, values: Float[np.ndarray, "sets values"]) -> Float[np.ndarray, "sets points"]:
        return np.einsum("spt,st->sp", self.basis(values[:, self.terms :]), values[:, : self.terms])

    @no_type_check
    def base(self, exponents: Float[np.ndarray, "sets exponents"]) -> Float[np.ndarray, "sets points"]:
        return np.zeros((len(exponents), self.mask.shape[1]))

    @no_type_check
    def slopes(
        self, values: Float[np.ndarray, "sets values"]
    ) -> tuple[Float[np.ndarray, "sets points"], Float[np.ndarray, "sets points values"]]:
        basis = self.basis(values[:, self.terms :])
        parts = basis * values[:, None, : self.terms]
        return parts.sum(2), np.concatenate([basis, -np.einsum("spt,tep->spe", parts, self.logs)], axis=2)

    @no_type_check
    def bends(
        self, values: Float[np.ndarray, "sets values"], weights: Float[np.ndarray, "sets points"]
    ) -> Float[np.ndarray, "sets values values"]:
        basis = self.basis(values[:, self.terms :]) * weights[:, :, None]
        cross = -np.einsum("spt,tep->ste", basis, self.logs)
        parts = basis * values[:, None, : self.terms]
        count = self.logs.shape[1]
        square = (parts.reshape(len(values), -1) @ self.squares).reshape(-1, count, count)
        zero = np.zeros((len(values), self.terms, self.terms))
        return np.block([[zero, cross], [cross.transpose(0, 2, 1), square]])


def solve(
    problem: Model,
    loss: Float[np.ndarray, "sets points"],
    weights: Float[np.ndarray, "sets points"],
    grid: Float[np.ndarray, "starts others"],
    steps: int = 60,
) -> Solution:
    """Grid, then refinement, in chunks that keep the memory small."""
    chunk = max(1, int(4e6 / (len(grid) * problem.terms**2)))
    parts = []
    for first in range(0, len(loss), chunk):
        part = slice(first, first + chunk)
        coefficients, others = grid_search(problem, loss[part], weights[part], grid)
        parts.append(refine(problem, loss[part], weights[part], coefficients, others, steps))
    return Solution(
        coefficients=np.concatenate([part.coefficients for part in parts]),
        exponents=np.concatenate([part.exponents for part in parts]),
        objective=np.concatenate([part.objective for part in parts]),
    )


def exponent_grid(exponents: int) -> Float[np.ndarray, "starts exponents"]:
    """Starting exponents, denser in few dimensions; with geometric steps, as the loss depends on ratios of exponents."""
    count = {1: 48, 2: 26, 3: 12}.get(exponents, 7)
    axis = np.geomspace(0.01, 4.0, count)
    return np.stack([level.ravel() for level in np.meshgrid(*[axis] * exponents, indexing="ij")], axis=1)


def grams(
    problem: Model,
    loss: Float[np.ndarray, "sets points"],
    weights: Float[np.ndarray, "sets points"],
    grid: Float[np.ndarray, "starts others"],
) -> tuple[Float[np.ndarray, "sets starts terms terms"], Float[np.ndarray, "sets starts terms"]]:
    """Normal equations of the relative error: rows are basis / loss, the right side is 1 - base / loss.

    Where the criterion is of the loss itself, they are those of the absolute error.
    """
    sets, (points, terms) = len(loss), (loss.shape[1], problem.terms)
    gram, right = np.empty((sets, len(grid), terms, terms)), np.empty((sets, len(grid), terms))
    chunk = max(1, int(4e6 / (points * terms**2)))
    scale = loss if problem.criterion.of == LN else np.ones_like(loss)
    inverse, square = weights * loss / scale**2, weights / scale**2
    for first in range(0, len(grid), chunk):
        part = slice(first, first + chunk)
        basis = problem.basis(grid[part])
        starts = len(basis)
        products = np.einsum("gpt,gpu->pgtu", basis, basis).reshape(points, -1)
        gram[:, part] = (square @ products).reshape(sets, starts, terms, terms)
        right[:, part] = (inverse @ basis.transpose(1, 0, 2).reshape(points, -1)).reshape(sets, starts, terms)
        base = problem.base(grid[part])
        if base.any():
            right[:, part] -= np.einsum("sp,gp,gpt->sgt", square, base, basis, optimize=True)
    return gram, right


def grid_search(
    problem: Model,
    loss: Float[np.ndarray, "sets points"],
    weights: Float[np.ndarray, "sets points"],
    grid: Float[np.ndarray, "starts others"],
) -> tuple[Float[np.ndarray, "sets terms"], Float[np.ndarray, "sets others"]]:
    """The best exponents of the grid, with their coefficients, by least squares of the relative error."""
    coefficients, gain = nonnegative(*grams(problem, loss, weights, grid))
    best = gain.argmax(axis=1)
    return coefficients[np.arange(len(loss)), best], grid[best]
