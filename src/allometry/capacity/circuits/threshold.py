"""One linear threshold unit, H(w·x + b): what every circuit with gates is compared with. T(n) functions, OEIS A000609."""

import numpy as np
from jaxtyping import Int, Real

from allometry.capacity import bounds
from allometry.capacity.circuits._circuit import Circuit, Listen, plain, silent, small_enough
from allometry.capacity.symmetry import Functions
from allometry.capacity.threshold_functions import (
    PUBLISHED,
    self_dual_classes,
    threshold_functions,
    threshold_functions_count,
    without_bias,
)
from allometry.capacity.truth import points
from allometry.capacity.units import with_one


class Threshold(Circuit):
    """H(w·x + b). Without a bias the range of the inputs counts: in {0, 1} the value at x = 0 is 1, as H(0) = 1 there."""

    bias: bool = True

    conventions = ("pm", "01")
    equation = "H(w·x + b)"

    @property
    def exact_inputs(self) -> int:
        return 7 if self.bias else 5 if self.convention == "01" else 8

    def functions(self, listen: Listen = silent) -> Functions:
        small_enough(self.inputs, 5)
        return plain(
            self.inputs, threshold_functions(self.inputs) if self.bias else without_bias(self.inputs, self.attended_low)
        )

    def count(self, listen: Listen = silent) -> int:
        if not self.bias and self.convention == "01":
            return len(without_bias(self.inputs, 0))
        if self.inputs == 7 + (not self.bias):
            self_dual_classes(7, lambda found: listen(found, 2470))
        return threshold_functions_count(self.inputs - (not self.bias))  # odd functions are those of one input less

    @property
    def published(self) -> int | None:
        inputs = self.inputs - (not self.bias)
        known = inputs < len(PUBLISHED) and (self.bias or self.convention == "pm")
        return PUBLISHED[inputs] if known else None

    def lower(self) -> int:
        return bounds.fewest(self.inputs - (not self.bias))  # in {0, 1} too: at x_n = 1 the weight of x_n is a bias

    def upper(self) -> int:
        if self.bias:
            return bounds.most(self.inputs)
        if self.convention == "pm":
            return bounds.most(self.inputs - 1)
        return min(
            bounds.most(self.inputs) // 2, bounds.schlaefli(self.inputs, 1 << self.inputs)
        )  # f(0) = 1 for half of them

    @property
    def leading(self) -> tuple[float, int]:
        return 1.0, 2

    @property
    def parameters(self) -> int:
        return self.inputs + self.bias

    @property
    def certified_gates(self) -> int | None:
        return 0

    def sums(
        self, weights: Real[np.ndarray, "batch weights"], signals: Int[np.ndarray, "batch gates points"]
    ) -> Real[np.ndarray, "batch points"]:
        return weights @ with_one(points(self.inputs, self.attended_low)).T
