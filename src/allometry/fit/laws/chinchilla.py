"""Loss by parameters and tokens (Hoffmann et al., 2022, arXiv:2203.15556; Besiroglu et al., 2024, arXiv:2404.10102)."""

from typing import ClassVar

from allometry.fit.laws._additive import Additive, Term
from allometry.fit.laws._law import EXPONENT, Parameter


class Chinchilla(Additive):
    """`L = E + A N^-alpha + B D^-beta`.

    With the published delta of 0.001 nearly all residuals count linearly: the fit is close to least absolute deviations.
    """

    delta: float = 1e-3

    equation: ClassVar[str] = "L = E + A N^-alpha + B D^-beta"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter(name="E", unit="loss"),
        Parameter(name="A", unit="loss x parameters^alpha"),
        Parameter(name="B", unit="loss x tokens^beta"),
        Parameter(name="alpha", unit="", low=EXPONENT[0], high=EXPONENT[1]),
        Parameter(name="beta", unit="", low=EXPONENT[0], high=EXPONENT[1]),
    )
    terms: ClassVar[tuple[Term, ...]] = (
        Term(coefficient="E"),
        Term(coefficient="A", powers=(("N", "alpha"),)),
        Term(coefficient="B", powers=(("D", "beta"),)),
    )
