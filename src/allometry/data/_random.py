"""Random numbers by a formula: those of an example depend on its seed and its number alone."""

import numpy as np
from jaxtyping import Float, Int, UInt64

HELD_OUT = 2**63 - 1  # the seed of what every run is scored on: none that a run can have


def random_bits(seed: int, examples: Int[np.ndarray, " batch"], count: int) -> UInt64[np.ndarray, "batch count"]:
    """`count` random numbers for each example, by the mixing function of SplitMix64 (Steele et al. 2014).

    A formula, so that an example does not depend on its batch, at no cost for each example.
    """
    with np.errstate(over="ignore"):
        start = _mixed(_mixed(np.array([seed], dtype=np.uint64) + _GOLDEN) ^ examples.astype(np.uint64))
        return _mixed(start[:, None] + np.arange(1, count + 1, dtype=np.uint64) * _GOLDEN)


_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mixed(bits: np.ndarray) -> np.ndarray:
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def uniform(bits: UInt64[np.ndarray, "*axes"]) -> Float[np.ndarray, "*axes"]:
    """Numbers from 0 to 1, without 1."""
    return (bits >> np.uint64(11)) * 2.0**-53


def below(limit: int | Int[np.ndarray, "*axes"], bits: UInt64[np.ndarray, "*axes"]) -> Int[np.ndarray, "*axes"]:
    """Whole numbers from 0 to limit - 1, all equally likely to one part in 2^53 / limit. Each may have a limit of its own."""
    return (uniform(bits) * limit).astype(np.int64)
