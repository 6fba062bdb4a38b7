"""Random numbers whose mean is how many products two threshold units give.

XNOR: a pair (f, g) of threshold functions gives h = ¬(f ⊕ g), and h has mult(h) such pairs. So |XNOR| = E[T^2 / mult], the mean
over pairs drawn evenly; mult(h) is the number of a with a and a ⊕ ¬h both threshold functions: one look-up for every threshold
function. Values -1, 0, 1 (ternary): |TERN| = T E[D(g)], the mean over gates drawn evenly of D(g), how many different f ∧ g
there are. The like estimate for AND is no use: its distribution has too heavy a tail already at n = 5.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import UInt

from allometry.capacity.threshold_functions import threshold_functions
from allometry.capacity.truth import is_in, kind

Draw = Callable[[np.random.Generator], float]
MOST_INPUTS = 6


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
    # a and its complement are both in or both out, and so are a ⊕ h and its complement: half of all a is enough
    together = _Together(every[every & 1 == 0], every)

    def one(generator: np.random.Generator) -> float:
        difference = generator.choice(every) ^ generator.choice(every)
        return float(len(every)) ** 2 / float(2 * together(difference))

    return one


class _Together:
    """How many of some tables, each ⊕ a difference, are threshold functions of a list: first by their parts of four inputs, which
    have to be threshold functions too (3 % of all), then by the list."""

    def __init__(self, some: UInt[np.ndarray, " some"], every: UInt[np.ndarray, " functions"]) -> None:
        self.some, self.every = some, every
        self.parts = _parts(some)
        self.marks = np.zeros(1 << 16, dtype=bool)
        self.marks[threshold_functions(4)] = True

    def __call__(self, difference: np.unsignedinteger) -> int:
        met: Any = slice(None)
        for place, (part, other) in enumerate(zip(self.parts, _parts(np.array([difference])), strict=True)):
            found = np.flatnonzero(self.marks[part[met] ^ other])
            met = met[found] if place else found
        return int(np.count_nonzero(is_in(self.some[met] ^ difference, self.every)))


def _parts(tables: UInt[np.ndarray, " some"]) -> UInt[np.ndarray, "parts some"]:
    """Tables as parts of 16 bits: functions of the first four inputs, one for all values of the others. None below four inputs."""
    if tables.dtype.itemsize == 1:
        return np.zeros((0, len(tables)), dtype=kind(4))
    return np.ascontiguousarray(tables.view(kind(4)).reshape(len(tables), -1).T)
