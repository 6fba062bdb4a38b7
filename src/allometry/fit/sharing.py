"""Sharing: one floor, or one exponent, for several groups; fitted jointly, and tested against each group having its own.

A short range of compute cannot tell a floor from a slow exponent, group by group. Equal floors or exponents are an assumption
to be tested: the groups' own estimates are compared in units of their own doubt, which may differ from group to group, and what
such a distance means is read from draws of each group around its estimate. The difference that such data would show in 80 % of
cases is stated beside it.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy import stats

from allometry.fit import rows
from allometry.fit.criterion import LN, Criterion
from allometry.fit.laws._additive import Additive
from allometry.fit.laws._law import Law
from allometry.fit.own import law_of
from allometry.fit.plain import plain
from allometry.fit.refusals import CannotTell, TooFewPoints
from allometry.fit.solve import descend, project
from allometry.fit.solve.pose import bounds, pose
from allometry.fit.solve.project import Problem
from allometry.fit.solve.resample import resample
from allometry.fit.solve.search import SAME, Found, again, search
from allometry.flow import Refusal

DRAWS = 500  # of each group's own fit, in the test of sharing


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Joint:
    """All groups as one additive problem; a shared parameter stands once, another once for each group."""

    law: Additive
    problem: Problem
    middle: dict[str, float]
    position: tuple[dict[str, int], ...]  # for each group: parameter -> position among the values
    starts: Float[np.ndarray, "starts values"]

    def named(self, values: Float[np.ndarray, "sets values"], group: int) -> dict[str, Float[np.ndarray, " sets"]]:
        """The parameters of one group in the user's units."""
        found = {name: values[:, index] for name, index in self.position[group].items()}
        logs = self.law.logs({name: np.array([value]) for name, value in self.middle.items()})[:, :, 0]
        exponents = np.stack([found[name] for name in self.law.exponents], axis=1)
        back = np.exp(np.einsum("se,te->st", exponents, logs))
        return found | {name: found[name] * back[:, i] for i, name in enumerate(self.law.coefficients)}

    def search(self, loss: Float[np.ndarray, " rows"]) -> Found:
        count, terms = len(self.starts), self.problem.terms
        many = np.repeat(loss[None], count, axis=0), np.ones((count, len(loss)))
        ended = descend.refine(self.problem, *many, self.starts[:, :terms], self.starts[:, terms:], steps=500)
        best = int(ended.objective.argmin())
        lowest, values = float(ended.objective[best]), ended.values[best]
        force = descend.gradient(self.problem, many[0][:1], many[1][:1], values[None])
        return Found(
            values=values,
            objective=lowest,
            starts=count,
            agreeing=int((ended.objective <= lowest * (1 + SAME) + 1e-15).sum()),
            screened=count,
            gradient=float(force[0]),
            condition=1.0,
            unmoved=(),
        )

    def again(
        self, loss: Float[np.ndarray, "sets rows"], weights: Float[np.ndarray, "sets rows"], found: Found, steps: int = 40
    ) -> Float[np.ndarray, "sets values"]:
        start, terms = np.tile(found.values, (len(loss), 1)), self.problem.terms
        return descend.refine(self.problem, loss, weights, start[:, :terms], start[:, terms:], steps=steps).values


def jointly(
    law: Additive,
    columns: Mapping[str, Float[np.ndarray, " rows"]],
    group: Int[np.ndarray, " rows"],
    criterion: Criterion,
    shared: tuple[str, ...],
    loss: Float[np.ndarray, " rows"],
) -> Joint:
    """Build the joint problem; its starts are the groups' own minima with the shared parameters at their mean, and around."""
    middle = {name: float(np.exp(np.log(values).mean())) for name, values in columns.items()}
    logs = law.logs({name: values / middle[name] for name, values in columns.items()})
    groups, points = int(group.max()) + 1, len(group)
    places: dict[tuple[str, int], int] = {}
    for names in (law.coefficients, law.exponents):
        for index in range(groups):
            for name in names:
                key = (name, 0 if name in shared else index)
                places.setdefault(key, len(places))
    position = tuple(
        {name: places[name, 0 if name in shared else index] for name in law.coefficients + law.exponents}
        for index in range(groups)
    )
    terms = len({spot[name] for spot in position for name in law.coefficients})
    all_logs, mask = np.zeros((terms, len(places) - terms, points)), np.zeros((terms, points))
    low, high = np.zeros(len(places) - terms), np.zeros(len(places) - terms)
    own_low, own_high = bounds(law)
    for index, spot in enumerate(position):
        here = group == index
        for t, coefficient in enumerate(law.coefficients):
            mask[spot[coefficient], here] = 1
            for e, exponent in enumerate(law.exponents):
                all_logs[spot[coefficient], spot[exponent] - terms, here] = logs[t, e, here]
                low[spot[exponent] - terms], high[spot[exponent] - terms] = own_low[e], own_high[e]
    problem = Problem(
        logs=all_logs, mask=mask, low=low, high=high, delta=criterion.delta, of=criterion.of, over=criterion.over
    )
    starts = _starts(law, logs, group, criterion, shared, loss, position, len(places))
    return Joint(law=law, problem=problem, middle=middle, position=position, starts=starts)


