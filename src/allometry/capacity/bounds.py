"""Bounds that hold at every n, and what they say for large n. L0, L1, ... are the lemmas of docs/capacity.md.

All are counts of functions (whole numbers of any size). T(n) is the number of linear threshold functions: the published number to
n = 9, beyond it the bounds of L0 and L1.
"""

import math
from fractions import Fraction

from allometry.capacity.threshold_functions import PUBLISHED


def schlaefli(features: int, points: int) -> int:
    """L0: at most so many functions sgn(θ·φ(x)) with D features on N points: cells of N hyperplanes through 0 in R^D.

    >>> schlaefli(3, 4)
    14
    """
    cells, chosen = 0, 1  # chosen is C(N - 1, k)
    for k in range(min(features, points)):
        cells += chosen
        chosen = chosen * (points - 1 - k) // (k + 1)
    return 2 * cells


def warren(polynomials: int, degree: int, parameters: int) -> int:
    """At most so many patterns of signs without 0 of m polynomials of p parameters: (4 e d m / p)^p, m >= p (Warren 1968).

    >>> warren(4, 1, 3) >= schlaefli(3, 4)
    True
    """
    if polynomials < parameters:
        return 1 << polynomials
    e = Fraction(2_718_281_829, 10**9)  # rounded up
    return math.ceil((4 * e * degree * polynomials / parameters) ** parameters)


def features(inputs: int, degree: int) -> int:
    """Monomials of at most this degree."""
    return sum(math.comb(inputs, k) for k in range(min(degree, inputs) + 1))


def everything(inputs: int, values: int = 2) -> int:
    """All functions with so many values."""
    return values ** (1 << inputs)


def threshold_at_least(inputs: int) -> int:
    """L1: T(n) >= 2 (2^0 + 1) (2^1 + 1) ... (2^(n-1) + 1)."""
    return 2 * math.prod((1 << k) + 1 for k in range(inputs))


def threshold_at_most(inputs: int, degree: int = 1) -> int:
    """L0 for (polynomial) threshold functions."""
    return min(everything(inputs), schlaefli(features(inputs, degree), 1 << inputs))


def fewest(inputs: int, degree: int = 1) -> int:
    """A lower bound of T(n, d): T(n, 1), or all functions where d is n, or all but the two parities where it is n - 1 (L10)."""
    if degree >= inputs or degree >= inputs - 1 > 0:
        return everything(inputs) - 2 * (degree < inputs)
    return PUBLISHED[inputs] if 0 <= inputs < len(PUBLISHED) else threshold_at_least(max(inputs, 0))


def most(inputs: int, degree: int = 1) -> int:
    """An upper bound of T(n, d)."""
    if degree == 1 and 0 <= inputs < len(PUBLISHED):
        return PUBLISHED[inputs]
    if degree == inputs - 1 > 0:
        return everything(inputs) - 2
    return threshold_at_most(inputs, degree)


def selectors(functions: int) -> int:
    """L2: inputs that choose one of so many functions."""
    return (functions - 1).bit_length()


def by_selection(inputs: int, factors: int, degree: int = 1) -> int:
    """L3, lower: k functions of the n - ceil(log2 k) inputs that are no selectors, each seen at its own code."""
    rest = inputs - selectors(factors)
    return fewest(rest, degree) ** factors if rest >= 0 else 1


def products_01(factors: int, functions: int) -> int:
    """L3, upper: k factors in {0, 1} in any order, T of them: multisets. T (T + 1) / 2 for two."""
    return math.comb(functions + factors - 1, factors)


def products_pm(factors: int, functions: int) -> int:
    """L3, upper: k factors in {-1, +1}. Up to the sign they are of T/2 pairs {f, -f}, and equal ones cancel.

    >>> products_pm(2, 104)
    2654
    """
    return 2 * sum(math.comb(functions // 2, left) for left in range(factors % 2, factors + 1, 2))


def error_in_bits(count: float, standard_error: float) -> float:
    """The standard error of log2 of a count, to first order."""
    return standard_error / (count * math.log(2))


def log2(count: int) -> float:
    """Bits; exact for whole numbers of any size.

    >>> log2(2**2000)
    2000.0
    """
    shift = max(0, count.bit_length() - 60)
    return shift + math.log2(count >> shift) if count > 0 else -math.inf
