"""One linear threshold unit, H(w·x + b): what every circuit with gates is compared with. T(n) functions, OEIS A000609."""

import numpy as np
from jaxtyping import Int, Real

from allometry.capacity import bounds
from allometry.capacity.circuits._circuit import Circuit, Listen, plain, silent, small_enough
from allometry.capacity.neurons import with_one
from allometry.capacity.symmetry import Functions
from allometry.capacity.threshold_functions import (
    classes,
    threshold_functions,
    threshold_functions_count,
    without_bias,
)
from allometry.capacity.truth import points


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
            classes(7, lambda found: listen(found, 2470))
        return threshold_functions_count(self.inputs - (not self.bias))  # odd functions are those of one input less

    def lower(self) -> int:
        return bounds.threshold_at_least(self.inputs - (not self.bias))

    def upper(self) -> int:
        return min(self.ceiling, bounds.schlaefli(self.inputs + self.bias, 1 << self.inputs))

    @property
    def leading(self) -> tuple[float, int]:
        return 1.0, 2

    @property
    def parameters(self) -> int:
        return self.inputs + self.bias

    def sums(
        self, weights: Real[np.ndarray, "batch weights"], signals: Int[np.ndarray, "batch gates points"]
    ) -> Real[np.ndarray, "batch points"]:
        return weights @ with_one(points(self.inputs, self.attended_low)).T
