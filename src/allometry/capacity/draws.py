"""Random numbers whose mean is how many products two threshold units give.

XNOR: a pair (f, g) of threshold functions gives h = ¬(f ⊕ g), and h has mult(h) such pairs. So |XNOR| = E[T^2 / mult], the mean
over pairs drawn evenly; mult(h) is the number of a with a and a ⊕ ¬h both threshold functions: one look-up for every threshold
function. Values -1, 0, 1 (ternary): |TERN| = T E[D(g)], the mean over gates drawn evenly of D(g), how many different f ∧ g
there are. The like estimate for AND is no use: its distribution has too heavy a tail already at n = 5.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, UInt

from allometry.capacity.threshold_functions import threshold_functions
from allometry.capacity.truth import is_in

Draw = Callable[[np.random.Generator], float]
MOST_INPUTS = 6
SIEVE_BITS = 28  # 256 MiB; of 15 million functions 6 % meet a mark by chance
MULTIPLIER = 0x9E3779B97F4A7C15  # 2^64 over the golden ratio, which spreads the high bits of a product


def ternary(inputs: int) -> Draw:
    """T D(g) of an even g."""
    every = threshold_functions(inputs)

    def one(generator: np.random.Generator) -> float:
        shown = np.sort(every & generator.choice(every))
        return len(every) * float(1 + np.count_nonzero(shown[1:] != shown[:-1]))

    return one


def pairs(inputs: int) -> Draw:
    """T^2 / mult of an even pair."""
    every = threshold_functions(inputs)
    look = _Sieve(every)
    # a and its complement are both in or both out, and so are a ⊕ h and its complement: half of all a is enough
    half = every[every & 1 == 0]

    def one(generator: np.random.Generator) -> float:
        difference = generator.choice(every) ^ generator.choice(every)
        multiplicity = 2 * look(half ^ difference).sum()
        return float(len(every)) ** 2 / float(multiplicity)

    return one


class _Sieve:
    """Which tables are threshold functions: a mark at a place that is made of the table, then, where there is one, the list."""

    def __init__(self, every: UInt[np.ndarray, " functions"]) -> None:
        self.every = every
        self.bits = min(SIEVE_BITS, len(every).bit_length() + 4)
        self.marks = np.zeros(1 << self.bits, dtype=bool)
        self.marks[self._place(every)] = True

    def __call__(self, tables: UInt[np.ndarray, " functions"]) -> Bool[np.ndarray, " functions"]:
        found = self.marks[self._place(tables)]
        met = np.flatnonzero(found)
        found[met] = is_in(tables[met], self.every)
        return found

    def _place(self, tables: UInt[np.ndarray, " functions"]) -> UInt[np.ndarray, " functions"]:
        return tables.astype(np.uint64) * np.uint64(MULTIPLIER) >> np.uint64(64 - self.bits)
