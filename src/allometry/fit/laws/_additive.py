"""Additive: a law that is a sum of products of powers.

    L = sum over terms of  c * product over variables x of x ** -(e * f),        c >= 0

The form is the point: for fixed exponents e it is linear in the coefficients c, so only the exponents are searched
(variable projection, Golub & Pereyra 1973; see `solve/project.py`). To add a law, copy `power_floor.py`: a class that states its
equation, its parameters and its terms.
"""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Inexact

from allometry.fit.laws._law import Law
from allometry.spec import Spec


class Term(Spec):
    """`coefficient * product of variable ** -(exponent * factor)`; without powers it is the floor."""

    coefficient: str
    powers: tuple[tuple[str, str] | tuple[str, str, float], ...] = ()  # (variable, name of its exponent[, factor])

    @property
    def factors(self) -> tuple[tuple[str, str, float], ...]:
        return tuple((power[0], power[1], power[2] if len(power) == 3 else 1.0) for power in self.powers)


class Additive(Law):
    """A law by its terms."""

    terms: ClassVar[tuple[Term, ...]]

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        terms = cls.__dict__.get("terms", ())
        cls.coefficients = tuple(term.coefficient for term in terms)
        cls.variables = tuple(dict.fromkeys(variable for term in terms for variable, _, _ in term.factors))

    @property
    def exponents(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(exponent for term in self.terms for _, exponent, _ in term.factors))

    def predict(
        self,
        parameters: Mapping[str, float | Inexact[np.ndarray, "..."]],
        columns: Mapping[str, float | Float[np.ndarray, "..."]],
    ) -> Inexact[np.ndarray, "..."]:
        total = np.zeros(())
        for term in self.terms:
            coefficient = np.asarray(parameters[term.coefficient]) + 0.0
            power = np.zeros(())
            for variable, exponent, factor in term.factors:
                power = power - factor * np.asarray(parameters[exponent]) * np.log(np.asarray(columns[variable], float))
            if np.iscomplexobj(coefficient) or np.iscomplexobj(power):
                total = total + coefficient * np.exp(power)
                continue
            # In logarithms, because A alone may be beyond 1e100 where A C^-alpha is near 1.
            with np.errstate(divide="ignore", invalid="ignore"):
                total = total + np.exp(np.log(coefficient) + power)
        return np.asarray(total)

    def logs(self, columns: Mapping[str, Float[np.ndarray, " points"]]) -> Float[np.ndarray, "terms exponents points"]:
        """What multiplies each exponent in each term: the logarithms of the variables."""
        points = len(next(iter(columns.values())))
        result = np.zeros((len(self.terms), len(self.exponents), points))
        for row, term in enumerate(self.terms):
            for variable, exponent, factor in term.factors:
                result[row, self.exponents.index(exponent)] += factor * np.log(columns[variable])
        return result
