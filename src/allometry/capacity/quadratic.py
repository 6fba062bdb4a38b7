"""T(n, 2), the number of quadratic threshold functions, class by class: what duality leaves open at n = 5.

With one more input x_0 a quadratic polynomial is a form, q(x_0, x) = a x_0^2 + Σ a_i x_0 x_i + Σ a_ij x_i x_j, and its sign an even
function of n + 1 inputs. So whether a function is a quadratic one does not change under all permutations and negations of the n + 1
inputs and the complement: 46,080 elements at n = 5, which leave 111,598 classes of the 2^32 functions. To exchange x_0 and x_i is
to negate all other inputs where x_i = -1.

The classes are found through the subgroup that keeps the pair {x_0, x_n}. Under it a function is given by its half at x_n = 1, that
is taken to be a representative under B_(n-1) and the complement, and its other half, which then is the least of its images under
what keeps that representative, and under the negation of all its inputs. Of each class one function is asked: are there
multipliers y >= 0, Σ y = 1, with Σ_x y(x) f(x) φ(x) = 0, φ all monomials to degree two? By Farkas there are none if and only if f
is sgn of a quadratic polynomial; the residual of non-negative least squares then is that polynomial. Its signs are checked, and so
is the sum, in whole numbers.
"""

from fractions import Fraction
from math import lcm
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt

from allometry.capacity.circuits._circuit import Listen, silent
from allometry.capacity.symmetry import BLOCK, classes
from allometry.capacity.truth import (
    choose,
    complement,
    exchange,
    high_half,
    is_in,
    join,
    kind,
    low_half,
    negate,
    ones,
    opposite,
    unpack,
    variable,
)
from allometry.capacity.units import monomials

NOTHING = 1e-9  # a residual: at n = 5 those of quadratic functions are above 1e-2, those of others below 1e-14


class Classes(NamedTuple):
    """All functions of n inputs under B_(n+1), of which the first input is x_0, and the complement."""

    places: Int[np.ndarray, " classes"]  # of one function of each class, as `_Pairs` has them, in increasing order
    representatives: UInt[np.ndarray, " classes"]
    sizes: Int[np.ndarray, " classes"]


class QuadraticFunctions:
    """The set for n = 2 to 5 inputs. Half a minute at n = 5, with a proof or a polynomial for each class."""

    def __init__(self, inputs: int, listen: Listen = silent) -> None:
        self.inputs, self._pairs = inputs, _Pairs(inputs)
        kinds, phi = form_classes(inputs), monomials(inputs, 2).astype(float)
        signs = np.where(unpack(kinds.representatives, inputs), 1.0, -1.0)
        inside = np.zeros(len(signs), dtype=bool)
        for place, row in enumerate(signs):
            inside[place] = is_sign(row, phi)
            if place % 1000 == 0:
                listen(place, len(signs))
        self._inside, self._count = kinds.places[inside].astype(np.uint64), int(kinds.sizes[inside].sum())

    def count(self) -> int:
        """T(n, 2)."""
        return self._count

    def contains(self, tables: UInt[np.ndarray, " functions"]) -> Bool[np.ndarray, " functions"]:
        return is_in(_least(self._pairs, tables).astype(np.uint64), self._inside)


def is_sign(signs: Float[np.ndarray, " points"], phi: Float[np.ndarray, "points monomials"]) -> bool:
    """Whether a θ has signs(x) θ·φ(x) > 0 at all points. Where least squares ends too early a linear program is asked."""
    from scipy.optimize import linprog, nnls

    signed = phi * signs[:, None]
    rows, goal = np.vstack([signed.T, np.ones(len(signs))]), np.eye(phi.shape[1] + 1)[-1]
    multipliers, _ = nnls(rows, goal)
    # not the residual that it says: it may say 0 where it ended early
    if np.abs(rows @ multipliers - goal).max() < NOTHING and _proves(multipliers, signed):
        return False
    if (signed @ (signed.T @ multipliers) > NOTHING).all():  # at the least residual all values are at least 1 - Σ y
        return True
    done = linprog(np.zeros(len(signs)), A_eq=rows, b_eq=goal, method="highs-ds")
    if done.status == 0 and _proves(done.x, signed):
        return False
    done = linprog(np.zeros(phi.shape[1]), A_ub=-signed, b_ub=-np.ones(len(signs)), bounds=(None, None), method="highs")
    if done.status != 0 or not (signed @ done.x > NOTHING).all():
        raise ArithmeticError(f"Whether a function is a quadratic one is not known: {done.message}")
    return True


def _proves(multipliers: Float[np.ndarray, " points"], signed: Float[np.ndarray, "points monomials"]) -> bool:
    """Whether Σ_x y(x) f(x) φ(x) = 0 in whole numbers. To n = 5 multipliers have common denominators to about 100."""
    values = [Fraction(float(y)).limit_denominator(10_000) if y > NOTHING else Fraction(0) for y in multipliers]
    common = lcm(*(value.denominator for value in values))
    whole = np.array([int(value * common) for value in values])
    return bool(whole.any()) and not (signed.T @ whole).any()


