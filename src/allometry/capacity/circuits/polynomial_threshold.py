"""One polynomial threshold unit, H(p(x)) with a polynomial p of degree d. T(n, d) functions."""

import math

import numpy as np
from jaxtyping import Int, Real

from allometry.capacity import bounds
from allometry.capacity.circuits._circuit import MOST_INPUTS, Circuit, Listen, plain, silent, small_enough
from allometry.capacity.polynomial_functions import (
    known,
    polynomial_threshold_functions,
    polynomial_threshold_functions_count,
)
from allometry.capacity.quadratic import QuadraticFunctions
from allometry.capacity.symmetry import Functions
from allometry.capacity.units import monomials


class PolynomialThreshold(Circuit):
    """H(p(x)): p has all products of up to d inputs, and a constant."""

    degree: int = 2

    conventions = ("pm", "01")
    limits = (("degree", 1, MOST_INPUTS),)
    equation = "H(p(x)), deg p <= d"

    @property
    def exact_inputs(self) -> int:
        if self.degree >= self.inputs - 1 > 0 or self.degree >= self.inputs:
            return self.inputs
        return {1: 6, 2: 5, 3: 5}.get(self.degree, 4)

    def functions(self, listen: Listen = silent) -> Functions:
        if not known(self.inputs, self.degree):
            small_enough(self.inputs, 4)
        return plain(self.inputs, polynomial_threshold_functions(self.inputs, self.degree))

    def count(self, listen: Listen = silent) -> int:
        if (self.inputs, self.degree) == (5, 2):
            return QuadraticFunctions(5, listen).count()
        return polynomial_threshold_functions_count(self.inputs, self.degree)

    def lower(self) -> int:
        return bounds.fewest(self.inputs, self.degree)

    def upper(self) -> int:
        return bounds.most(self.inputs, self.degree)

    @property
    def leading(self) -> tuple[float, int]:
        return 1 / math.factorial(self.degree), self.degree + 1

    @property
    def parameters(self) -> int:
        return bounds.features(self.inputs, self.degree)

    @property
    def certified_gates(self) -> int | None:
        return 0

    @property
    def weights(self) -> int:
        return self.parameters

    def sums(
        self, weights: Real[np.ndarray, "batch weights"], signals: Int[np.ndarray, "batch gates points"]
    ) -> Real[np.ndarray, "batch points"]:
        return weights @ monomials(self.inputs, self.degree, self.attended_low).T
