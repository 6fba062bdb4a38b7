"""Accuracy on a task by loss: a sigmoid (the second step of Bhagia et al., 2024, arXiv:2412.04403).

The column that is fitted is `accuracy`; residuals are differences of accuracies, as they may be 0.
"""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Inexact

from allometry.fit.criterion import PLAIN
from allometry.fit.laws._law import Law, Parameter


class Downstream(Law):
    """`accuracy = floor + gain / (1 + exp((L - middle) / width))`: chance level, then a rise as the loss falls."""

    delta: float = 0.02  # accuracy
    observed: ClassVar[str] = "accuracy"
    of: ClassVar[str] = PLAIN

    equation: ClassVar[str] = "accuracy = floor + gain / (1 + exp((L - middle) / width))"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter(name="floor", unit="accuracy"),
        Parameter(name="gain", unit="accuracy"),
        Parameter(name="middle", unit="loss", low=None, start=(0.0, 0.2, 0.4, 0.6, 0.8, 1.0), data="L"),
        Parameter(name="width", unit="loss", low=1e-3, high=100.0, scale="log", start=(0.01, 0.03, 0.1, 0.3, 1.0, 3.0)),
    )
    variables: ClassVar[tuple[str, ...]] = ("L",)
    coefficients: ClassVar[tuple[str, ...]] = ("floor", "gain")

    def predict(
        self,
        parameters: Mapping[str, float | Inexact[np.ndarray, "..."]],
        columns: Mapping[str, float | Float[np.ndarray, "..."]],
    ) -> Inexact[np.ndarray, "..."]:
        floor, gain, middle, width = (np.asarray(parameters[name]) for name in self.names)
        with np.errstate(over="ignore"):
            return np.asarray(floor + gain / (1 + np.exp((np.asarray(columns["L"], dtype=float) - middle) / width)))
