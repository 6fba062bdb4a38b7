"""Unbiased estimates of counts, where counting stops: the mean of draws that a circuit offers (`draws`).

The draws are skewed, so that a mean of few of them is more often too low than too high, with a standard error that is too small.
docs/capacity.md says how often intervals hold the count.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from allometry.capacity.bounds import error_in_bits
from allometry.capacity.circuits._circuit import Circuit, Listen, refuse_other_types, silent
from allometry.flow import Refusal

MOST_SAMPLES = 1_000_000


class Estimate(NamedTuple):
    """A count with its doubt."""

    count: float
    standard_error: float
    samples: int

    def interval(self) -> tuple[float, float]:
        """Where the count is, at 95 % by the normal distribution of its logarithm: 1.96 standard errors in bits to either side."""
        wide = 2 ** (1.96 * error_in_bits(self.count, self.standard_error))
        return self.count / wide, self.count * wide


def refuse_draws(samples: int, seed: int) -> None:
    """Refuse numbers that no estimate takes."""
    refuse_other_types("samples", samples, int)
    refuse_other_types("seed", seed, int)
    if not 2 <= samples <= MOST_SAMPLES:
        raise Refusal(f"samples={samples} cannot be drawn. Draw 2, for a standard error, to {MOST_SAMPLES:,}.")
    if seed < 0:
        raise Refusal(f"seed={seed} cannot be asked. A seed is 0 or more.")


def estimate(circuit: Circuit, *, samples: int, seed: int = 0, listen: Listen = silent) -> Estimate:
    """The mean over `samples` draws and its standard error."""
    if not circuit.estimated:
        raise Refusal(f"{circuit!r} has no estimate: it offers no draws at this size. Ask for its bounds.")
    refuse_draws(samples, seed)
    generator, draw = np.random.default_rng(seed), circuit.draws()
    values = np.empty(samples)
    for k in range(samples):
        values[k] = draw(generator)
        listen(k + 1, samples)
    return summed_up(values)


def summed_up(values: Float[np.ndarray, " samples"]) -> Estimate:
    """The mean of draws, and how far it may be off."""
    return Estimate(float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))), len(values))