def form_classes(inputs: int) -> Classes:
    """The classes, of n = 2 to 5 inputs."""
    pairs = _Pairs(inputs)
    places, sizes = pairs.nodes()
    found, which = np.unique(_least(pairs, pairs.tables(places)), return_inverse=True)
    return Classes(found, pairs.tables(found), np.rint(np.bincount(which, sizes)).astype(np.int64))


def _least(pairs: "_Pairs", tables: UInt[np.ndarray, " functions"]) -> Int[np.ndarray, " functions"]:
    """The least place that the class of each function has."""
    least = pairs.places(tables)
    for begin in range(0, len(tables), BLOCK):
        part = slice(begin, begin + BLOCK)
        for moved in _moves(tables[part], pairs.inputs):
            least[part] = np.minimum(least[part], pairs.places(moved))
    return least


def _moves(tables: UInt[np.ndarray, " functions"], inputs: int) -> list[UInt[np.ndarray, " functions"]]:
    """Images that have each other pair of inputs in the place of x_0 and x_n: one element of each coset."""
    last, found = inputs - 1, []
    for i in range(last):
        first = _exchange_first(tables, inputs, i)
        found += [exchange(tables, inputs, i, last), first]
        found += [exchange(first, inputs, j, last) for j in range(i)]
    return found


def _exchange_first(tables: UInt[np.ndarray, " functions"], inputs: int, i: int) -> UInt[np.ndarray, " functions"]:
    """x_0 and x_i exchanged."""
    return choose(kind(inputs).type(variable(inputs, i)), tables, negate(opposite(tables, inputs), inputs, i))


class _Pairs:
    """Functions as two halves, up to what keeps {x_0, x_n}. A place is (class of the one half, the other half) in one number."""

    def __init__(self, inputs: int) -> None:
        self.inputs, self.half = inputs, inputs - 1
        kinds = self.kinds = classes(self.half)
        self.every = np.arange(ones(self.half) + 1).astype(kind(self.half))
        flipped = kinds.row[complement(self.every, self.half)]
        self.row = np.minimum(kinds.row, flipped)  # under the complement too: the lesser of two classes stands for both
        self.flip = flipped < kinds.row
        self.width = len(self.every)
        self.least = {int(row): self._least(int(row)) for row in np.unique(self.row)}
        self.table = np.zeros((len(kinds.representatives), self.width), dtype=kind(self.half))
        for row, least in self.least.items():
            self.table[row] = least

    def _least(self, row: int) -> UInt[np.ndarray, " functions"]:
        """Of each other half, the least image under what keeps the representative of this class."""
        kinds, one = self.kinds, self.kinds.representatives[row]
        best = self.every.copy()
        for flip in (False, True):
            asked = complement(np.array([one]), self.half)[0] if flip else one
            for g in np.flatnonzero(kinds.action[:, asked] == one):
                image = kinds.action[g][complement(self.every, self.half) if flip else self.every]
                best = np.minimum(best, image)
        return np.minimum(best, best[opposite(self.every, self.half)])

    def places(self, tables: UInt[np.ndarray, " functions"]) -> Int[np.ndarray, " functions"]:
        low, high = low_half(tables, self.inputs), high_half(tables, self.inputs)
        below, above = self.row[low], self.row[high]
        one, other = np.where(below < above, low, high), np.where(below < above, high, low)
        place = self._place(one, other)
        tied = np.flatnonzero(below == above)
        place[tied] = np.minimum(place[tied], self._place(other[tied], one[tied]))
        return place

    def _place(self, one: np.ndarray, other: np.ndarray) -> Int[np.ndarray, " functions"]:
        row, flip = self.row[one], self.flip[one]
        mover = self.kinds.mover[np.where(flip, complement(one, self.half), one)]
        image = self.kinds.action[mover, np.where(flip, complement(other, self.half), other)]
        return row.astype(np.int64) * self.width + self.table[row, image]

    def nodes(self) -> tuple[Int[np.ndarray, " places"], Int[np.ndarray, " places"]]:
        """All places, and how many functions have each."""
        places, sizes = [], []
        highs = np.bincount(self.row, minlength=len(self.kinds.representatives))
        for row in self.least:
            lows = self.every[self.row >= row]
            one = np.full_like(lows, self.kinds.representatives[row])
            found, which, counts = np.unique(
                self.places(join(lows, one, self.inputs)), return_inverse=True, return_counts=True
            )
            tied = np.zeros(len(found), dtype=bool)
            tied[which] = self.row[lows] == row
            places.append(found)
            sizes.append(counts * highs[row] * np.where(tied, 1, 2))
        return np.concatenate(places), np.concatenate(sizes)

    def tables(self, places: Int[np.ndarray, " places"]) -> UInt[np.ndarray, " places"]:
        row, low = np.divmod(places, self.width)
        return join(low.astype(kind(self.half)), self.kinds.representatives[row], self.inputs)
