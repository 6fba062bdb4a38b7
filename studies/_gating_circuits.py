"""The circuits of gating.py: how each is built, how many numbers it learns, and exactly which functions it can realise.

A function of n inputs is its table as a whole number: bit x is its value at x = sum_i x_i 2^i, where x_i is 1 for true.
"""

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy import ndarray
from torch import nn

from allometry.model.gates.activation_gating import ActivationGating
from allometry.model.gates.additive_synaptic import AdditiveSynaptic
from allometry.model.gates.multiplexing import Multiplexing
from allometry.model.gates.neurons import Threshold, Units
from allometry.model.gates.output_gating import OutputGating
from allometry.model.gates.synaptic_gating import SynapticGating

SHARPNESS = 1.0  # of soft thresholds, whose weights are free
FIXED = 8.0  # of an output unit whose weights are not: sigmoid(4) where one unit below is on
LARGEST = 5  # integer weights that make all pairs of parallel threshold functions of four inputs; the counts are checked
COUNTS = {1: 4, 2: 14, 3: 104, 4: 1882, 5: 94572}  # threshold functions, OEIS A000609

Copies = tuple[int, ...]


@dataclass(frozen=True)
class Kind:
    """A circuit with n inputs in -1, +1 and one output."""

    name: str
    gated: bool  # whether signals multiply: not in the standard model
    build: Callable[[int, Copies], nn.Module]
    tables: Callable[[int], ndarray]
    learned: Callable[[int], int]  # numbers that are learned
    low: float = -1.0  # the output for false; +1 for true


# How they are built


def layer(n: int, copies: Copies, convention: str = "pm", units: int = 1) -> Units:
    return Units(n, units, Threshold(convention, SHARPNESS), copies=copies)


def summed(n: int, copies: Copies) -> nn.Module:
    """H(f + g - 1/2): the output unit is fixed, so that two units are all that is learned."""
    above = Units(2, 1, Threshold("01", FIXED)).requires_grad_(False)
    above.weight.fill_(1.0)
    assert above.bias is not None
    above.bias.fill_(-0.5)
    return nn.Sequential(layer(n, copies, "01", 2), above)


# What they can realise. To be replaced by `al.capacity` where that counts the same circuits.


@functools.cache
def parallel(n: int) -> tuple[ndarray, ndarray]:
    """Threshold functions F of n + 1 inputs as pairs (F at x_{n+1} = false, F at true): two thresholds with the same weights."""
    rows = np.array(list(itertools.product((-1, 1), repeat=n)))[:, ::-1]
    bits = 1 << np.arange(2**n, dtype=np.int64)
    found: set[tuple[int, int]] = set()
    for weights in itertools.product(range(LARGEST + 1), repeat=n):
        if list(weights) != sorted(weights):
            continue  # other orders and signs are made below
        sums = rows @ np.array(weights)
        cuts = np.unique(sums)
        tables = [int(bits[sums > cut].sum()) for cut in [cuts[0] - 1, *cuts]]
        found |= set(itertools.product(tables, repeat=2))
    off, on = np.array(sorted(found)).T
    turned = [(_turned(off, n, *how) << 2**n) | _turned(on, n, *how) for how in _symmetries(n)]
    pairs = np.unique(np.concatenate(turned))
    assert len(pairs) == COUNTS[n + 1], (n, len(pairs))
    return pairs >> 2**n, pairs & _all(n)


def threshold(n: int) -> ndarray:
    """All threshold functions."""
    found = np.unique(parallel(n)[0])
    assert len(found) == COUNTS[n]
    return found


def conjunctions(n: int) -> ndarray:
    """f and g."""
    f = threshold(n)
    return _union(n, (f & g for g in f))


def disjunctions(n: int) -> ndarray:
    """f or g: the complements of the conjunctions, as threshold functions are closed under it."""
    return np.sort(_all(n) ^ conjunctions(n))


def two_layers(n: int) -> ndarray:
    """A threshold gate of two: f and g, or f or g, as the complement of f or g is one of them too."""
    return np.union1d(conjunctions(n), disjunctions(n))


def products(n: int) -> ndarray:
    """f = g, which is the product in -1 and +1."""
    f = threshold(n)
    return _union(n, (_all(n) ^ f ^ g for g in f))


