"""Questions that the next runs may answer: a number that follows from the draws of fits, with a name.

winner("a", "b", C=1e21)    which of two has the lower loss there      winner(C=1e21)   among all groups
exponent("a", "alpha")      a parameter of a group's law               loss_at("a", C=1e21)   its loss there
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from allometry.fit.fits import Fits
from allometry.flow import Refusal


@dataclasses.dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked of some groups; no groups means all of them."""

    kind: str  # winner | exponent | loss
    groups: tuple[str, ...]
    place: dict[str, float]
    parameter: str = ""

    @property
    def text(self) -> str:
        there = ", ".join(f"{name} = {value:.3g}" for name, value in self.place.items())
        if self.kind == "winner":
            return f"which of {' and '.join(self.groups) or 'all groups'} has the lower loss at {there}"
        return (
            f"{self.parameter} of {self.groups[0]}" if self.kind == "exponent" else f"ln loss of {self.groups[0]} at {there}"
        )

    @property
    def unit(self) -> str:
        """What its doubt is in."""
        return {"winner": "ln difference of losses", "loss": "ln loss"}.get(self.kind, f"units of {self.parameter}")

    def among(self, fits: Fits) -> tuple[str, ...]:
        """The groups, after a check that the fits can be asked."""
        names = self.groups or tuple(fits.fits)
        for name in names:
            one = fits[name]
            if self.kind == "exponent":
                if self.parameter not in one.samples:
                    raise Refusal(f"{one.law.name} of {name} has no {self.parameter}. It has: {', '.join(one.law.names)}.")
                continue
            if set(self.place) != set(one.law.variables):
                wanted = ", ".join(f"{variable}=" for variable in one.law.variables)
                raise Refusal(f"{name} is fitted in {', '.join(one.law.variables)}; got {list(self.place)}. Give {wanted}.")
            for variable, value in self.place.items():
                one.check_reach(variable, value)
        if self.kind == "winner" and len(set(names)) < 2:
            raise Refusal(
                f"A winner is one of two groups or more; there is {', '.join(set(names))}. Name two, or fit more groups."
            )
        return names

    def drawn(self, fits: Fits) -> Float[np.ndarray, "sets groups"]:
        """Column for each group: the parameter, or the ln loss; the estimate first, then its draws."""
        names = self.among(fits)
        if self.kind == "exponent":
            return np.stack([fits[name].samples[self.parameter] for name in names], axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.stack([np.log(fits[name].at(**self.place)) for name in names], axis=1)

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self) | {"text": self.text, "unit": self.unit}


def winner(*groups: str, **place: float) -> Question:
    """Which of these groups, or of all, has the lowest loss at a place."""
    return Question(kind="winner", groups=tuple(groups), place=_checked(place))


def exponent(group: str, name: str = "alpha") -> Question:
    """A parameter of the law of a group."""
    return Question(kind="exponent", groups=(group,), place={}, parameter=name)


def loss_at(group: str, **place: float) -> Question:
    """The loss of a group at a place, by its law."""
    return Question(kind="loss", groups=(group,), place=_checked(place))


def _checked(place: Mapping[str, float]) -> dict[str, float]:
    if not place or not all(np.isfinite(value) and value > 0 for value in place.values()):
        raise Refusal(
            f"A question about losses needs a place of positive numbers; got {dict(place)}. Give it, such as C=1e21."
        )
    return dict(place)
