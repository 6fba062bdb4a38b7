"""Law: a functional form of the loss that is a sum of products of powers.

    L = sum over terms of  c * product over variables x of x ** -e,        c >= 0

The form is the point: for fixed exponents e it is linear in the coefficients c, so only the exponents are searched
(variable projection, Golub & Pereyra 1973; see `project.py`). Variables are N (parameters), D (tokens), C (training FLOPs).
To add a law, copy `power_floor.py`: a class that states its equation, its parameters and its terms.
"""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from allometry.spec import Spec

EXPONENT = (0.002, 8.0)  # bounds of every exponent; beyond them a power law is a constant or a wall


class Parameter(Spec):
    """One number of a law."""

    name: str
    unit: str
    low: float = 0.0
    high: float | None = None


class Term(Spec):
    """`coefficient * product of variable ** -exponent`; without powers it is the floor."""

    coefficient: str
    powers: tuple[tuple[str, str], ...] = ()  # (variable, name of its exponent)


class Law(Spec):
    """What every law states. The name of a law is the name of its file."""

    delta: float = 0.01  # ln loss; residuals beyond it count linearly (Huber), not quadratically

    equation: ClassVar[str]
    parameters: ClassVar[tuple[Parameter, ...]]
    terms: ClassVar[tuple[Term, ...]]

    @property
    def name(self) -> str:
        return type(self).__module__.rsplit(".", 1)[-1]

    @property
    def coefficients(self) -> tuple[str, ...]:
        return tuple(term.coefficient for term in self.terms)

    @property
    def exponents(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(exponent for term in self.terms for _, exponent in term.powers))

    @property
    def variables(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(variable for term in self.terms for variable, _ in term.powers))

    def predict(
        self,
        parameters: Mapping[str, float | Float[np.ndarray, "..."]],
        columns: Mapping[str, float | Float[np.ndarray, "..."]],
    ) -> Float[np.ndarray, "..."]:
        """The loss at `columns`. Parameters and columns are broadcast: draws as [draws 1] meet points as [points]."""
        total = np.zeros(())
        for term in self.terms:
            # In logarithms, because A alone may be beyond 1e100 where A C^-alpha is near 1.
            with np.errstate(divide="ignore"):
                part = np.log(np.asarray(parameters[term.coefficient], dtype=float))
            for variable, exponent in term.powers:
                part = part - np.asarray(parameters[exponent]) * np.log(np.asarray(columns[variable], dtype=float))
            total = total + np.exp(part)
        return np.asarray(total, dtype=float)

    def logs(self, columns: Mapping[str, Float[np.ndarray, " points"]]) -> Float[np.ndarray, "terms exponents points"]:
        """What multiplies each exponent in each term: the logarithms of the variables."""
        points = len(next(iter(columns.values())))
        result = np.zeros((len(self.terms), len(self.exponents), points))
        for row, term in enumerate(self.terms):
            for variable, exponent in term.powers:
                result[row, self.exponents.index(exponent)] += np.log(columns[variable])
        return result