def _starts(
    law: Additive,
    logs: Float[np.ndarray, "terms exponents rows"],
    group: Int[np.ndarray, " rows"],
    criterion: Criterion,
    shared: tuple[str, ...],
    loss: Float[np.ndarray, " rows"],
    position: tuple[dict[str, int], ...],
    size: int,
) -> Float[np.ndarray, "starts values"]:
    """Shared exponents at every group's own value and at their mean; coefficients by least squares, group by group."""
    low, high = bounds(law)
    grid = project.exponent_grid(len(low))
    problems, own = [], []
    for index in range(len(position)):
        here = group == index
        problem = Problem(
            logs=logs[:, :, here],
            mask=np.ones((len(logs), int(here.sum()))),
            low=low,
            high=high,
            delta=criterion.delta,
            of=criterion.of,
            over=criterion.over,
        )
        problems.append(problem)
        own.append(project.solve(problem, loss[None, here], np.ones((1, int(here.sum()))), grid).values[0])
    alone = np.stack(own)
    terms = len(law.coefficients)
    begins = [*alone, alone.mean(axis=0), np.median(alone, axis=0)]
    found = np.zeros((2 * len(begins), size))
    for row, begin in enumerate(begins * 2):
        for index, spot in enumerate(position):
            exponents = np.where([name in shared for name in law.exponents], begin[terms:], alone[index, terms:])
            here = group == index
            gram, right = project.grams(problems[index], loss[None, here], np.ones((1, int(here.sum()))), exponents[None])
            coefficients = project.nonnegative(gram[0], right[0])[0][0]
            for i, name in enumerate(law.coefficients):
                # In the second half a shared floor begins at the lowest of the groups' floors, not at this group's.
                floor = name in shared and row >= len(begins)
                found[row, spot[name]] = alone[:, i].min() if floor else coefficients[i]
            for i, name in enumerate(law.exponents):
                found[row, spot[name]] = exponents[i]
    return found


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sharing:
    """Whether the groups need their own values of some parameters."""

    shared: tuple[str, ...]
    together: float  # criterion with shared parameters
    apart: float  # criterion with separate ones
    ratio: float  # squared distance of the groups from their mean, in units of their doubt, for each degree of freedom
    probability: float  # of such a ratio when the parameters are equal
    level: float
    values: dict[str, dict[str, float]]  # group -> parameter -> its own estimate
    detectable: dict[str, float]  # parameter -> difference that such data show in 80 % of cases

    @property
    def distinguishable(self) -> bool:
        return self.probability < 1 - self.level

    @property
    def text(self) -> str:
        what = " and ".join(self.shared)
        power = ", ".join(f"{value:.3g} in {name}" for name, value in self.detectable.items())
        if self.distinguishable:
            return f"The groups differ in {what} (probability {self.probability:.2g} if they did not)."
        return (
            f"Not distinguishable: the data do not tell the groups' {what} apart (probability {self.probability:.2g}); "
            f"only a difference of about {power} would mostly be seen."
        )

    def verdict(self) -> str:
        """The group with the largest first parameter (the steepest, or with the highest floor). Raises CannotTell."""
        if not self.distinguishable:
            raise CannotTell(f"{self.text} Run more sizes or seeds, or a wider range.")
        return max(self.values, key=lambda group: self.values[group][self.shared[0]])

    def to_json(self) -> dict[str, Any]:
        return plain(dataclasses.asdict(self) | {"distinguishable": self.distinguishable, "text": self.text})


