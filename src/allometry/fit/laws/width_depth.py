"""Loss by width, depth and tokens (Gemstones: McLeish et al., 2025, arXiv:2502.06857)."""

from typing import ClassVar

from allometry.fit.laws._additive import Additive, Term
from allometry.fit.laws._law import EXPONENT, Parameter


class WidthDepth(Additive):
    """`L = E + A width^-alpha + B depth^-beta + G D^-gamma`."""

    delta: float = 1e-3

    equation: ClassVar[str] = "L = E + A width^-alpha + B depth^-beta + G D^-gamma"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter(name="E", unit="loss"),
        Parameter(name="A", unit="loss x width^alpha"),
        Parameter(name="B", unit="loss x depth^beta"),
        Parameter(name="G", unit="loss x tokens^gamma"),
        Parameter(name="alpha", unit="", low=EXPONENT[0], high=EXPONENT[1]),
        Parameter(name="beta", unit="", low=EXPONENT[0], high=EXPONENT[1]),
        Parameter(name="gamma", unit="", low=EXPONENT[0], high=EXPONENT[1]),
    )
    terms: ClassVar[tuple[Term, ...]] = (
        Term(coefficient="E"),
        Term(coefficient="A", powers=(("width", "alpha"),)),
        Term(coefficient="B", powers=(("depth", "beta"),)),
        Term(coefficient="G", powers=(("D", "gamma"),)),
    )
