"""Polynomial threshold functions, by duality (L10).

f has threshold degree above d if and only if f times parity is weakly represented by a nonzero polynomial q of degree at most n
- d - 1: q (f parity) >= 0 everywhere. For d = n - 1 the q are constants, so only the two parities are left out. For d = n - 2
they are affine functions, and it is enough to take those whose zeros span a hyperplane: labels off it are the sign, on it they
are free.
"""

import functools
import itertools

import numpy as np
from jaxtyping import Bool, Int, UInt

from allometry.capacity.bounds import everything
from allometry.capacity.threshold_functions import threshold_functions
from allometry.capacity.truth import kind, pack, points


def known(inputs: int, degree: int) -> bool:
    """Whether all of these functions can be listed here."""
    return inputs <= 4 or (degree == 1 and inputs <= 6)


@functools.cache
def polynomial_threshold_functions(inputs: int, degree: int) -> UInt[np.ndarray, " functions"]:
    """All of them in increasing order, for n <= 4, or degree 1."""
    if degree == 1:
        return threshold_functions(inputs)
    every = np.arange(everything(inputs)).astype(kind(inputs))
    if degree >= inputs:
        return every
    # to n = 4 the only degrees that are left are n - 1 and n - 2
    weak = np.array([everything(inputs) - 1]).astype(kind(inputs)) if degree == inputs - 1 else weakly_linear(inputs)
    return np.setdiff1d(every, np.concatenate([weak ^ parity(inputs), ~weak ^ parity(inputs)]))


def polynomial_threshold_functions_count(inputs: int, degree: int) -> int:
    """T(n, d) where d is 1, or at least n - 2 for n <= 5."""
    if degree >= inputs:
        return everything(inputs)
    if degree == inputs - 1 > 0:
        return everything(inputs) - 2
    if degree == inputs - 2 > 1:
        return everything(inputs) - len(weakly_linear(inputs))
    return len(polynomial_threshold_functions(inputs, degree))


@functools.cache
def weakly_linear(inputs: int) -> UInt[np.ndarray, " functions"]:
    """W1: functions that some affine q, not 0 everywhere, represents weakly: 14, 152, 7962 at n = 2, 3, 4."""
    planes = spanned(inputs)
    found = []
    for zero, positive in planes:
        places = np.flatnonzero(zero)
        labels = np.arange(1 << len(places))[:, None] >> np.arange(len(places)) & 1
        values = np.broadcast_to(positive, (len(labels), len(positive))).copy()
        values[:, places] = labels
        found.append(np.unique(pack(values)))
    tables = np.unique(np.concatenate(found))
    return np.unique(np.concatenate([tables, ~tables & kind(inputs).type(everything(inputs) - 1)]))


def spanned(inputs: int) -> list[tuple[Bool[np.ndarray, " points"], Bool[np.ndarray, " points"]]]:
    """Hyperplanes spanned by points of the cube, as (points on it, points on one side): 6, 20, 140, 3254 for n = 2, ..., 5."""
    grid = np.concatenate([points(inputs), np.ones((1 << inputs, 1), dtype=int)], axis=1)
    chosen = np.array(list(itertools.combinations(range(1 << inputs), inputs)))
    normals = np.stack([_cofactor(grid[chosen], i) for i in range(inputs + 1)], axis=1)
    values = np.rint(normals[(normals != 0).any(axis=1)] @ grid.T).astype(int)
    signs = np.sign(values)
    first = signs[np.arange(len(signs)), (signs != 0).argmax(axis=1)]
    return [(row == 0, row > 0) for row in np.unique(signs * first[:, None], axis=0)]


def parity(inputs: int) -> np.unsignedinteger:
    """The table of the product of all inputs in {-1, +1}."""
    return pack(points(inputs).prod(axis=1)[None] > 0)[0]


def _cofactor(rows: Int[np.ndarray, "sets n n+1"], column: int) -> Int[np.ndarray, " sets"]:
    """The component of the normal: a determinant of entries ±1, so whole and exact after rounding."""
    rest = [i for i in range(rows.shape[2]) if i != column]
    return np.rint(np.linalg.det(rows[:, :, rest])).astype(int) * (-1) ** column
