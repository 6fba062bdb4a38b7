"""Multiplexing: attending signals are added into the activation, H(w·x + b + c_1 g_1(x) + ... + c_K g_K(x)).

It stays inside the standard model. The ranges of units do not count, as weights and biases take up the difference. Without biases
they do; in {-1, +1} the count is then that of one input less, as the weight of x_n is a bias at x_n = 1 and all functions are odd.
"""

import numpy as np
from jaxtyping import Int, Real

from allometry.capacity import bounds
from allometry.capacity.circuits._circuit import MOST_GATES, Circuit, Listen, plain, silent, small_enough
from allometry.capacity.circuits._factors import refuse_mixed_without_bias, seen_without_bias, with_a_bias_less
from allometry.capacity.symmetry import Functions, Rows, pieces
from allometry.capacity.threshold_functions import representatives_with, threshold_functions, without_bias
from allometry.capacity.truth import choose, high_half, kind, low_half, points
from allometry.capacity.units import with_one


class Multiplexing(Circuit):
    """F(x, g(x)) with F a threshold function of n + K inputs and K threshold functions g.

    Without biases the range counts; in {0, 1} H(0) = 1 for each unit.
    """

    gates: int = 1
    bias: bool = True

    limits = (("gates", 1, MOST_GATES),)
    equation = "H(w·x + b + c1 g1(x) + ... + cK gK(x))"

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
        if not self.bias:
            n, low = self.inputs, self.attended_low
            return seen_without_bias(without_bias(n + 1, low), without_bias(n, low), n)
        n, gates = self.inputs, threshold_functions(self.inputs)
        if self.gates > 1:  # To n = 3 one gate gives everything, at n = 4 two do: the tests find weights for each class.
            return plain(n, np.arange(self.ceiling).astype(kind(n)))
        found, tables = Rows(n), representatives_with(n, 1)
        lows, highs = low_half(tables, n + 1), high_half(tables, n + 1)
        for part in pieces(len(tables), len(gates)):
            found.add(choose(gates, highs[part, None], lows[part, None]).reshape(-1))
            listen(part.stop, len(tables))
        return found.close()

    def lower(self) -> int:
        if not self.bias:
            return with_a_bias_less(self)
        return min(self.ceiling, max(bounds.fewest(self.inputs), bounds.by_selection(self.inputs, self.gates + 1)))

    def upper(self) -> int:
        gates = bounds.most(self.inputs)
        cells = bounds.schlaefli(self.inputs + 1 + self.gates, 1 << self.inputs)
        if self.gates == 1:
            return min(self.ceiling, gates * bounds.most(self.inputs + 1) // 2, gates * cells)
        return min(self.ceiling, gates**self.gates * cells)

    @property
    def leading(self) -> tuple[float, int]:
        return 1.0 + self.gates, 2

    @property
    def parameters(self) -> int:
        return (self.gates + 1) * (self.inputs + self.bias) + self.gates

    @property
    def certified_gates(self) -> int | None:
        return 1 if self.gates == 1 else None

    @property
    def weights(self) -> int:
        return self.inputs + self.gates + 1

    def sums(
        self, weights: Real[np.ndarray, "batch weights"], signals: Int[np.ndarray, "batch gates points"]
    ) -> Real[np.ndarray, "batch points"]:
        """Weights are (w, c, b)."""
        n = self.inputs
        own = np.concatenate([weights[:, :n], weights[:, -1:]], axis=1) @ with_one(points(n, self.attended_low)).T
        return own + np.einsum("bk,bkp->bp", weights[:, n:-1], signals)
