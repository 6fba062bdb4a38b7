"""Output gating: the output of a unit is multiplied by the outputs of K gates, f(x) g_1(x) ... g_K(x).

In {0, 1} the product is AND, in {-1, +1} it is XNOR; an attended unit in {-1, +1} with a gate in {0, 1} gives values -1, 0, 1.
"""

import numpy as np
from jaxtyping import Int, Real

from allometry.capacity import bounds, draws
from allometry.capacity.circuits._circuit import MOST_GATES, MOST_INPUTS, Circuit, Listen, silent, small_enough
from allometry.capacity.circuits._factors import (
    factor_representatives,
    product,
    products,
    products_without_bias,
    shown,
    shown_by,
)
from allometry.capacity.symmetry import Functions, Rows
from allometry.capacity.threshold_functions import representatives
from allometry.capacity.units import monomials, step
from allometry.flow import Refusal


class OutputGating(Circuit):
    """f g_1 ... g_K, all units polynomial threshold units of one degree. `domain` (01, pm) is the range of the inputs, which counts
    only without biases; there H(0) = 1. By default it is 01 for the convention 01, else pm."""

    gates: int = 1
    degree: int = 1
    bias: bool = True
    domain: str = ""

    limits = (
        ("gates", 1, MOST_GATES),
        ("degree", 1, MOST_INPUTS),
    )
    equation = "H(w·x + b) g1(x) ... gK(x)"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.domain not in ("", "01", "pm"):
            raise Refusal(f"domain={self.domain!r} is not known. It is 01 or pm.")
        if not self.bias and (self.convention == "mixed" or self.degree > 1):
            raise Refusal("Without a bias, output_gating is counted in the conventions 01 and pm, at degree 1.")

    @property
    def values(self) -> int:
        return 3 if self.convention == "mixed" else 2

    @property
    def input_low(self) -> int:
        return 0 if self.domain == "01" or (not self.domain and self.convention == "01") else -1

    @property
    def exact_inputs(self) -> int:
        if self.gates > 1 or self.degree > 1:
            return 4
        return 6 if self.values == 3 else 5

    def functions(self, listen: Listen = silent) -> Functions:
        if self.values == 3:
            return super().functions(listen)
        small_enough(self.inputs, self.exact_inputs)
        if not self.bias:
            return products_without_bias(self.inputs, self.gates + 1, self.gate_low, self.input_low, listen)
        others = products(self.inputs, self.gates, self.gate_low, self.degree)
        found = Rows(self.inputs)
        tables = factor_representatives(self.inputs, self.degree)
        for done, table in enumerate(tables):
            found.add(product(others, table, self.inputs, self.gate_low))
            listen(done, len(tables))
        return found.close()

    def count(self, listen: Listen = silent) -> int:
        if self.values == 2:
            return self.functions(listen).count()
        if self.gates == self.degree == 1:
            return sum(
                int(s) * d for s, d in zip(representatives(self.inputs)[1], shown(self.inputs, listen=listen), strict=True)
            )
        return shown_by(products(self.inputs, self.gates, 0, self.degree), self.inputs, self.degree, 1)

    @property
    def estimated(self) -> bool:
        one = self.gates == self.degree == 1 and self.bias
        return one and self.convention in ("pm", "mixed") and self.inputs <= draws.MOST_INPUTS

    def draws(self) -> draws.Draw:
        if not self.estimated:
            return super().draws()
        return (draws.ternary if self.values == 3 else draws.pairs)(self.inputs)

    def lower(self) -> int:
        if not self.bias:  # where one input is 1 its weight is a bias, and the others are free
            less = self.inputs - 1
            return self.edit(inputs=less, bias=True).lower() if less else bounds.fewest(0)
        one = 1 if self.values == 3 else bounds.fewest(self.inputs, self.degree)
        return min(self.ceiling, max(one, bounds.by_selection(self.inputs, self.gates + 1, self.degree)))

    def upper(self) -> int:
        units = bounds.most(self.inputs, self.degree)
        if not self.bias:
            units = bounds.most(self.inputs - 1) if self.input_low == -1 else units // 2  # f(0) = 1 for half of them
            return min(self.ceiling, bounds.products_01(self.gates + 1, units))
        if self.values == 3:
            return min(self.ceiling, units * bounds.products_01(self.gates, units))
        many = bounds.products_01 if self.gate_low == 0 else bounds.products_pm
        return min(self.ceiling, many(self.gates + 1, units))

    @property
    def leading(self) -> tuple[float, int]:
        from math import factorial

        return (self.gates + 1) / factorial(self.degree), self.degree + 1

    @property
    def parameters(self) -> int:
        return (self.gates + 1) * (bounds.features(self.inputs, self.degree) - (not self.bias))

    @property
    def certified_gates(self) -> int | None:
        return 1 if self.gates == self.degree == 1 else None

    @property
    def weights(self) -> int:
        return bounds.features(self.inputs, self.degree)

    def sums(
        self, weights: Real[np.ndarray, "batch weights"], signals: Int[np.ndarray, "batch gates points"]
    ) -> Real[np.ndarray, "batch points"]:
        return weights @ monomials(self.inputs, self.degree, self.input_low).T

    def respond(
        self, weights: Real[np.ndarray, "batch weights"], signals: Int[np.ndarray, "batch gates points"]
    ) -> Int[np.ndarray, "batch points"]:
        return step(self.sums(weights, signals), self.attended_low) * signals.prod(axis=1)

    def demands(
        self, labels: Int[np.ndarray, " points"], signals: Int[np.ndarray, "gates points"]
    ) -> Int[np.ndarray, " points"] | None:
        gate = signals.prod(axis=0)
        if self.values == 3 and (abs(labels) != gate).any():  # the support is the gate
            return None
        if self.gate_low == 0 and (labels[gate == 0] > 0).any():
            return None
        return labels * gate
