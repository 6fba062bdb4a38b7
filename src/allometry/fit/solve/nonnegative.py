"""Non-negative least squares for very many small problems at once (Lawson & Hanson 1974 solve one)."""

import itertools
from typing import no_type_check

import numpy as np
from jaxtyping import Float

from allometry.fit.criterion import TINY


def nonnegative(
    gram: Float[np.ndarray, "*many terms terms"], right: Float[np.ndarray, "*many terms"], free: tuple[int, ...] = ()
) -> tuple[Float[np.ndarray, "*many terms"], Float[np.ndarray, "*many"]]:
    """Non-negative least squares by trying every set of active terms; laws have few. Also returns the squares explained.

    Terms in `free` may be negative and are always active.
    """
    terms = right.shape[-1]
    best = np.zeros_like(right)
    best_gain = np.zeros(right.shape[:-1])
    for active in itertools.chain.from_iterable(itertools.combinations(range(terms), n) for n in range(1, terms + 1)):
        if not set(free) <= set(active):
            continue
        index = np.array(active)
        part = _eliminate(gram[..., index[:, None], index], right[..., index])
        gain = (part * right[..., index]).sum(-1)
        signed = [i for i, term in enumerate(active) if term not in free]
        better = (part[..., signed] >= 0).all(-1) & (gain > best_gain)
        best_gain = np.where(better, gain, best_gain)
        full = np.zeros_like(right)
        full[..., index] = part
        best = np.where(better[..., None], full, best)
    return best, best_gain


@no_type_check  # `nonnegative` checks the shapes
def _eliminate(
    gram: Float[np.ndarray, "*many terms terms"], right: Float[np.ndarray, "*many terms"]
) -> Float[np.ndarray, "*many terms"]:
    """Solve many tiny positive systems by elimination; far quicker than one LAPACK call for each."""
    terms = right.shape[-1]
    gram, right = gram.copy(), right.copy()
    for i in range(terms):
        gram[..., i, i] = gram[..., i, i] * (1 + 1e-13) + TINY
        for j in range(i + 1, terms):
            factor = gram[..., j, i] / gram[..., i, i]
            gram[..., j, i:] -= factor[..., None] * gram[..., i, i:]
            right[..., j] -= factor * right[..., i]
    for i in reversed(range(terms)):
        right[..., i] = (right[..., i] - (gram[..., i, i + 1 :] * right[..., i + 1 :]).sum(-1)) / (gram[..., i, i] + TINY)
    return right
