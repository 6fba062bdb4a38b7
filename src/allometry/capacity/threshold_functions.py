"""All linear threshold functions, class by class.

A threshold function of n inputs is a self-dual one of n + 1 inputs whose last input is held at 1: sgn(w·x + b x_n). Up to the order
and the signs of the n + 1 inputs it has weights w_0 >= w_1 >= ... >= w_n >= 0. The functions with such weights are the cells that
the hyperplanes w·p = 0, p a point of the cube, cut out of this cone; two neighbouring cells differ in one pair of opposite points.
`self_dual_classes` walks from cell to cell and asks a linear program whether there is a cell across each wall: the walk is
complete, as any two points of the cone are joined by a segment that crosses one hyperplane at a time. There are 135 classes at
n = 6, 2470 at n = 7.
"""

import functools
import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int, UInt

from allometry.capacity.truth import LARGEST, complement, is_in, kind, negate, opposite, pack, points

# T(n) for n = 0, 1, ..., 9: OEIS A000609. Bounds read it; counts never do.
PUBLISHED = (2, 4, 14, 104, 1882, 94572, 15028134, 8378070864, 17561539552946, 144130531453121108)
MULTIPLES = 60  # a vertex of the linear programs to n = 7 has small denominators


class Class(NamedTuple):
    """Self-dual threshold functions of n + 1 inputs, alike but for order and signs of inputs."""

    weights: tuple[int, ...]  # not increasing, not negative; no point has w·p = 0
    kinds: tuple[int, ...]  # equal for inputs that may be exchanged (equal Chow parameters)
    essential: int  # inputs that matter; the others have weight 0 and come last

    @property
    def size(self) -> int:
        """Functions in the class."""
        repeated = math.prod(math.factorial(self.kinds.count(kind)) for kind in set(self.kinds))
        return math.factorial(len(self.kinds)) // repeated << self.essential


def threshold_functions_count(inputs: int) -> int:
    """T(n), by the sizes of the classes.

    >>> [threshold_functions_count(n) for n in range(5)]
    [2, 4, 14, 104, 1882]
    """
    return sum(each.size for each in self_dual_classes(inputs))


@functools.cache
def threshold_functions(inputs: int) -> UInt[np.ndarray, " functions"]:
    """All of them, n <= 6, in increasing order."""
    assert inputs <= LARGEST, "tables of more than six inputs do not fit in 64 bits"
    found = [_orbit(each, inputs) for each in self_dual_classes(inputs)]
    tables = np.sort(np.concatenate(found))
    if (tables[1:] == tables[:-1]).any():
        raise ArithmeticError("Two classes of threshold functions share a function.")
    return tables


@functools.cache
def representatives(inputs: int) -> tuple[UInt[np.ndarray, " classes"], Int[np.ndarray, " classes"]]:
    """One threshold function of each class under B_n, and how many functions the class has. 119 at n = 5."""
    tables, sizes = [], []
    for each in self_dual_classes(inputs):
        for bias in _firsts(each):
            rest = [i for i in range(inputs + 1) if i != bias]
            kinds = [each.kinds[i] for i in rest]
            essential = sum(i < each.essential for i in rest)
            size = math.factorial(inputs) // math.prod(math.factorial(kinds.count(k)) for k in set(kinds)) << essential
            weights = [each.weights[i] for i in (*rest, bias)]
            for sign in (1, -1)[: 1 + (bias < each.essential)]:
                tables.append(_tables(np.array([[*weights[:-1], sign * weights[-1]]]), inputs)[0])
                sizes.append(size)
    return np.array(tables, dtype=kind(inputs)), np.array(sizes)


@functools.cache
def representatives_with(inputs: int, special: int, signs: bool = False) -> UInt[np.ndarray, " functions"]:
    """Threshold functions of n + k inputs, such that those of the first n inputs (B_n) give all others.

    The last k inputs, the special ones, keep their places; with `signs` they keep their signs too, else they are positive.
    """
    total, found = inputs + special, []
    for each in self_dual_classes(total):
        for chosen in itertools.permutations(range(total + 1), special + 1):
            if not _is_first(each, chosen):
                continue
            rest = [i for i in range(total + 1) if i not in chosen]
            weights = np.array([each.weights[i] for i in (*rest, *chosen)])
            free = special + 1 if signs else 1  # the bias is the last one, and always has both signs
            for flips in itertools.product((1, -1), repeat=free):
                found.append(np.concatenate([weights[: total + 1 - free], weights[total + 1 - free :] * np.array(flips)]))
    return np.unique(_tables(np.array(found), total))


def without_bias(inputs: int, low: int) -> UInt[np.ndarray, " functions"]:
    """H(w·x). Inputs in {-1, +1} (low = -1): the functions with f(-x) = 1 - f(x), as no point has w·x = 0.

    Inputs in {0, 1} (low = 0), with H(0) = 1: those with f(0) = 1 that stay threshold functions when f(0) is set to 0, as then
    between two biases, a positive and a negative one, there is the bias 0 with all other signs as they were.
    """
    tables = threshold_functions(inputs)
    if low == -1:
        return tables[opposite(tables, inputs) == complement(tables, inputs)]
    return tables[(tables & 1 == 1) & is_in(tables ^ tables.dtype.type(1), tables)]


_walked: dict[int, tuple[Class, ...]] = {}