def share(
    table: pd.DataFrame,
    shared: Sequence[str],
    *,
    law: str | Law | type[Law] | Callable[..., Any] = "power_floor",
    by: str = "family",
    columns: Mapping[str, str] | None = None,
    criterion: Criterion | None = None,
    cluster: Sequence[str] = (),
    mixed: bool = False,
    level: float = 0.9,
) -> Sharing:
    """Test whether all groups may share these parameters. `distinguishable` is the answer, `text` says it.

    Rows of one run (`cluster`, default: `run`) count as one, as in the intervals of fit.
    """
    chosen = law_of(law, columns or ())
    measured = criterion or chosen.criterion
    if not isinstance(chosen, Additive) or not shared or set(shared) - {"E", *chosen.exponents}:
        raise Refusal(f"share() tests a floor E or exponents of an additive law; got {tuple(shared)} of {chosen.equation}.")
    positive = measured.of == LN
    read = rows.read(table, chosen.variables, by, columns or {}, positive=positive, cluster=cluster, mixed=mixed)
    if len(read.groups) < 2:
        raise Refusal(
            f"share() compares two groups or more; {by} has one, {read.groups[0]}. Choose another column with by=."
        )
    apart, values, strays = 0.0, {}, []
    generator = np.random.default_rng(0)
    for index, group in enumerate(read.groups):
        here = read.group == index
        loss, run = read.loss[here], read.run[here]
        posed = pose(chosen, {name: v[here] for name, v in read.columns.items()}, measured, {})
        runs = len(np.unique(run))
        if runs <= posed.free:
            raise TooFewPoints(
                f"{group} has {runs} runs for {posed.free} parameters, so its doubt is not known. "
                "Add runs, or use a law with fewer parameters."
            )
        found = search(posed, loss, np.ones(len(loss)))
        apart += found.objective
        values[group] = {name: float(v[0]) for name, v in posed.named(found.values[None]).items()}
        fitted = posed.model.predicted(found.values[None])[0]
        drawn, weights, _ = resample(loss, fitted, run, posed.free, DRAWS, measured.of, generator)
        named = posed.named(again(posed, drawn, weights, found))
        strays.append(np.stack([named[name] - values[group][name] for name in shared], axis=1))
    together = jointly(chosen, read.columns, read.group, measured, tuple(shared), read.loss).search(read.loss).objective
    own = np.array([[values[group][name] for name in shared] for group in read.groups])
    stray = np.stack(strays)
    ratio, probability = far_apart(own, stray)
    sd = spread(stray)
    reach = float(stats.norm.ppf((1 + level) / 2) + stats.norm.ppf(0.8))
    detectable = {name: reach * float(np.sqrt(2 * np.mean(sd[:, i] ** 2))) for i, name in enumerate(shared)}
    return Sharing(
        shared=tuple(shared),
        together=together,
        apart=apart,
        ratio=ratio,
        probability=probability,
        level=level,
        values=values,
        detectable=detectable,
    )


def far_apart(
    values: Float[np.ndarray, "groups parameters"], strays: Float[np.ndarray, "groups draws parameters"]
) -> tuple[float, float]:
    """How far the groups lie from their common mean, and how often draws around one truth lie so far.

    `strays` are draws minus estimates. What such a distance means is read from the draws themselves, as valleys of floors and
    exponents are curved and end at bounds, where no normal theory holds. A parameter that stands still in the draws of every
    group, as at a bound, tells nothing where its values are equal, and everything where they are not.
    """
    scale = spread(strays)
    known = (scale > 0).all(axis=0)
    if np.ptp(values[:, ~known], axis=0).any():
        return float("inf"), 1 / (1 + strays.shape[1])
    if not known.any():
        return 0.0, 1.0
    values, strays, scale = values[:, known], strays[:, :, known], scale[:, known]
    groups, _, count = strays.shape
    weights = scale**-2 / (scale**-2).sum(axis=0)

    def distance(found: Float[np.ndarray, "groups sets parameters"]) -> Float[np.ndarray, " sets"]:
        mean = (weights[:, None, :] * found).sum(axis=0)
        return (((found - mean) / scale[:, None, :]) ** 2).sum(axis=(0, 2)) / (count * (groups - 1))

    seen = float(distance(values[:, None, :])[0])
    chance = (1 + (distance(strays) >= seen).sum()) / (1 + strays.shape[1])
    return seen, float(chance)


def spread(strays: Float[np.ndarray, "groups draws parameters"]) -> Float[np.ndarray, "groups parameters"]:
    """A standard deviation that heavy tails do not move: of the middle 90 % of the draws.

    A group whose draws stand still, as at a bound, has the mean of the others'; 0 is left where those of all groups do.
    """
    low, high = np.quantile(strays, (0.05, 0.95), axis=1)
    found = (high - low) / (2 * stats.norm.ppf(0.95))
    moving = (found > 0).sum(axis=0)
    return np.where(found > 0, found, found.sum(axis=0) / np.maximum(moving, 1))
