"""The plain power law in training compute: a line in log-log ("M1" of Alabdulmohsin et al., 2022, arXiv:2209.06640)."""

from typing import ClassVar

from allometry.fit.laws._additive import Additive, Term
from allometry.fit.laws._law import EXPONENT, Parameter


class Power(Additive):
    """`L = A C^-alpha`. It has no floor, so far beyond the data it promises too much."""

    equation: ClassVar[str] = "L = A C^-alpha"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter(name="A", unit="loss x FLOPs^alpha"),
        Parameter(name="alpha", unit="", low=EXPONENT[0], high=EXPONENT[1]),
    )
    terms: ClassVar[tuple[Term, ...]] = (Term(coefficient="A", powers=(("C", "alpha"),)),)
