"""Additive synaptic: gates are added to the weight of a synapse, H(w·x + b) with w_i -> w_i + c_1 g_1(x) + ...

A signal in {0, 1} is (1 + g) / 2 of one in {-1, +1}, and the half goes into w_i, so that only the range of the inputs counts.
"""

import numpy as np
from jaxtyping import Int, Real

from allometry.capacity import bounds
from allometry.capacity.circuits._circuit import RANGES, Circuit, Listen, silent, small_enough
from allometry.capacity.circuits._factors import refuse_mixed_without_bias, seen_without_bias, with_a_bias_less
from allometry.capacity.circuits.synaptic_gating import SynapticGating, halves, union_over_inputs
from allometry.capacity.symmetry import Functions, Rows, pieces
from allometry.capacity.threshold_functions import representatives_with, threshold_functions, without_bias
from allometry.capacity.truth import choose, complement, high_half, join, kind, low_half, points, variable
from allometry.capacity.units import with_one
from allometry.flow import Refusal


class AdditiveSynaptic(Circuit):
    """H(w·x + b + c g(x) x_i): `fixed` at one given synapse, the last one, or `any`."""

    synapse: str = "fixed"
    bias: bool = True

    conventions = tuple(RANGES)
    equation = "H(w·x + b), wi -> wi + c g(x)"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.synapse not in ("fixed", "any"):
            raise Refusal(f"synapse={self.synapse!r} is not known. It is fixed or any.")
        if not self.bias:
            refuse_mixed_without_bias(self)
            if self.synapse == "any":
                raise Refusal(f"Without a bias, {self.name} is counted for the synapse fixed.")

    @property
    def exact_inputs(self) -> int:
        return 4

    def functions(self, listen: Listen = silent) -> Functions:
        small_enough(self.inputs, self.exact_inputs)
        n, found = self.inputs, Rows(self.inputs)
        if not self.bias:
            low = self.attended_low
            gates, last = without_bias(n, low), kind(n).type(variable(n, n - 1))
            signals = gates & last if low == 0 else complement(gates ^ last, n)
            return seen_without_bias(without_bias(n + 1, low), np.unique(signals), n)
        # F of the n inputs, the last of which is the gated one, and of the signal x_i g
        wide = representatives_with(n - 1, 2, signs=True)
        off, on = low_half(wide, n + 1), high_half(wide, n + 1)
        # the lower half of a table is low0 where g = 0 and low1 where g = 1, the upper half high0 or high1
        if self.attended_low == 0:  # x_i g is 0 at x_i = 0; there F is F(0, 0), and only the gate at x_i = 1 matters
            low = low_half(off, n)
            four = (low, low, high_half(off, n), high_half(on, n))
            gates = threshold_functions(n - 1)
            gates = np.stack([np.zeros_like(gates), gates], axis=1)
        else:  # x_i g is -1 at x_i = -1 where g = 1
            four = (low_half(on, n), low_half(off, n), high_half(off, n), high_half(on, n))
            gates = halves(threshold_functions(n), n)
        blocks = np.unique(np.stack(four, axis=1), axis=0)
        low0, low1, high0, high1 = blocks.T[:, :, None]
        for part in pieces(len(blocks), len(gates)):
            low, high = choose(gates[:, 0], low1[part], low0[part]), choose(gates[:, 1], high1[part], high0[part])
            found.add(join(low, high, n).reshape(-1))
            listen(part.stop, len(blocks))
        if self.synapse == "fixed":
            return found
        return found.close() if self.attended_low == -1 else union_over_inputs(found, listen)

    @property
    def _multiplied(self) -> SynapticGating:
        """The part of the set with w_i = 0: a lower bound."""
        return SynapticGating(inputs=self.inputs, convention="pm" if self.attended_low else "01")

    def lower(self) -> int:
        if not self.bias:
            return with_a_bias_less(self)
        return self._multiplied.lower()

    def upper(self) -> int:
        n = self.inputs
        gates = bounds.most(n if self.attended_low else n - 1)
        places = n if self.synapse == "any" else 1
        return min(self.ceiling, places * gates * bounds.schlaefli(n + 2, 1 << n))

    @property
    def leading(self) -> tuple[float, int]:
        return 2.0, 2

    @property
    def parameters(self) -> int:
        return 2 * (self.inputs + self.bias) + 1

    @property
    def certified_gates(self) -> int | None:
        return 1 if self.synapse == "fixed" else None

    @property
    def weights(self) -> int:
        return self.inputs + 2

    def sums(
        self, weights: Real[np.ndarray, "batch weights"], signals: Int[np.ndarray, "batch gates points"]
    ) -> Real[np.ndarray, "batch points"]:
        """Weights are (w, c, b); the gated synapse is the last one."""
        n = self.inputs
        grid = points(n, self.attended_low)
        own = np.concatenate([weights[:, :n], weights[:, -1:]], axis=1) @ with_one(grid).T
        return own + weights[:, n : n + 1] * grid[:, -1] * signals[:, 0]
