"""Loss by compute and tokens per parameter (Gadre et al., 2024, arXiv:2403.08540): Chinchilla with alpha = beta = 2 eta.

Its authors fit by least squares of the loss itself: `Criterion(delta=None, of="loss")`.
"""

from typing import ClassVar

from allometry.fit.laws._additive import Additive, Term
from allometry.fit.laws._law import EXPONENT, Parameter


class OverTraining(Additive):
    """`L = E + (a M^eta + b M^-eta) C^-eta` with M = D / N. Good only where N and D have one exponent."""

    equation: ClassVar[str] = "L = E + (a M^eta + b M^-eta) C^-eta"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter(name="E", unit="loss"),
        Parameter(name="a", unit="loss x FLOPs^eta"),
        Parameter(name="b", unit="loss x FLOPs^eta"),
        Parameter(name="eta", unit="", low=EXPONENT[0], high=EXPONENT[1]),
    )
    terms: ClassVar[tuple[Term, ...]] = (
        Term(coefficient="E"),
        Term(coefficient="a", powers=(("C", "eta"), ("M", "eta", -1.0))),
        Term(coefficient="b", powers=(("C", "eta"), ("M", "eta"))),
    )
