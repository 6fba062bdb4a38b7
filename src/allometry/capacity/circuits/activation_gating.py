"""Activation gating with an outer bias: the gates multiply the whole activation, H(b' + g_1 ... g_K (w·x + b))."""

import numpy as np
from jaxtyping import Int, Real

from allometry.capacity import bounds
from allometry.capacity.circuits._circuit import MOST_GATES, Circuit, Listen, silent, small_enough
from allometry.capacity.circuits._factors import (
    factor_representatives,
    products,
    refuse_mixed_without_bias,
    with_a_bias_less,
)
from allometry.capacity.symmetry import Functions, Plain, Rows, pieces
from allometry.capacity.threshold_functions import representatives_with, threshold_functions, without_bias
from allometry.capacity.truth import choose, complement, high_half, low_half, ones, points
from allometry.capacity.units import with_one


class ActivationGating(Circuit):
    """H(b' + g S), S = w·x + b. With a gate in {-1, +1}: (F0, F1) are parallel threshold functions, and the value is F1 where
    g = 1 and not F0 where g = -1. With a gate in {0, 1} it is f ∧ g, or f ∨ ¬g."""

    gates: int = 1
    bias: bool = True

    limits = (("gates", 1, MOST_GATES),)
    equation = "H(b' + g1(x) ... gK(x) (w·x + b))"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.bias:
            refuse_mixed_without_bias(self)

    @property
    def exact_inputs(self) -> int:
        if not self.bias:
            return 4 if self.gates == 1 else 0
        return 5 if self.gates == 1 else 4

    def functions(self, listen: Listen = silent) -> Functions:
        small_enough(self.inputs, self.exact_inputs)
        if not self.bias:  # H(g w·x) is H(0) = 1 where g = 0
            bare, own = Plain(self.inputs), without_bias(self.inputs, self.attended_low)
            for g in own:
                bare.add(complement(own ^ g, self.inputs) if self.gate_low else own | g ^ g.dtype.type(ones(self.inputs)))
            return bare
        n, found = self.inputs, Rows(self.inputs)
        if self.gate_low == 0:
            gates = products(n, self.gates, 0)
            for f in factor_representatives(n):
                found.add(gates & f)
                found.add(complement(gates, n) | f)
            return found.close()
        gates = products(n, self.gates, -1) if self.gates > 1 else threshold_functions(n)
        pairs = representatives_with(n, 1)
        lows, highs = complement(low_half(pairs, n + 1), n), high_half(pairs, n + 1)
        for part in pieces(len(pairs), len(gates)):
            tables = choose(gates, highs[part, None], lows[part, None]).reshape(-1)
            found.add(tables)
            found.add(complement(tables, n))  # (w, b, b', g) -> (w, b, -b', -g): the pair with its two functions exchanged
            listen(part.stop, len(pairs))
        return found.close()

    def lower(self) -> int:
        if not self.bias:
            return with_a_bias_less(self)
        return min(self.ceiling, max(bounds.fewest(self.inputs), bounds.by_selection(self.inputs, self.gates + 1)))

    def upper(self) -> int:
        one = bounds.most(self.inputs)
        if self.gate_low == 0:
            return min(self.ceiling, 2 * bounds.products_01(self.gates + 1, one))
        gates = one if self.gates == 1 else bounds.products_pm(self.gates, one)
        return min(self.ceiling, gates * bounds.schlaefli(self.inputs + 2, 1 << self.inputs))

    @property
    def leading(self) -> tuple[float, int]:
        return 1.0 + self.gates, 2

    @property
    def parameters(self) -> int:
        return (self.gates + 1) * (self.inputs + self.bias) + self.bias

    @property
    def certified_gates(self) -> int | None:
        return 1 if self.gates == 1 else None

    @property
    def weights(self) -> int:
        return self.inputs + 2

    def sums(
        self, weights: Real[np.ndarray, "batch weights"], signals: Int[np.ndarray, "batch gates points"]
    ) -> Real[np.ndarray, "batch points"]:
        """Weights are (w, b, b')."""
        own = weights[:, :-1] @ with_one(points(self.inputs, self.attended_low)).T
        return weights[:, -1:] + signals.prod(axis=1) * own
