"""Loss by parameters, tokens and unique tokens, when data are repeated (Muennighoff et al., 2023, arXiv:2305.16264).

Its authors fit E, A, B, alpha = beta first and hold them still; pass `pinned=` to do the same.
"""

# ruff: noqa: N806 - N, D and U are the letters of the field

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Inexact

from allometry.fit.laws._law import EXPONENT, Law, Parameter
from allometry.fit.laws.chinchilla import Chinchilla
from allometry.fit.solve import project
from allometry.fit.solve.pose import pose

LARGE = 1e5  # a decay constant at which repeating costs nothing any more
TINY = 1e-3  # one at which repeating is worth nothing


class Repetition(Law):
    """`L = E + A / N'^alpha + B / D'^beta`, where repeats count less and less:

    D' = U (1 + R_D (1 - exp(-(D / U - 1) / R_D))),  N' the same with R_N and U_N = min(N, the optimal N for U tokens).

    Tokens that were never seen say nothing, so U is at most D.
    """

    delta: float = 1e-3

    equation: ClassVar[str] = (
        "L = E + A N'^-alpha + B D'^-beta, D' = U (1 + R_D (1 - exp(-(D/U - 1)/R_D))), N' likewise with R_N"
    )
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter(name="E", unit="loss"),
        Parameter(name="A", unit="loss x parameters^alpha", low=1e-3, scale="log", start=(10.0, 100.0, 1e3, 1e4, 1e5)),
        Parameter(name="B", unit="loss x tokens^beta", low=1e-3, scale="log", start=(10.0, 100.0, 1e3, 1e4, 1e5)),
        Parameter(name="alpha", unit="", low=EXPONENT[0], high=2.0, start=(0.2, 0.35, 0.5)),
        Parameter(name="beta", unit="", low=EXPONENT[0], high=2.0, start=(0.2, 0.35, 0.5)),
        Parameter(name="R_D", unit="epochs", low=TINY, high=LARGE, scale="log", start=(2.0, 5.0, 15.0, 50.0, 500.0)),
        Parameter(name="R_N", unit="", low=TINY, high=LARGE, scale="log", start=(0.5, 2.0, 5.0, 20.0, 200.0)),
    )
    variables: ClassVar[tuple[str, ...]] = ("N", "D", "U")
    coefficients: ClassVar[tuple[str, ...]] = ("E",)

    def begin(
        self, columns: Mapping[str, Float[np.ndarray, " points"]], observed: Float[np.ndarray, " points"]
    ) -> dict[str, Float[np.ndarray, " starts"]]:
        """The law of unrepeated data, fitted to the rows with few epochs (and to more), with all decay constants."""
        law = Chinchilla()
        epochs = columns["D"] / np.minimum(columns["U"], columns["D"])
        rows = []
        for most in (1.5, 6.0, np.inf):
            few = epochs <= most
            if few.sum() <= len(law.parameters):
                continue
            posed = pose(law, {name: columns[name][few] for name in law.variables}, law.criterion, {})
            assert isinstance(posed.model, project.Problem)
            found = project.solve(posed.model, observed[None, few], np.ones((1, int(few.sum()))), posed.starts())
            at = {name: float(value[0]) for name, value in posed.named(found.values).items()}
            # A term that the few rows do not support still has to begin somewhere.
            at = {name: max(value, 1.0) if name in ("A", "B") else value for name, value in at.items()}
            at |= {name: float(np.clip(at[name], 0.05, 1.0)) for name in ("alpha", "beta")}
            for R_D in self.parameter("R_D").start:
                rows += [at | {"R_D": R_D, "R_N": R_N} for R_N in self.parameter("R_N").start]
        return {name: np.array([row[name] for row in rows]) for name in self.names}

    def predict(
        self,
        parameters: Mapping[str, float | Inexact[np.ndarray, "..."]],
        columns: Mapping[str, float | Float[np.ndarray, "..."]],
    ) -> Inexact[np.ndarray, "..."]:
        E, A, B, alpha, beta, R_D, R_N = (np.asarray(parameters[name]) for name in self.names)
        N, D, U = (np.asarray(columns[name], dtype=float) for name in self.variables)
        U = np.minimum(U, D)
        G = (alpha * A / (beta * B)) ** (1 / (alpha + beta))
        optimal = (U * G) ** (beta / alpha) * G  # parameters, for U tokens seen once
        U_N = np.where(optimal.real < N, optimal, N)
        D_worth = U + U * R_D * -np.expm1(-(D / U - 1) / R_D)
        N_worth = U_N + U_N * R_N * -np.expm1(-(N / U_N - 1) / R_N)
        return np.asarray(E + A / N_worth**alpha + B / D_worth**beta)
