"""A linear form and k products of two linear forms, H(l_0(x) + l_1(x) l_1'(x) + ... + l_k(x) l_k'(x)): quadratic terms, sparsely.

A product of two linear units is one output gating. k = 0 gives the threshold functions. k = floor(n/2) gives all quadratic ones:
x_i^2 = 1 leaves the diagonal of the quadratic form free, the middle of its eigenvalues can be moved to 0 (n odd) or between the
two in the middle (n even), and a form with at most k positive and k negative eigenvalues is a sum of k products. At n = 4 one
product is enough too: random weights give 57,382 of the 57,574 quadratic functions, and the 192 others are one function and its
images under B_4, with weights of their own (`LAST`).
"""

import numpy as np
from jaxtyping import Int, Real

from allometry.capacity import bounds
from allometry.capacity.circuits._circuit import MOST_GATES, Circuit, Listen, plain, silent, small_enough
from allometry.capacity.polynomial_functions import polynomial_threshold_functions
from allometry.capacity.quadratic import QuadraticFunctions
from allometry.capacity.symmetry import Functions
from allometry.capacity.threshold_functions import threshold_functions, threshold_functions_count
from allometry.capacity.truth import points
from allometry.capacity.units import with_one

# The table of that function, and weights of l_1, l_1', l_0 (biases last), found by linear programs.
LAST = 0x779, (-3, -1, -2, -2, 2, -1, 0, 1, 1, 1, 3, -1, -3, -3, -3)


class LinearPlusProducts(Circuit):
    """`gates` is k, the number of products; 0 is one threshold unit."""

    gates: int = 1

    conventions = ("pm", "01")
    limits = (("gates", 0, MOST_GATES),)
    equation = "H(l0(x) + l1(x) l1'(x) + ... + lk(x) lk'(x))"

    @property
    def exact_inputs(self) -> int:
        return {0: 7, 1: 4}.get(self.gates, 5)  # to n = 4 one product gives all quadratic functions, at n = 5 two do

    def functions(self, listen: Listen = silent) -> Functions:
        if self.gates == 0:
            small_enough(self.inputs, 5)
            return plain(self.inputs, threshold_functions(self.inputs))
        small_enough(self.inputs, 4)
        return plain(self.inputs, polynomial_threshold_functions(self.inputs, 2))

    def count(self, listen: Listen = silent) -> int:
        if self.gates == 0:
            return threshold_functions_count(self.inputs)
        return QuadraticFunctions(5, listen).count() if self.inputs == 5 <= self.exact_inputs else super().count(listen)

    def lower(self) -> int:
        least = bounds.fewest(self.inputs)
        return min(self.ceiling, max(least, bounds.by_selection(self.inputs, 2) if self.gates else least))

    def upper(self) -> int:
        if self.gates == 0:
            return bounds.most(self.inputs)
        return min(bounds.most(self.inputs, 2), bounds.warren(1 << self.inputs, 2, self.parameters))

    @property
    def leading(self) -> tuple[float, int] | None:
        return None if self.gates else (1.0, 2)

    @property
    def leading_at_most(self) -> tuple[float, int]:
        """k products, k held still, have (2 k + 1) (n + 1) parameters, of at most about n bits each."""
        return 2.0 * self.gates + 1, 2

    @property
    def parameters(self) -> int:
        return (2 * self.gates + 1) * (self.inputs + 1)

    @property
    def weights(self) -> int:
        return self.parameters

    def sums(
        self, weights: Real[np.ndarray, "batch weights"], signals: Int[np.ndarray, "batch gates points"]
    ) -> Real[np.ndarray, "batch points"]:
        """Weights are those of l_1, l_1', ..., l_k, l_k', l_0."""
        forms = weights.reshape(len(weights), 2 * self.gates + 1, self.inputs + 1)
        values = forms @ with_one(points(self.inputs, self.attended_low)).T
        return values[:, -1] + (values[:, 0:-1:2] * values[:, 1:-1:2]).sum(axis=1)
