"""A layer of m attended units with one gate for all of them: (f_1 g, ..., f_m g), all of the same inputs (L6)."""

import itertools

import numpy as np

from allometry.capacity import bounds
from allometry.capacity.circuits._circuit import Circuit, Listen, silent, small_enough
from allometry.capacity.circuits._factors import product, shown
from allometry.capacity.threshold_functions import representatives, threshold_functions

MOST_PLACES = 1 << 28  # bytes for a mark of every m-tuple
SINGLES = {"01": (2, 4, 16, 246), "pm": (2, 4, 16, 254)}  # functions of one unit with its gate, by inputs


class SharedGate(Circuit):
    """m units, one gate. Units in {-1, +1} with a gate in {0, 1}: the support shows the gate, so the count is Σ_g D(g)^m."""

    units: int = 2

    limits = (("units", 1, None),)
    equation = "(f1(x) g(x), ..., fm(x) g(x))"

    @property
    def values(self) -> int:
        return 3 if self.convention == "mixed" else 2

    @property
    def outputs(self) -> int:
        return self.units

    @property
    def exact_inputs(self) -> int:
        if self.convention == "mixed":
            return 6
        fits = [n for n in (1, 2, 3) if SINGLES[self.convention][n] ** self.units <= MOST_PLACES]
        return max(fits, default=0)

    def count(self, listen: Listen = silent) -> int:
        n, m = self.inputs, self.units
        small_enough(n, self.exact_inputs)
        if self.convention == "mixed":
            return sum(int(s) * d**m for s, d in zip(representatives(n)[1], shown(n, listen=listen), strict=True))
        every = threshold_functions(n)
        sets = [np.unique(product(every, g, n, self.gate_low)) for g in every]
        if self.gate_low == -1:
            sets = [each for each, g in zip(sets, every, strict=True) if g & 1]  # g and its complement give the same tuples
        singles = np.unique(np.concatenate(sets))
        found = np.zeros((len(singles),) * m, dtype=bool)
        for done, each in enumerate(sets):
            found[np.ix_(*itertools.repeat(np.searchsorted(singles, each), m))] = True
            listen(done, len(sets))
        return int(np.count_nonzero(found))

    def lower(self) -> int:
        return max(bounds.fewest(self.inputs - 1) ** (self.units + 1), bounds.fewest(self.inputs) ** self.units)

    def upper(self) -> int:
        return min(self.ceiling, bounds.most(self.inputs) ** (self.units + 1))

    @property
    def leading(self) -> tuple[float, int]:
        return 1.0 + self.units, 2

    @property
    def parameters(self) -> int:
        return (self.units + 1) * (self.inputs + 1)
