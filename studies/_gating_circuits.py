"""The circuits of gating.py: how each is built, how many numbers it learns, and exactly which functions it can realise.

A function of n inputs is its table as a whole number: bit x is its value at x = sum_i x_i 2^i, where x_i is 1 for true.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy import ndarray
from torch import nn

from allometry.capacity.count import circuit
from allometry.capacity.truth import exchange, ones
from allometry.model.gates.activation_gating import ActivationGating
from allometry.model.gates.additive_synaptic import AdditiveSynaptic
from allometry.model.gates.multiplexing import Multiplexing
from allometry.model.gates.neurons import Threshold, Units
from allometry.model.gates.output_gating import OutputGating
from allometry.model.gates.synaptic_gating import SynapticGating

SHARPNESS = 1.0  # of soft thresholds, whose weights are free
FIXED = 8.0  # of an output unit whose weights are not: sigmoid(4) where one unit below is on

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


# What they can realise


def realised(name: str, **options) -> Callable[[int], ndarray]:
    """The set of a circuit of `al.capacity`, in increasing order. The gated synapse is the first one here, the last one there."""

    @functools.cache
    def tables(n: int) -> ndarray:
        found = exchange(circuit(name, n, **options).functions().tables(), n, 0, n - 1)
        return np.sort(found).astype(np.int64)

    return tables


def disjunctions(n: int) -> ndarray:
    """f or g: the complements of the conjunctions, as threshold functions are closed under it."""
    return np.sort(ones(n) - realised("output_gating", convention="01")(n))


KINDS = (
    Kind("threshold unit", False, layer, realised("threshold"), lambda n: n + 1),
    Kind("two units, summed", False, summed, disjunctions, lambda n: 2 * (n + 1), 0.0),
    Kind(
        "two units, free output unit",
        False,
        lambda n, copies: nn.Sequential(layer(n, copies, units=2), layer(2, copies)),
        realised("activation_gating", convention="01"),  # f and g, or f or g: the complement of f or g is one of them too
        lambda n: 2 * (n + 1) + 3,
    ),
    Kind(
        "multiplexing",
        False,
        lambda n, copies: Multiplexing(layer(n, copies), layer(n, copies), 1, 1, copies),
        realised("multiplexing"),
        lambda n: 2 * (n + 1) + 1,
    ),
    Kind(
        "output gating, 0/1",
        True,
        lambda n, copies: OutputGating(layer(n, copies, "01"), layer(n, copies, "01")),
        realised("output_gating", convention="01"),
        lambda n: 2 * (n + 1),
        0.0,
    ),
    Kind(
        "output gating, -1/+1",
        True,
        lambda n, copies: OutputGating(layer(n, copies), layer(n, copies)),
        realised("output_gating"),
        lambda n: 2 * (n + 1),
    ),
    Kind(
        "synaptic gating, -1/+1",
        True,
        lambda n, copies: SynapticGating(layer(n, copies), layer(n, copies), (0,)),
        realised("synaptic_gating"),
        lambda n: 2 * (n + 1),
    ),
    Kind(
        "additive synaptic, -1/+1",
        True,
        lambda n, copies: AdditiveSynaptic(layer(n, copies), layer(n, copies), (0,)),
        realised("additive_synaptic"),
        lambda n: 2 * (n + 1) + 1,
    ),
    Kind(
        "activation gating, -1/+1, outer bias",
        True,
        lambda n, copies: ActivationGating(layer(n, copies), layer(n, copies), 1, copies),
        realised("activation_gating"),
        lambda n: 2 * (n + 1) + 1,
    ),
)
