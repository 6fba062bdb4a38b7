"""Functions that units and products of units give: the factors from which circuits are put together."""

import functools
from typing import Any

import numpy as np
from jaxtyping import UInt

from allometry.capacity.circuits._circuit import Circuit, Listen, silent
from allometry.capacity.polynomial_functions import known, polynomial_threshold_functions
from allometry.capacity.symmetry import BLOCK, Orbits, Plain, Rows, classes, permuted
from allometry.capacity.threshold_functions import representatives, without_bias
from allometry.capacity.truth import choose, complement, high_half, low_half
from allometry.flow import Refusal


def factor(inputs: int, degree: int = 1) -> UInt[np.ndarray, " functions"]:
    """What one unit gives."""
    if not known(inputs, degree):
        raise Refusal(
            f"Threshold functions of degree {degree} of {inputs} inputs are not listed here; to 4 inputs they are."
        )
    return polynomial_threshold_functions(inputs, degree)


@functools.cache
def factor_representatives(inputs: int, degree: int = 1) -> UInt[np.ndarray, " functions"]:
    """The same, one for each class under B_n."""
    if degree == 1:
        return representatives(inputs)[0]
    return np.intersect1d(factor(inputs, degree), classes(inputs).representatives)


@functools.cache
def products(inputs: int, count: int, low: int, degree: int = 1) -> UInt[np.ndarray, " functions"]:
    """Products of `count` units in {0, 1} (low = 0: AND) or {-1, +1} (low = -1: XNOR), as a list; n <= 4 for more than one."""
    if count == 1:
        return factor(inputs, degree)
    before = products(inputs, count - 1, low, degree)
    if len(before) == 1 << (1 << inputs):
        return before
    found = Rows(inputs)
    for table in factor_representatives(inputs, degree):
        found.add(product(before, table, inputs, low))
    return found.close().tables()


def products_without_bias(inputs: int, count: int, low: int, input_low: int, listen: Listen = silent) -> Orbits:
    """The same where no unit has a bias, for two units to five inputs and for more to four. Permutations of the inputs take units
    to units, so that one factor may be the smallest of its orbit."""
    own = without_bias(inputs, input_low)
    first = own[permuted(own, inputs).min(axis=0) == own]
    before, found = own, Orbits(inputs)
    found.add(own)
    for k in range(1, count):
        found, waiting, many = Orbits(inputs), [], 0
        for done, table in enumerate(first):
            waiting.append(product(before, table, inputs, low))
            many += len(before)
            if many > BLOCK or done + 1 == len(first):
                found.add(np.concatenate(waiting))
                waiting, many = [], 0
            listen((k - 1) * len(first) + done + 1, (count - 1) * len(first))
        before = found.tables() if k + 1 < count else before
    return found


def seen_without_bias(own: UInt[np.ndarray, " functions"], signals: UInt[np.ndarray, " signals"], inputs: int) -> Plain:
    """F(x, s(x)) for threshold functions F of n + 1 inputs and signals s."""
    found = Plain(inputs)
    lows, highs = low_half(own, inputs + 1), high_half(own, inputs + 1)
    for signal in signals:
        found.add(choose(signal, highs, lows))
    return found


def refuse_mixed_without_bias(circuit: Circuit) -> None:
    """Without biases one range is for all signals; a gate in another range would be a bias by half its weight."""
    if circuit.convention not in ("01", "pm"):
        raise Refusal(f"Without a bias, {circuit.name} is counted in the conventions 01 and pm.")


def with_a_bias_less(circuit: Any) -> int:
    """A lower bound without biases: where an input that is not gated is 1 its weight is a bias, and the others are free."""
    less = circuit.inputs - 1
    return min(circuit.ceiling, circuit.edit(inputs=less, bias=True).lower()) if less else 1


def product(
    tables: UInt[np.ndarray, " functions"], table: np.unsignedinteger, inputs: int, low: int
) -> UInt[np.ndarray, " functions"]:
    """f g of signals in {0, 1}: AND; of signals in {-1, +1}: XNOR."""
    return tables & table if low == 0 else complement(tables ^ table, inputs)


_shown: dict[tuple[int, int], tuple[int, ...]] = {}


def shown(inputs: int, degree: int = 1, listen: Listen = silent) -> tuple[int, ...]:
    """D(g) for a representative g of each class of threshold functions, made once: how many different f ∧ g there are. At n = 6
    these are 1,113 gates and 15 million f, minutes."""
    if (inputs, degree) not in _shown:
        every, gates, found = factor(inputs, degree), factor_representatives(inputs, degree), []
        for done, gate in enumerate(gates):
            found.append(_through(every, gate))
            listen(done + 1, len(gates))
        _shown[inputs, degree] = tuple(found)
    return _shown[inputs, degree]


def _through(every: UInt[np.ndarray, " functions"], gate: np.unsignedinteger) -> int:
    """How many different f ∧ g there are, of functions f that are closed under the complement: at one point where g = 1, half of
    what is seen through g is 0, and the other half is the complement of that."""
    if not gate:
        return 1
    first = gate & (~gate + gate.dtype.type(1))  # its lowest bit
    seen = np.sort(every[every & first == 0] & gate)
    return 2 * (1 + int(np.count_nonzero(seen[1:] != seen[:-1])))


def shown_by(gates: UInt[np.ndarray, " functions"], inputs: int, degree: int, power: int) -> int:
    """The sum over gates of D(g)^m. The gates are closed under B_n, n <= 4, so that a representative of each class is enough."""
    every, kinds = factor(inputs, degree), classes(inputs)
    rows = np.unique(kinds.row[gates])
    counts = [_through(every, kinds.representatives[row]) ** power for row in rows]
    return sum(int(kinds.sizes[row]) * count for row, count in zip(rows, counts, strict=True))
