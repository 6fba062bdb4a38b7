"""Sharing: one floor, or one exponent, for several groups; fitted jointly, and tested against each group having its own.

A short range of compute cannot tell a floor from a slow exponent, group by group. Equal floors or exponents are an assumption
to be tested: the groups' own estimates are compared in units of their own doubt, which may differ from group to group (Welch's
test, for several parameters and groups: Johansen 1980), and the difference that such data would show in 80 % of cases is
stated beside it.
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
from allometry.fit.refusals import CannotTell, TooFewPoints
from allometry.fit.solve import descend, profile, project
from allometry.fit.solve.pose import bounds, pose
from allometry.fit.solve.project import Problem
from allometry.fit.solve.search import SAME, Found, search
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
    ratio: float  # F
    degrees: tuple[float, float]
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
        return dataclasses.asdict(self) | {"distinguishable": self.distinguishable, "text": self.text}


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
    apart, values, covariances = 0.0, {}, []
    runs = np.array([len(np.unique(read.run[read.group == index])) for index in range(len(read.groups))])
    for index, group in enumerate(read.groups):
        here = read.group == index
        posed = pose(chosen, {name: v[here] for name, v in read.columns.items()}, measured, {})
        loss = read.loss[here]
        if runs[index] <= posed.free:
            raise TooFewPoints(
                f"{group} has {runs[index]} runs for {posed.free} parameters, so its doubt is not known. "
                "Add runs, or use a law with fewer parameters."
            )
        found = search(posed, loss, np.ones(len(loss)))
        apart += found.objective
        values[group] = {name: float(v[0]) for name, v in posed.named(found.values[None]).items()}
        residual = measured.residual(loss, posed.model.predicted(found.values[None])[0])
        spread = profile.scale(measured, residual, len(loss) - posed.free) * len(loss) / runs[index]
        places = [posed.names.index(name) for name in shared]
        covariances.append(profile.covariance(posed, loss, found, spread)[np.ix_(places, places)])
    together = jointly(chosen, read.columns, read.group, measured, tuple(shared), read.loss).search(read.loss).objective
    own = np.array([[values[group][name] for name in shared] for group in read.groups])
    spare = runs - len(chosen.parameters)
    doubt = np.stack(covariances)
    ratio, degrees = johansen(own, doubt, spare.astype(float))
    reach = float(stats.t.ppf((1 + level) / 2, spare.sum()) + stats.norm.ppf(0.8))
    detectable = {name: reach * float(np.sqrt(2 * np.mean(doubt[:, i, i]))) for i, name in enumerate(shared)}
    return Sharing(
        shared=tuple(shared),
        together=together,
        apart=apart,
        ratio=ratio,
        degrees=degrees,
        probability=float(stats.f.sf(ratio, *degrees)),
        level=level,
        values=values,
        detectable=detectable,
    )


def johansen(
    values: Float[np.ndarray, "groups parameters"],
    covariances: Float[np.ndarray, "groups parameters parameters"],
    spare: Float[np.ndarray, " groups"],
) -> tuple[float, tuple[float, float]]:
    """F and its degrees of freedom for "all groups have the same parameters", with a covariance of each group's own.

    A parameter that stands at a bound in some group has no covariance there; it is given that of the other groups.
    """
    groups, count = values.shape
    known = np.einsum("gii->gi", covariances) > 0
    if not known.any(0).all():
        return 0.0, (float(count * (groups - 1)), float(spare.sum()))
    filled = covariances.copy()
    for parameter in range(count):
        usual = covariances[known[:, parameter], parameter, parameter].mean()
        filled[~known[:, parameter], parameter, parameter] = usual
    weights = np.linalg.inv(filled)
    total = weights.sum(axis=0)
    mean = np.linalg.solve(total, np.einsum("gij,gj->i", weights, values))
    distance = float(np.einsum("gi,gij,gj->", values - mean, weights, values - mean))
    left = np.eye(count) - np.linalg.solve(total, weights)
    traces = np.einsum("gij,gji->g", left, left) + np.einsum("gii->g", left) ** 2
    doubt = float((traces / spare).sum() / 2)
    freedom = count * (groups - 1)
    scale = freedom + 2 * doubt - 6 * doubt / (freedom + 2)
    return distance / scale, (float(freedom), freedom * (freedom + 2) / (3 * doubt))
