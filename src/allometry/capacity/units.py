"""Real neurons: units that take weighted sums and threshold them. What a circuit is by definition, without any algebra of sets.

A weight vector of a unit of n inputs is (w_0, ..., w_(n-1), b). Outputs are in {0, 1} (low = 0) or {-1, +1} (low = -1). Counts do
not depend on what a unit does at a sum of exactly 0, as a small change of the bias avoids it; here it gives the low value.
"""

from itertools import combinations, product

import numpy as np
from jaxtyping import Float, Int, Real, Shaped

from allometry.capacity.truth import points

Values = Shaped[np.ndarray, "..."]


def step(sums: Real[np.ndarray, "*batch"], low: int) -> Int[np.ndarray, "*batch"]:
    """1 above 0, `low` elsewhere."""
    return np.where(sums > 0, 1, low)


def with_one(grid: Real[np.ndarray, "points inputs"]) -> Real[np.ndarray, "points inputs+1"]:
    """Inputs and the constant input of the bias."""
    return np.concatenate([grid, np.ones((len(grid), 1), dtype=grid.dtype)], axis=1)


def monomials(inputs: int, degree: int, low: int = -1) -> Int[np.ndarray, "points monomials"]:
    """Products of up to `degree` different inputs; the constant 1 comes last, where a bias stands."""
    grid = points(inputs, low)
    chosen = [c for d in range(1, degree + 1) for c in combinations(range(inputs), d)]
    return np.stack([grid[:, list(c)].prod(axis=1) for c in (*chosen, ())], axis=1)


def attending(
    weights: Real[np.ndarray, "*batch weights"], inputs: int, low: int, degree: int = 1, input_low: int = -1
) -> Int[np.ndarray, "*batch points"]:
    """Outputs of threshold units, or polynomial ones, at all points."""
    return step(weights @ monomials(inputs, degree, input_low).T, low)


def whole_weights(inputs: int, largest: int) -> Float[np.ndarray, "units weights"]:
    """All weights -m, ..., m with all biases t + 1/2 that matter for them."""
    reach = range(-largest, largest + 1)
    biases = np.arange(-largest * inputs - 1, largest * inputs + 1) + 0.5
    grid = np.array(list(product(reach, repeat=inputs)), dtype=float)
    return np.concatenate([np.repeat(grid, len(biases), axis=0), np.tile(biases, len(grid))[:, None]], axis=1)


def distinct(signals: Int[np.ndarray, "units points"]) -> Int[np.ndarray, "signals points"]:
    """Signals that differ."""
    return np.unique(signals, axis=0)
