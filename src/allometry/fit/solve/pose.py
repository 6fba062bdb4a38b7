"""Posed: a law on the points of one group, ready for the search, and the way back to the user's units."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from allometry.fit.criterion import Criterion
from allometry.fit.laws._additive import Additive
from allometry.fit.laws._law import Law
from allometry.fit.solve import project
from allometry.fit.solve.curved import Curved, curved
from allometry.fit.solve.project import Problem
from allometry.flow import Refusal


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Posed:
    """An additive law is centred (variables are divided by their geometric means), so that its columns are near 1."""

    law: Law
    model: Problem | Curved
    fixed: dict[int, float]  # position among the values -> value that is held
    middle: dict[str, float]  # geometric means of the variables; empty where the law is not centred
    pinned: dict[str, float]

    @property
    def names(self) -> tuple[str, ...]:
        """What stands at each position of the values."""
        if isinstance(self.model, Curved):
            return (*self.model.linear, *(parameter.name for parameter in self.model.others))
        assert isinstance(self.law, Additive)
        return self.law.coefficients + self.law.exponents

    @property
    def free(self) -> int:
        """Parameters that are estimated."""
        return len(self.names) - len(self.fixed)

    def named(self, values: Float[np.ndarray, "sets values"]) -> dict[str, Float[np.ndarray, " sets"]]:
        """Every parameter of the law in the user's units."""
        if isinstance(self.model, Curved):
            return {name: self.model.named(values)[name] for name in self.law.names}
        assert isinstance(self.law, Additive)
        terms = self.model.terms
        logs = self.law.logs({name: np.array([value]) for name, value in self.middle.items()})[:, :, 0]
        with np.errstate(over="ignore"):
            coefficients = values[:, :terms] * np.exp(np.einsum("se,te->st", values[:, terms:], logs))
        return dict(zip(self.names, np.concatenate([coefficients, values[:, terms:]], axis=1).T, strict=True))

    def starts(self, observed: Float[np.ndarray, " points"] | None = None) -> Float[np.ndarray, "starts others"]:
        """A grid of the values that the law is not linear in, or where the law says that a search begins."""
        if isinstance(self.model, Curved):
            return self.model.starts(observed)
        grid = project.exponent_grid(self.model.logs.shape[1])
        for position, value in self.fixed.items():
            grid[:, position - self.model.terms] = value
        return np.unique(grid, axis=0) if self.fixed else grid

    def held(self, sets: int) -> dict[int, Float[np.ndarray, " sets"]]:
        return {position: np.full(sets, value) for position, value in self.fixed.items()}


def pose(
    law: Law, columns: Mapping[str, Float[np.ndarray, " points"]], criterion: Criterion, pinned: Mapping[str, float]
) -> Posed:
    """Additive laws go through variable projection in centred variables; others, and pinned coefficients, as they are."""
    unknown = sorted(set(pinned) - set(law.names))
    if unknown:
        raise Refusal(f"pinned= names {', '.join(unknown)}, which {law.name} does not have. It has: {', '.join(law.names)}.")
    settings: dict[str, Any] = {"law": law, "pinned": dict(pinned)}
    if not isinstance(law, Additive) or set(pinned) & set(law.coefficients):
        return Posed(model=curved(law, columns, pinned, criterion), fixed={}, middle={}, **settings)
    middle = {name: float(np.exp(np.log(values).mean())) for name, values in columns.items()}
    logs = law.logs({name: values / middle[name] for name, values in columns.items()})
    low, high = bounds(law)
    problem = Problem(
        logs=logs,
        mask=np.ones((len(logs), logs.shape[2])),
        low=low,
        high=high,
        delta=criterion.delta,
        of=criterion.of,
        over=criterion.over,
    )
    position = {name: index for index, name in enumerate(law.coefficients + law.exponents)}
    return Posed(model=problem, fixed={position[name]: value for name, value in pinned.items()}, middle=middle, **settings)


def bounds(law: Additive) -> tuple[Float[np.ndarray, " exponents"], Float[np.ndarray, " exponents"]]:
    """Lowest and highest values of the exponents."""
    found = [law.parameter(name) for name in law.exponents]
    return np.array([p.low or 0.0 for p in found]), np.array([p.high or np.inf for p in found])
