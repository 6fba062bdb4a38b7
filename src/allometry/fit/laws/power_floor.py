"""The power law in training compute above a floor ("M2" of Alabdulmohsin et al., 2022, arXiv:2209.06640)."""

from typing import ClassVar

from allometry.fit.laws._additive import Additive, Term
from allometry.fit.laws._law import EXPONENT, Parameter


class PowerFloor(Additive):
    """`L = E + A C^-alpha`. On a short range of C, E and alpha trade against each other and only their sum is known."""

    equation: ClassVar[str] = "L = E + A C^-alpha"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter(name="E", unit="loss"),
        Parameter(name="A", unit="loss x FLOPs^alpha"),
        Parameter(name="alpha", unit="", low=EXPONENT[0], high=EXPONENT[1]),
    )
    terms: ClassVar[tuple[Term, ...]] = (Term(coefficient="E"), Term(coefficient="A", powers=(("C", "alpha"),)))
