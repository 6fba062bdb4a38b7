"""Law: a functional form of the loss, with the unit, bounds and meaning of every parameter.

Two kinds. An `Additive` law (`_additive.py`) is a sum of products of powers; a law of any other shape states `predict` and
which of its parameters it is linear in. No law writes derivatives: the solver takes them itself
(`solve/project.py`, `solve/curved.py`).
Variables are columns of a table: N (parameters), D (tokens), C (training FLOPs), M = D / N, U (unique tokens), ...
"""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Inexact

from allometry.fit.criterion import LN, Criterion
from allometry.spec import Spec

EXPONENT = (0.002, 8.0)  # bounds of every exponent; beyond them a power law is a constant or a wall


class Parameter(Spec):
    """One number of a law."""

    name: str
    unit: str
    low: float | None = 0.0
    high: float | None = None
    scale: str = "linear"  # "log": positive, searched by its logarithm
    start: tuple[float, ...] = ()  # values that a search begins from; needed where the law is not linear in it
    data: str = ""  # a variable: `start` are quantiles of it


class Law(Spec):
    """What every law states. The name of a law is the name of its file."""

    delta: float = 0.01  # residuals beyond it count linearly (Huber), not quadratically

    equation: ClassVar[str]
    parameters: ClassVar[tuple[Parameter, ...]]
    variables: ClassVar[tuple[str, ...]]
    coefficients: ClassVar[tuple[str, ...]] = ()  # parameters that the law is linear in
    observed: ClassVar[str] = "loss"  # the column that is fitted
    of: ClassVar[str] = LN  # what residuals are differences of

    @property
    def name(self) -> str:
        return self._named or type(self).__module__.rsplit(".", 1)[-1]

    @property
    def criterion(self) -> Criterion:
        return Criterion(delta=self.delta, of=self.of)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(parameter.name for parameter in self.parameters)

    def parameter(self, name: str) -> Parameter:
        return next(parameter for parameter in self.parameters if parameter.name == name)

    def begin(
        self, columns: Mapping[str, Float[np.ndarray, " points"]], observed: Float[np.ndarray, " points"]
    ) -> dict[str, Float[np.ndarray, " starts"]] | None:
        """Where to begin the search, as one value of every parameter for each start; None: at combinations of `start`."""
        return None

    def predict(
        self,
        parameters: Mapping[str, float | Inexact[np.ndarray, "..."]],
        columns: Mapping[str, float | Float[np.ndarray, "..."]],
    ) -> Inexact[np.ndarray, "..."]:
        """The loss at `columns`. Parameters and columns are broadcast: draws as [draws 1] meet points as [points].

        Complex parameters must pass through: the imaginary part of the answer is then the derivative (complex step).
        """
        raise NotImplementedError(f"{type(self).__name__} says no predict().")
