"""Verdict: what a table of runs says at a glance, and how surely; the audit asks what would overturn it.

Groups: which has the lowest loss at a place (FLOPs, or the variable of the law), by how much in ln loss over its nearest
rival. One group: the exponent of its law, or, for a law of N and D, the exponent of the best N in C. For laws of N and D the
loss at C FLOPs is that of the best split under C = 6 N D.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

from allometry.fit.audit.best_split import Samples, best_size, flops_of, splits
from allometry.fit.criterion import Criterion
from allometry.fit.differences import three
from allometry.fit.laws._additive import Additive
from allometry.fit.laws._law import Law
from allometry.fit.refusals import TooFewPoints
from allometry.fit.rows import Rows
from allometry.fit.solve.pose import Posed, pose
from allometry.fit.solve.resample import resample
from allometry.fit.solve.search import Found, again, search
from allometry.flow import Refusal, TooFar

CANNOT = "cannot tell"
KEPT = 4  # starts that are followed to their minimum
CHALLENGE_DRAWS, CHALLENGE_ROWS = 100, 40_000  # of one challenge; draws times rows, from which on there are fewer
TRIES = 12  # changes that an audit makes, about
REACH = 10.0  # times what was run: how far a law is asked, as in `fit`


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """`value` is a lead in ln loss (of `leader` over `rival`), or the exponent where there is one group."""

    value: float
    low: float
    high: float
    leader: str | None = None  # None: there is one group
    rival: str | None = None
    winner: str | None = None  # None: cannot tell, or one group
    N: tuple[float, float, float] | None = None  # best N at the place: value, low, high
    level: float = 0.9

    @property
    def of(self) -> str:
        return "exponent" if self.leader is None else "lead"

    @property
    def said(self) -> str:
        return f"{self.value:.3g}" if self.leader is None else self.winner or CANNOT

    def overturned_by(self, other: "Verdict", tries: int = TRIES) -> bool:
        """Groups: another one is named, or none any more, or one where none was. One group: outside this interval.

        A winner that appears among many tries must be sure at the level of all of them together (Bonferroni).
        """
        if self.leader is None:
            return not self.low <= other.value <= self.high
        if self.winner == other.winner or other.winner is None:
            return self.winner != other.winner
        ratio = stats.norm.isf((1 - self.level) / (2 * tries)) / stats.norm.ppf((1 + self.level) / 2)
        room = (other.value - other.low) if other.value > 0 else (other.high - other.value)
        return bool(abs(other.value) > ratio * room)

    @property
    def limits(self) -> tuple[float, float]:
        """Below and above which a value overturns, if its interval is as wide as this one."""
        if self.leader is None:
            return self.low, self.high
        if self.winner is not None:
            return self.value - self.low, np.inf
        return self.value - self.high, self.value - self.low


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """One table read in one way, with the law and the criterion that it is judged by."""

    read: Rows
    law: Law
    criterion: Criterion
    pinned: Mapping[str, float]
    place: float  # of the law's variable, or FLOPs
    level: float
    draws: int
    seed: int

    def only(self, kept: Bool[np.ndarray, " rows"]) -> "Case":
        """Without some rows. Groups that lose all theirs stay, and are refused when they are judged."""
        read = self.read
        part = dataclasses.replace(
            read,
            group=read.group[kept],
            run=read.run[kept],
            columns={name: values[kept] for name, values in read.columns.items()},
            loss=read.loss[kept],
            labels=tuple(label for label, keep in zip(read.labels, kept, strict=True) if keep),
        )
        return dataclasses.replace(self, read=part)

    def instead(self, loss: Float[np.ndarray, " rows"]) -> "Case":
        return dataclasses.replace(self, read=dataclasses.replace(self.read, loss=loss))

    def data(self, index: int) -> tuple[dict[str, Float[np.ndarray, " rows"]], Float[np.ndarray, " rows"]]:
        here = self.read.group == index
        return {name: values[here] for name, values in self.read.columns.items()}, self.read.loss[here]

    def enough(self, index: int, kept: Bool[np.ndarray, " rows"]) -> bool:
        """Are these rows of a group more than its parameters, with two values of every variable?"""
        free = len(self.law.parameters) - len(self.pinned)
        columns, _ = self.data(index)
        return int(kept.sum()) > free and all(len(np.unique(values[kept])) > 1 for values in columns.values())


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """One group of a case, fitted: its search, and the draws of its parameters (column 0 is the estimate)."""

    data: tuple[Float[np.ndarray, " rows"], ...]  # the loss, then the variables
    posed: Posed
    found: Found
    samples: Samples


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """The fits of all groups, with what the verdict is read from: for each group one value and its draws."""

    case: Case
    parts: tuple[Part, ...]
    values: tuple[Float[np.ndarray, " sets"], ...]
    verdict: Verdict

    @property
    def criterion(self) -> float:
        """The sum over all groups of what the fits made small."""
        return sum(part.found.objective for part in self.parts)

    def retry(self, case: Case) -> "Judged":
        """A case that differs from this one. Groups that do not differ keep their fits."""
        few = int(np.clip(CHALLENGE_ROWS / max(len(case.read.loss), 1), 50, CHALLENGE_DRAWS))
        return judge(dataclasses.replace(case, draws=min(case.draws, few)), self.verdict.leader, self)

    def again(self, case: Case) -> Verdict:
        return self.retry(case).verdict


def judge(case: Case, leader: str | None = None, before: Judged | None = None) -> Judged:
    """Fit every group and say the verdict. `leader` is whose lead is measured (default: the one with the lowest loss)."""
    same = before is not None and (before.case.law, before.case.criterion, before.case.pinned) == (
        case.law, case.criterion, case.pinned,
    )  # fmt: skip
    parts = tuple(
        _part(case, index, before.parts[index] if before is not None and same else None)
        for index in range(len(case.read.groups))
    )
    samples = [{name: value[: case.draws + 1] for name, value in part.samples.items()} for part in parts]
    values = tuple(read_value(case, sample) for sample in samples)
    return Judged(case=case, parts=parts, values=values, verdict=verdict_of(case, samples, values, leader))


def _part(case: Case, index: int, before: Part | None) -> Part:
    columns, loss = case.data(index)
    if before is not None and all(
        np.array_equal(one, other) for one, other in zip((loss, *columns.values()), before.data, strict=True)
    ):
        return before
    if not case.enough(index, np.ones(len(loss), dtype=bool)):
        raise TooFewPoints(
            f"{case.read.groups[index]} has {len(loss)} rows left for the {len(case.law.parameters) - len(case.pinned)} "
            f"parameters of {case.law.name}, or one value of a variable. Add runs, or use a law with fewer parameters."
        )
    posed = pose(case.law, columns, case.criterion, case.pinned)
    found = search(posed, loss, np.ones(len(loss)), kept=KEPT)
    fitted = posed.model.predicted(found.values[None])[0]
    run, generator = case.read.run[case.read.group == index], np.random.default_rng([case.seed, index])
    drawn, weights, _ = resample(loss, fitted, run, posed.free, case.draws, case.criterion.of, generator)
    samples = posed.named(np.concatenate([found.values[None], again(posed, drawn, weights, found)]))
    return Part(data=(loss, *columns.values()), posed=posed, found=found, samples=samples)


def verdict_of(
    case: Case, samples: list[Samples], values: tuple[Float[np.ndarray, " sets"], ...], leader: str | None = None
) -> Verdict:
    """From the draws of every group. A winner beats each of the others at the level."""
    groups, level = case.read.groups, case.level
    if len(groups) == 1:
        size = three(np.exp(best_size(case.law, samples[0], case.place)[0]), level) if splits(case.law) else None
        value, low, high = three(values[0], level)
        return Verdict(value=value, low=low, high=high, N=size)
    best = int(np.argmin([value[0] for value in values]))
    first = best if leader is None else groups.index(leader)
    winner = groups[best] if nearest(values, best, level)[1][1] > 0 else None
    rival, (value, low, high) = nearest(values, first, level)
    return Verdict(
        value=value, low=low, high=high, leader=groups[first], rival=groups[rival], winner=winner, level=case.level
    )


def nearest(
    values: tuple[Float[np.ndarray, " sets"], ...], leader: int, level: float
) -> tuple[int, tuple[float, float, float]]:
    """The rival that is least surely behind, and the lead over it."""
    leads = {other: three(values[other] - values[leader], level) for other in range(len(values)) if other != leader}
    rival = min(leads, key=lambda other: leads[other][1])
    return rival, leads[rival]


def read_value(case: Case, samples: Samples) -> Float[np.ndarray, " sets"]:
    """ln loss at the place where groups are compared; the exponent where there is one."""
    law, place = case.law, case.place
    if len(case.read.groups) == 1:
        if isinstance(law, Additive) and len(law.exponents) == 1:
            return samples[law.exponents[0]]
        if splits(law):
            return (best_size(law, samples, place * np.e)[0] - best_size(law, samples, place / np.e)[0]) / 2
        ends = [np.log(np.asarray(law.predict(samples, {law.variables[0]: place * step}))) for step in (0.99, 1.01)]
        return (ends[0] - ends[1]) / np.log(1.01 / 0.99)
    if splits(law):
        return best_size(law, samples, place)[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.log(np.asarray(law.predict(samples, {law.variables[0]: np.asarray(place)}), dtype=float))
    return np.broadcast_to(value, len(next(iter(samples.values()))))


def common_place(read: Rows) -> float:
    """The largest that all groups have run."""
    cost = flops_of(read)
    return float(min(cost[read.group == index].max() for index in range(len(read.groups))))


def check_place(read: Rows, place: float) -> None:
    """Refuse a place at which the laws of all groups would be guessed."""
    cost, common = flops_of(read), common_place(read)
    if not cost.min() / REACH <= place <= common * REACH:
        far = (
            f"{place / common:.3g} times the largest that all groups have run"
            if place > common
            else "far below the smallest"
        )
        raise TooFar(
            f"C = {place:.3g} is {far} ({common:.3g}); an audit goes up to {REACH:g} times. Ask nearer, or add runs there."
        )


def check_law(law: Law) -> None:
    if law.observed != "loss":
        raise Refusal(f"audit() reads laws of the loss; {law.name} is of {law.observed}. Use power_floor or chinchilla.")
    if len(law.variables) > 1 and not splits(law):
        raise Refusal(
            f"audit() reads laws of one variable, or of N and D; {law.name} reads {', '.join(law.variables)}. "
            "Use power_floor or chinchilla."
        )