def self_dual_classes(inputs: int, listen: Callable[[int], None] | None = None) -> tuple[Class, ...]:
    """The classes of self-dual threshold functions of n + 1 inputs, walked once. `listen` hears how many are found."""
    if inputs in _walked:
        return _walked[inputs]
    walls = _Cone(inputs + 1)
    start = walls.cell((1,) + (0,) * inputs)
    found, waiting = {start.tobytes(): walls.solve(start)}, [start]
    seen = set(found)
    while waiting:
        cell = waiting.pop()
        for neighbour in walls.neighbours(cell):
            if (key := neighbour.tobytes()) in seen:
                continue
            seen.add(key)
            if (weights := walls.solve(neighbour)) is not None:
                found[key] = weights
                waiting.append(neighbour)
                if listen:
                    listen(len(found))
    _walked[inputs] = tuple(sorted(_class(weights) for weights in found.values() if weights))
    return _walked[inputs]


class _Cone:
    """Cells of the cone w_0 >= w_1 >= ... >= 0: which of the points that the cone leaves open have w·p > 0.

    With w_i = d_i + d_(i+1) + ..., d >= 0, the sum w·p is d times the partial sums of p.
    """

    def __init__(self, inputs: int) -> None:
        partial = np.cumsum(points(inputs)[:, ::-1], axis=1)  # reversed, so that the largest weight is the last bit
        open_ = (partial < 0).any(axis=1) & (partial > 0).any(axis=1)
        self.partial = partial[open_]
        self.above = (self.partial[:, None] >= self.partial[None]).all(axis=2)  # [p, q]: w·p >= w·q all over the cone
        self.costs = np.arange(1, inputs + 1)

    def cell(self, weights: tuple[int, ...]) -> Bool[np.ndarray, " points"]:
        steps = -np.diff(np.array([*weights, 0]))
        values = self.partial @ steps
        ties = values == 0  # a weight of zero stands for one that is small against all before it
        return np.where(ties, self._sign_of_first(), values > 0)

    def _sign_of_first(self) -> Bool[np.ndarray, " points"]:
        return self.partial[:, 0] > 0

    def neighbours(self, cell: Bool[np.ndarray, " points"]) -> list[Bool[np.ndarray, " points"]]:
        """Cells across the walls that the order of points allows: only a lowest true point can become false."""
        lowest = [p for p in np.flatnonzero(cell) if (self.above[p] & cell).sum() == 1]
        found = []
        for p in lowest:
            other = cell.copy()
            other[p] = False
            other[len(cell) - 1 - p] = True  # the opposite point
            found.append(other)
        return found

    def solve(self, cell: Bool[np.ndarray, " points"]) -> tuple[int, ...] | None:
        """Whole weights of least sum with w·p >= 1 at all true points, or None."""
        from scipy.optimize import linprog

        true = np.flatnonzero(cell)
        lowest = true[(self.above[np.ix_(true, true)]).sum(axis=1) == 1]
        steps = np.zeros(len(self.costs))
        steps[0] = 1
        if len(lowest):
            done = linprog(self.costs, A_ub=-self.partial[lowest], b_ub=-np.ones(len(lowest)), method="highs")
            if done.status == 2:
                return None
            if done.status != 0:
                raise ArithmeticError(f"Whether a cell of threshold functions is there is not known: {done.message}")
            steps = done.x
        for times in range(1, MULTIPLES):
            whole = np.rint(steps * times).astype(int)
            if whole.any() and (self.partial[true] @ whole > 0).all():
                return tuple(int(w) for w in whole[::-1].cumsum()[::-1])
        raise ArithmeticError("No whole weights were found: none of the multiples fits.")


def _class(weights: tuple[int, ...]) -> Class:
    """Chow parameters sum_x f(x) x_i say which inputs may be exchanged, and which do not matter."""
    grid = points(len(weights))
    sums = grid @ np.array(weights)
    chow = [int(np.sign(sums) @ grid[:, i]) for i in range(len(weights))]
    return Class(weights, tuple(chow), sum(c != 0 for c in chow))


def _is_first(each: Class, chosen: tuple[int, ...]) -> bool:
    """Of inputs that may be exchanged, chosen ones come in order and leave none out: one choice for all that are alike."""
    taken: set[int] = set()
    for i in chosen:
        first = min(j for j in range(len(each.kinds)) if each.kinds[j] == each.kinds[i] and j not in taken)
        if i != first:
            return False
        taken.add(i)
    return True


def _firsts(each: Class) -> list[int]:
    return [i for i in range(len(each.kinds)) if _is_first(each, (i,))]


def _tables(weights: Int[np.ndarray, "functions weights"], inputs: int) -> UInt[np.ndarray, " functions"]:
    """Tables of sgn(w·x + b); the last weight is the bias."""
    grid = np.concatenate([points(inputs), np.ones((1 << inputs, 1), dtype=int)], axis=1)
    return pack(weights @ grid.T > 0)


@functools.cache
def _permutations(count: int) -> Int[np.ndarray, "permutations count"]:
    return np.array(list(itertools.permutations(range(count))))


def _orbit(each: Class, inputs: int) -> UInt[np.ndarray, " functions"]:
    """All functions of a class: distinct orders of the weights, then all signs of those that matter."""
    orders = _permutations(inputs + 1)
    labels = np.unique(each.kinds, return_inverse=True)[1][orders]
    _, first = np.unique(labels @ 8 ** np.arange(inputs + 1), return_index=True)
    orders = orders[first]
    matters = orders < each.essential
    tables = _tables(np.array(each.weights)[orders], inputs)
    for i in range(inputs):
        moved = matters[:, i]
        tables = np.concatenate([tables, negate(tables[moved], inputs, i)])
        matters = np.concatenate([matters, matters[moved]])
    # The sign of the bias: sgn(w·x - b) is the complement of sgn(-w·x + b), and -w is among the signs already.
    return np.concatenate([tables, complement(tables[matters[:, inputs]], inputs)])
