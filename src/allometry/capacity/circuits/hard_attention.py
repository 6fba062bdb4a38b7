"""A head of hard attention over two values: the unit with the higher score is passed on, f_1(x) if s_1(x) > s_2(x), else f_2(x).

The scores are affine, so that which is higher is one threshold function g = H(s_1 - s_2); the output is f_1 g + f_2 (1 - g), two
output gatings by a gate and its complement.
"""

import numpy as np
from jaxtyping import Int, Real

from allometry.capacity import bounds
from allometry.capacity.circuits._circuit import Circuit, Listen, silent, small_enough
from allometry.capacity.circuits._factors import factor_representatives
from allometry.capacity.symmetry import Functions, Rows
from allometry.capacity.threshold_functions import threshold_functions
from allometry.capacity.truth import complement, points
from allometry.capacity.units import with_one


class HardAttention(Circuit):
    """Two keys, two values. Values are threshold units; with affine values and the threshold after them it is the same set."""

    conventions = ("pm", "01")
    equation = "f1(x) if s1(x) > s2(x) else f2(x)"

    @property
    def gate_low(self) -> int:
        return 0  # chosen or not

    def functions(self, listen: Listen = silent) -> Functions:
        n = self.inputs
        small_enough(n, self.exact_inputs)
        found, every = Rows(n), threshold_functions(n)
        gates = factor_representatives(n)
        for done, g in enumerate(gates):
            first = np.unique(every & g)
            second = np.unique(every & complement(np.array([g]), n)[0])
            for begin in range(0, len(first), 512):
                found.add((first[begin : begin + 512, None] | second).reshape(-1))
            listen(done, len(gates))
        return found.close()

    def lower(self) -> int:
        # A selector as the gate shows any two functions of the other inputs. Two selectors s, t in {-1, +1} show three: the gate
        # H(w·x + b + M (s - t)) at (1, 1), where the values are 1 and 0; the first value at (1, -1); the second one at (-1, 1).
        counts = [bounds.fewest(self.inputs - k) ** (k + 1) for k in range(3) if k <= self.inputs]
        return min(self.ceiling, max(counts))

    def upper(self) -> int:
        return min(self.ceiling, bounds.most(self.inputs) ** 3 // 2)  # (f1, f2, g) and (f2, f1, not g) are one

    @property
    def leading(self) -> tuple[float, int]:
        return 3.0, 2

    @property
    def parameters(self) -> int:
        return 4 * (self.inputs + 1)

    @property
    def certified_gates(self) -> int | None:
        return 1

    @property
    def weights(self) -> int:
        return 2 * (self.inputs + 1)

    def sums(
        self, weights: Real[np.ndarray, "batch weights"], signals: Int[np.ndarray, "batch gates points"]
    ) -> Real[np.ndarray, "batch points"]:
        """Weights are those of the two values, (w, b, v, c)."""
        grid = with_one(points(self.inputs, self.attended_low)).T
        half = self.inputs + 1
        return np.where(signals[:, 0] == 1, weights[:, :half] @ grid, weights[:, half:] @ grid)
