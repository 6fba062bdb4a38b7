"""Sharing: one floor, or one exponent, for several groups; fitted jointly, and tested against each group having its own.

A short range of compute cannot tell a floor from a slow exponent, group by group. Equal floors or exponents are an assumption
to be tested: the criterion's rise is compared with what chance makes it rise (an F test), and the difference that such data
would show in 80 % of cases is stated beside it.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy import stats

from allometry.fit import descend, profile, project, rows
from allometry.fit.criterion import LN, Criterion
from allometry.fit.laws._additive import Additive
from allometry.fit.laws._law import Law
from allometry.fit.own import law_of
from allometry.fit.pose import bounds, pose
from allometry.fit.project import Problem
from allometry.fit.search import SAME, Found, search
from allometry.flow import Refusal


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
        self, loss: Float[np.ndarray, "sets rows"], weights: Float[np.ndarray, "sets rows"], found: Found
    ) -> Float[np.ndarray, "sets values"]:
        start, terms = np.tile(found.values, (len(loss), 1)), self.problem.terms
        return descend.refine(self.problem, loss, weights, start[:, :terms], start[:, terms:], steps=40).values


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
    ratio: float  # F
    degrees: tuple[int, int]
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

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self) | {"distinguishable": self.distinguishable, "text": self.text}


def share(
    table: pd.DataFrame,
    shared: Sequence[str],
    *,
    law: str | Law | type[Law] | Callable[..., Any] = "power_floor",
    by: str = "family",
    columns: Mapping[str, str] | None = None,
    criterion: Criterion | None = None,
    level: float = 0.9,
) -> Sharing:
    """Test whether all groups may share these parameters. `distinguishable` is the answer, `text` says it."""
    chosen = law_of(law)
    measured = criterion or chosen.criterion
    if not isinstance(chosen, Additive) or not shared or set(shared) - {"E", *chosen.exponents}:
        raise Refusal(f"share() tests a floor E or exponents of an additive law; got {tuple(shared)} of {chosen.equation}.")
    read = rows.read(table, chosen.variables, by, columns or {}, positive=measured.of == LN)
    groups, points = len(read.groups), len(read.loss)
    spare = points - groups * len(chosen.parameters)
    if groups < 2 or spare < 1:
        raise Refusal(
            f"share() needs two groups or more and more points than parameters; there are {groups} groups with {points} "
            f"points for {groups * len(chosen.parameters)} parameters. Add runs, or use a law with fewer parameters."
        )
    apart, values, errors = 0.0, {}, []
    residuals = []
    for index, group in enumerate(read.groups):
        here = read.group == index
        posed = pose(chosen, {name: v[here] for name, v in read.columns.items()}, measured, {})
        loss = read.loss[here]
        found = search(posed, loss, np.ones(len(loss)))
        apart += found.objective
        values[group] = {name: float(v[0]) for name, v in posed.named(found.values[None]).items()}
        residual = measured.residual(loss, posed.model.predicted(found.values[None])[0])
        residuals.append(residual)
        spread = profile.scale(measured, residual, max(1, len(loss) - posed.free))
        wide = profile.standard_errors(posed, loss, found, spread)
        errors.append({name: float(wide[posed.names.index(name)]) for name in shared})
    together = jointly(chosen, read.columns, read.group, measured, tuple(shared), read.loss).search(read.loss).objective
    count = len(shared) * (groups - 1)
    scale = profile.scale(measured, np.concatenate(residuals), spare)
    ratio = max(0.0, 2 * (together - apart) / count / scale)
    reach = float(stats.t.ppf((1 + level) / 2, spare) + stats.norm.ppf(0.8))
    detectable = {name: reach * float(np.sqrt(2 * np.mean([error[name] ** 2 for error in errors]))) for name in shared}
    return Sharing(
        shared=tuple(shared),
        together=together,
        apart=apart,
        ratio=ratio,
        degrees=(count, spare),
        probability=float(stats.f.sf(ratio, count, spare)),
        level=level,
        values=values,
        detectable=detectable,
    )
