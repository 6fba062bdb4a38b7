"""next_runs: which runs would most reduce the doubt about a question, before any of them is run.

Preposterior analysis (Raiffa & Schlaifer, 1961) from the joint draws of the fits. With y the ln loss of a run and q the answer,

    Var(q | y) = Var(q) - Cov(q, y)^2 / (Var(y) + noise^2)

whatever y turns out to be, if q and y are normal; several runs are chosen one by one, each given those before it. Draws have heavy
tails, so each quantity is first winsorised at 3 robust standard deviations (1.4826 x median absolute deviation) from its median;
a doubt is the standard deviation that is left. All of it believes the law: only runs at new places can show that it bends.

Groups that were fitted apart are independent, whatever a finite number of draws says. Their draws would correlate by about
1 / sqrt(draws) and promise gains of 1 / draws of the variance, so that smaller gains than this are nowhere believed.

With a budget two lists are made, one by gain and one by gain per cost, and the better one is kept: by doubt, for a winner by the
chance of a wrong call. Leskovec et al. (KDD 2007) bound how far this can be from the best for gains that only diminish as runs
are added; those of a standard deviation need not, so here it is a rule of thumb. Without a budget, runs are chosen by gain alone.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from allometry.fit.ask.beliefs import CLIP, Beliefs, winsorised
from allometry.fit.ask.questions import Question
from allometry.fit.criterion import LN
from allometry.fit.fits import Fit, Fits
from allometry.fit.plain import plain
from allometry.flow import Refusal

PLACES = {1: 12, 2: 6}  # of the grid, for each variable; 4 with three variables or more


@dataclasses.dataclass(frozen=True, kw_only=True)
class Proposal:
    """One run to add, given the ones before it in the list."""

    group: str
    place: dict[str, float]
    cost: float  # in the unit of the price
    doubt_before: float  # standard deviation of the answer
    doubt_after: float
    gain_per_cost: float  # doubt that goes away, for each unit of cost
    wrong_before: float | None  # probability that naming the likelier of the two closest is wrong; None for other questions
    wrong_after: float | None  # the same after the run; both as expected before any run of the list

    @property
    def text(self) -> str:
        there = ", ".join(f"{name} = {value:.3g}" for name, value in self.place.items())
        said = f"{self.group} at {there} (cost {self.cost:.3g}): doubt {self.doubt_before:.3g} to {self.doubt_after:.3g}"
        if self.wrong_before is not None and self.wrong_after is not None:
            said += f", wrong call {self.wrong_before:.1%} to {self.wrong_after:.1%}"
        return said


@dataclasses.dataclass(frozen=True, kw_only=True)
class NextRuns:
    """Proposals in the order in which they were chosen."""

    question: Question
    proposals: tuple[Proposal, ...]
    candidates: int
    budget: float | None
    notes: tuple[str, ...]

    def __iter__(self) -> Iterator[Proposal]:
        return iter(self.proposals)

    def __len__(self) -> int:
        return len(self.proposals)

    @property
    def cost(self) -> float:
        return sum(one.cost for one in self.proposals)

    @property
    def table(self) -> pd.DataFrame:
        """One row for each proposal."""
        rows = [dataclasses.asdict(one) for one in self.proposals]
        return pd.DataFrame([{"group": row.pop("group")} | row.pop("place") | row for row in rows])

    @property
    def text(self) -> str:
        head = f"To know {self.question.text} ({self.question.unit}), of {self.candidates} runs that could be added:"
        lines = [f"{i}. {one.text}" for i, one in enumerate(self.proposals, 1)] or ["None of them would tell more."]
        return "\n".join([head, *lines, *self.notes])

    def to_json(self) -> dict[str, Any]:
        rows = [dataclasses.asdict(one) for one in self.proposals]
        head = {"question": self.question.to_json(), "proposals": rows, "candidates": self.candidates, "budget": self.budget}
        return plain(head | {"cost": self.cost, "notes": self.notes, "text": self.text})


def next_runs(
    fits: Fits,
    question: Question,
    *,
    price: Callable[..., float] | None = None,
    candidates: pd.DataFrame | Sequence[Mapping[str, Any]] | None = None,
    budget: float | None = None,
    count: int = 5,
    noise: float | None = None,
) -> NextRuns:
    """Propose up to `count` runs, within a budget where there is one.

    `price(group, **place)` is the cost of a run (default: training FLOPs, C or 6 N D). `candidates` have a column `group` and one
    for each variable (default: a grid from the smallest run to `reach` times the largest, for each group). `noise` is the
    standard deviation of ln loss of one run (default: the scatter around each group's fit).
    """
    if count < 1 or (budget is not None and not budget > 0) or (noise is not None and not noise >= 0):
        raise Refusal(
            f"count={count}, budget={budget}, noise={noise}: use a count of 1 or more, a positive budget, and noise >= 0."
        )
    answers = question.drawn(fits)
    if len(answers) < 51:
        raise Refusal(
            f"These fits have {max(0, len(answers) - 1)} draws, too few to know their doubt. Fit with draws=50 or more."
        )
    places = _candidates(fits, candidates)
    losses = np.stack([np.log(np.maximum(fits[group].at(**place), 1e-300)) for group, place in places], axis=1)
    shakes = np.array([_noise(fits[group], place, noise) for group, place in places])
    costs = np.array([float((price or flops)(group, **place)) for group, place in places])
    if not (np.isfinite(costs) & (costs > 0)).all():
        wrong_one = int(np.argmin(np.isfinite(costs) & (costs > 0)))
        raise Refusal(f"price() says {costs[wrong_one]} for {places[wrong_one]}. A cost is a positive number.")
    if budget is not None and costs.min() > budget:
        raise Refusal(
            f"The budget {budget:.3g} is below the cheapest of {len(places)} candidates, {costs.min():.3g}. "
            "Raise budget=, or give cheaper candidates=."
        )
    joint = winsorised(np.concatenate([answers[1:], losses[1:]], axis=1))
    groups = [fits[name] for name in (*question.among(fits), *(group for group, _ in places))]
    covariance = np.atleast_2d(np.cov(joint.T)) * _together(groups)
    start = Beliefs(mean=answers[0], covariance=covariance, first=covariance)
    settings = (start, question.kind, places, costs, shakes, budget, count, 1 / len(joint))
    lists = [_greedy(*settings, 0.0), *([_greedy(*settings, 1.0)] if budget is not None else [])]
    chosen, _ = min(lists, key=lambda found: found[1])
    return NextRuns(
        question=question,
        proposals=tuple(chosen),
        candidates=len(places),
        budget=budget,
        notes=(f"Draws are winsorised at {CLIP:g} robust standard deviations; the law is taken as true.",),
    )


def flops(group: str, **place: float) -> float:
    """Training FLOPs of a run: C, or 6 N D."""
    if "C" in place:
        return place["C"]
    if {"N", "D"} <= set(place):
        return 6 * place["N"] * place["D"]
    raise Refusal(
        f"A run at {', '.join(place)} has no C, nor N and D, to be priced by. Give price=, a function of group and place."
    )


def _greedy(
    beliefs: Beliefs,
    kind: str,
    places: Sequence[tuple[str, dict[str, float]]],
    costs: Float[np.ndarray, " candidates"],
    shakes: Float[np.ndarray, " candidates"],
    budget: float | None,
    count: int,
    least: float,
    thrift: float,
) -> tuple[list[Proposal], float]:
    """One run after another, each the best by gain / cost ** thrift of those that the rest of the budget pays for.

    A gain counts from `least` of the variance on. The number is what is left after the list, by which lists are compared.
    """
    found: list[Proposal] = []
    left = np.inf if budget is None else budget * (1 + 1e-9)
    while len(found) < count:
        contrast = beliefs.contrast(kind)
        before, wrong_before = beliefs.doubt(contrast), beliefs.wrong(contrast)
        gains = beliefs.gains(contrast, shakes)
        worth = (costs <= left) & (gains > before * (1 - np.sqrt(1 - least)))
        if not worth.any():
            break
        best = int(np.where(worth, gains / costs**thrift, -np.inf).argmax())
        beliefs, left = beliefs.after(best, shakes[best]), left - costs[best]
        after = beliefs.doubt(contrast)
        group, place = places[best]
        found.append(
            Proposal(
                group=group,
                place=place,
                cost=float(costs[best]),
                doubt_before=before,
                doubt_after=after,
                gain_per_cost=(before - after) / float(costs[best]),
                wrong_before=wrong_before if kind == "winner" else None,
                wrong_after=beliefs.wrong(contrast) if kind == "winner" else None,
            )
        )
    # The closest challenger may have changed: doubts about different pairs do not compare, chances of a wrong call do.
    contrast = beliefs.contrast(kind)
    return found, beliefs.wrong(contrast) if kind == "winner" else beliefs.doubt(contrast)


def _together(fits: Sequence[Fit]) -> Float[np.ndarray, "all all"]:
    """1 where two columns are of one group, or of groups that were drawn together; 0 where they were fitted apart."""
    names = list(dict.fromkeys(fit.group for fit in fits))
    one = {fit.group: fit for fit in fits}
    among = np.array([[a == b or _drawn_together(one[a], one[b]) for b in names] for a in names], dtype=float)
    index = [names.index(fit.group) for fit in fits]
    return among[np.ix_(index, index)]


def _drawn_together(a: Fit, b: Fit) -> bool:
    """Fits that share a parameter have its very draws; fits to a study's frontier follow the study's draws, all at once."""
    if a.diagnosis is None and b.diagnosis is None:
        return True
    shared = [(a.samples[name], b.samples[name]) for name in a.samples if name in b.samples]
    # What stands still, as a floor at 0, shares nothing.
    return any(np.array_equal(one, other) and np.ptp(one) > 0 for one, other in shared)


def _noise(fit: Fit, place: Mapping[str, float], noise: float | None) -> float:
    """Standard deviation of the ln loss of one run."""
    if noise is not None:
        return noise
    if not fit.scatter or not fit.degrees:
        raise Refusal(
            f"The scatter of runs around the fit of {fit.group} is not known. Give noise=, in ln loss; 0.003 is usual."
        )
    return fit.scatter if fit.measured_by.of == LN else fit.scatter / float(fit.at(**place)[0])


def _candidates(fits: Fits, given: pd.DataFrame | Sequence[Mapping[str, Any]] | None) -> list[tuple[str, dict[str, float]]]:
    if given is None:
        return [(fit.group, place) for fit in fits for place in _grid(fit)]
    rows = given.to_dict("records") if isinstance(given, pd.DataFrame) else list(given)
    found = []
    for row in rows:
        if "group" not in row:
            raise Refusal(f"A candidate has no group: {dict(row)}. Give each a group and a value of each variable.")
        fit = fits[str(row["group"])]
        if missing := [name for name in fit.law.variables if name not in row]:
            raise Refusal(
                f"A candidate of {fit.group} has no {', '.join(missing)}: {dict(row)}. Give a value of each variable."
            )
        found.append((fit.group, {name: float(row[name]) for name in fit.law.variables}))
    if not found:
        raise Refusal("There are 0 candidates. Give at least one run that could be added, or candidates=None for a grid.")
    return found


def _grid(fit: Fit) -> list[dict[str, float]]:
    number = PLACES.get(len(fit.law.variables), 4)
    axes = [np.geomspace(low, high * fit.reach, number) for low, high in (fit.range[name] for name in fit.law.variables)]
    mesh = [axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")]
    return [dict(zip(fit.law.variables, map(float, values), strict=True)) for values in zip(*mesh, strict=True)]
