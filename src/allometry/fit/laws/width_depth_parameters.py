"""Loss by width, depth, parameters and tokens (Gemstones: McLeish et al., 2025, arXiv:2502.06857)."""

from typing import ClassVar

from allometry.fit.laws._additive import Additive, Term
from allometry.fit.laws._law import EXPONENT, Parameter


class WidthDepthParameters(Additive):
    """`L = E + A width^-alpha + B depth^-beta + F N^-phi + G D^-gamma`."""

    delta: float = 1e-3

    equation: ClassVar[str] = "L = E + A width^-alpha + B depth^-beta + F N^-phi + G D^-gamma"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter(name="E", unit="loss"),
        Parameter(name="A", unit="loss x width^alpha"),
        Parameter(name="B", unit="loss x depth^beta"),
        Parameter(name="F", unit="loss x parameters^phi"),
        Parameter(name="G", unit="loss x tokens^gamma"),
        Parameter(name="alpha", unit="", low=EXPONENT[0], high=EXPONENT[1]),
        Parameter(name="beta", unit="", low=EXPONENT[0], high=EXPONENT[1]),
        Parameter(name="phi", unit="", low=EXPONENT[0], high=EXPONENT[1]),
        Parameter(name="gamma", unit="", low=EXPONENT[0], high=EXPONENT[1]),
    )
    terms: ClassVar[tuple[Term, ...]] = (
        Term(coefficient="E"),
        Term(coefficient="A", powers=(("width", "alpha"),)),
        Term(coefficient="B", powers=(("depth", "beta"),)),
        Term(coefficient="F", powers=(("N", "phi"),)),
        Term(coefficient="G", powers=(("D", "gamma"),)),
    )
