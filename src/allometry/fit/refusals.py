"""Refusals of the fitting engine, by type: each says the fact, its value, and what to run to cure it.

Some are raised because there is no number to give. The others are findings: the numbers stand, and `Fit.findings` says why
not to trust them (`fit(..., strict=True)` raises the first instead).
"""

from allometry.flow import Refusal, TooFar

__all__ = [
    "AtBound",
    "CannotTell",
    "Duplicates",
    "LackOfFit",
    "Mixed",
    "NoInteriorMinimum",
    "NonFinite",
    "NotConverged",
    "NotIdentified",
    "TooFar",
    "TooFewLevels",
    "TooFewPoints",
]


class NoInteriorMinimum(Refusal):
    """The best size of an isoFLOP level is at the edge of the sizes that were run."""


class TooFewLevels(Refusal):
    """Too few compute levels with an optimum to draw a line through."""


class TooFewPoints(Refusal):
    """No more points than parameters."""


class NotIdentified(Refusal):
    """The data allow any value of a parameter on one side at least."""


class AtBound(Refusal):
    """A parameter stands at the end of its range, such as a floor at 0."""


class NotConverged(Refusal):
    """The search did not end in a minimum that its starts agree on."""


class LackOfFit(Refusal):
    """The law misses points by more than runs vary among seeds, or a run diverged."""


class Mixed(Refusal):
    """Losses that cannot be compared stand in one fit."""


class CannotTell(Refusal):
    """Two groups are not distinguishable at the asked level."""


class Duplicates(Refusal):
    """A row stands in the table more than once."""


class NonFinite(Refusal):
    """Rows without a positive finite number in every column that the law needs."""
