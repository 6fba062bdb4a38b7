"""Unbiased estimates of counts, where counting stops: n = 6.

XNOR: a pair (f, g) of threshold functions gives h = ¬(f ⊕ g), and h has mult(h) such pairs. So |XNOR| = E[T^2 / mult], the mean
over pairs drawn evenly; mult(h) is the number of a with a and a ⊕ ¬h both threshold functions: one look-up for every threshold
function. Values -1, 0, 1 (ternary): |TERN| = T E[D(g)], the mean over gates drawn evenly of D(g), how many different f ∧ g
there are. The like estimate for AND is no use: its distribution has too heavy a tail already at n = 5.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, UInt

from allometry.capacity.circuits._circuit import Circuit, Listen, silent
from allometry.capacity.threshold_functions import is_in, threshold_functions
from allometry.flow import Refusal

MOST_INPUTS = 6
SIEVE_BITS = 28  # 256 MiB; of 15 million functions 6 % meet a mark by chance
MULTIPLIER = 0x9E3779B97F4A7C15  # 2^64 over the golden ratio, which spreads the high bits of a product


class Estimate(NamedTuple):
    """A count with its doubt."""

    count: float
    standard_error: float
    samples: int


def estimated(circuit: Circuit) -> bool:
    """Whether there is an estimate: one output gate, one degree, values in {-1, +1} or {-1, 0, 1}, at most six inputs."""
    plain = circuit.name == "output_gating" and circuit == type(circuit)(
        inputs=circuit.inputs, convention=circuit.convention
    )
    return plain and circuit.convention in ("pm", "mixed") and circuit.inputs <= MOST_INPUTS


def estimate(circuit: Circuit, *, samples: int, seed: int = 0, listen: Listen = silent) -> Estimate:
    """The mean over `samples` draws and its standard error."""
    if not estimated(circuit):
        raise Refusal(
            f"{circuit!r} has no estimate. output_gating in the conventions pm and mixed has, to {MOST_INPUTS} inputs."
        )
    if samples < 2:
        raise Refusal(f"samples={samples} has no standard error. Draw at least 2.")
    if seed < 0:
        raise Refusal(f"seed={seed} cannot be asked. A seed is 0 or more.")
    generator = np.random.default_rng(seed)
    every = threshold_functions(circuit.inputs)
    one = _ternary if circuit.convention == "mixed" else _pairs(every)
    values = np.empty(samples)
    for k in range(samples):
        values[k] = one(every, generator)
        listen(k + 1, samples)
    return Estimate(float(values.mean()), float(values.std(ddof=1) / np.sqrt(samples)), samples)


def _ternary(every: UInt[np.ndarray, " functions"], generator: np.random.Generator) -> float:
    shown = np.sort(every & generator.choice(every))
    return len(every) * float(1 + np.count_nonzero(shown[1:] != shown[:-1]))


def _pairs(every: UInt[np.ndarray, " functions"]):
    look = _Sieve(every)
    # a and its complement are both in or both out, and so are a ⊕ h and its complement: half of all a is enough
    half = every[every & 1 == 0]

    def one(every: UInt[np.ndarray, " functions"], generator: np.random.Generator) -> float:
        difference = generator.choice(every) ^ generator.choice(every)
        pairs = 2 * look(half ^ difference).sum()
        return float(len(every)) ** 2 / float(pairs)

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