def multiplexed(n: int) -> ndarray:
    """H(w . x + b + c g)."""
    off, on = parallel(n)
    return _union(n, (_chosen(g, off, on, n) for g in threshold(n)))


def one_synapse(n: int) -> ndarray:
    """f with x_1 replaced by g x_1."""
    f = threshold(n)
    other = _flipped(f, 0, n)
    return _union(n, (_chosen(g, other, f, n) for g in f))


def activation(n: int) -> ndarray:
    """sgn(b' + g (w . x + b)): F1 where g is +1, and not F0 where it is -1."""
    off, on = parallel(n)
    return _union(n, (_chosen(g, _all(n) ^ off, on, n) for g in threshold(n)))


def added_synapse(n: int) -> ndarray:
    """H(w . x + b + c g x_1): multiplexing by g x_1."""
    off, on = parallel(n)
    first = sum(1 << x for x in range(2**n) if x & 1)
    return _union(n, (_chosen(_all(n) ^ int(g) ^ first, off, on, n) for g in threshold(n)))


def _all(n: int) -> int:
    """The table that is true everywhere."""
    return (1 << 2**n) - 1


def _chosen(g: int, off: ndarray, on: ndarray, n: int) -> ndarray:
    return (on & g) | (off & (_all(n) ^ g))


def _union(n: int, parts) -> ndarray:
    held = np.zeros(1 << 2**n, bool)
    for part in parts:
        held[part] = True
    return np.flatnonzero(held)


def _flipped(tables: ndarray, place: int, n: int) -> ndarray:
    """f at x with one input negated."""
    result = np.zeros_like(tables)
    for x in range(2**n):
        result |= ((tables >> (x ^ (1 << place))) & 1) << x
    return result


def _symmetries(n: int):
    return itertools.product(itertools.permutations(range(n)), itertools.product((0, 1), repeat=n))


def _turned(tables: ndarray, n: int, order: tuple[int, ...], flips: tuple[int, ...]) -> ndarray:
    """f at x with inputs in another order, some negated."""
    result = np.zeros_like(tables)
    for x in range(2**n):
        source = sum((((x >> i) & 1) ^ flips[i]) << order[i] for i in range(n))
        result |= ((tables >> source) & 1) << x
    return result


KINDS = (
    Kind("threshold unit", False, layer, threshold, lambda n: n + 1),
    Kind("two units, summed", False, summed, disjunctions, lambda n: 2 * (n + 1), 0.0),
    Kind(
        "two units, free output unit",
        False,
        lambda n, copies: nn.Sequential(layer(n, copies, units=2), layer(2, copies)),
        two_layers,
        lambda n: 2 * (n + 1) + 3,
    ),
    Kind(
        "multiplexing",
        False,
        lambda n, copies: Multiplexing(layer(n, copies), layer(n, copies), 1, 1, copies),
        multiplexed,
        lambda n: 2 * (n + 1) + 1,
    ),
    Kind(
        "output gating, 0/1",
        True,
        lambda n, copies: OutputGating(layer(n, copies, "01"), layer(n, copies, "01")),
        conjunctions,
        lambda n: 2 * (n + 1),
        0.0,
    ),
    Kind(
        "output gating, -1/+1",
        True,
        lambda n, copies: OutputGating(layer(n, copies), layer(n, copies)),
        products,
        lambda n: 2 * (n + 1),
    ),
    Kind(
        "synaptic gating, -1/+1",
        True,
        lambda n, copies: SynapticGating(layer(n, copies), layer(n, copies), (0,)),
        one_synapse,
        lambda n: 2 * (n + 1),
    ),
    Kind(
        "additive synaptic, -1/+1",
        True,
        lambda n, copies: AdditiveSynaptic(layer(n, copies), layer(n, copies), (0,)),
        added_synapse,
        lambda n: 2 * (n + 1) + 1,
    ),
    Kind(
        "activation gating, -1/+1, outer bias",
        True,
        lambda n, copies: ActivationGating(layer(n, copies), layer(n, copies), 1, copies),
        activation,
        lambda n: 2 * (n + 1) + 1,
    ),
)
