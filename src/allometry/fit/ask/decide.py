"""decide: which of two groups has the lower loss at a place that was not run, with a probability, or "cannot tell".

The ln difference at the place is a mixture over laws of  d + t z:  d from draws of the parameters (`_drawn`), z normal, and
t the lack of fit that grows with the distance from what was fitted (`hindsight.py`; over its own doubt that is Student's t).
A law weighs as much as the density that it gave to the runs that came next, size after size, from equal weights.

A probability is of the laws, not of two single runs. A verdict needs the interval of the level to leave zero out, which is a
probability beyond (1 + level) / 2: so two equal groups are called in at most 1 - level of the cases. Pairs are judged one by one.
"""

import dataclasses
import zlib
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.optimize import brentq
from scipy.special import ndtr

from allometry.fit import rows
from allometry.fit.ask import hindsight
from allometry.fit.ask.decisions import Decision, Decisions
from allometry.fit.ask.hindsight import Growth, Miss
from allometry.fit.asked import check_asked
from allometry.fit.cells import is_study
from allometry.fit.criterion import LN
from allometry.fit.laws._law import Law
from allometry.fit.own import law_of
from allometry.fit.refusals import TooFewPoints
from allometry.fit.solve.pose import pose
from allometry.fit.solve.resample import MANY, resample
from allometry.fit.solve.search import again, search
from allometry.fit.study import measure
from allometry.flow import Refusal, TooFar

STARTS = 4  # that a search follows; a law of one variable needs no more

# Runs from which on they are resampled whole. A bootstrap of n runs draws too little scatter, by about parameters / n, and has
# no tails for its few degrees of freedom. Where 10 % of equal pairs may be called, it calls 18 % at 10 runs, 13 % at 30 and 10 %
# at 40; Student's t calls 10 or 11 % at 5 to 20 runs.
PLENTY = 40


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Grasp:
    """What is known of one group: by law, its ln loss at the place (the estimate first, then draws) and its past misses."""

    x: Float[np.ndarray, " points"]
    loss: Float[np.ndarray, " points"]
    ln_loss: dict[str, Float[np.ndarray, " sets"]]
    misses: dict[str, list[Miss]]
    slope: float  # of ln loss in ln x
    distance: float  # ln of how far the place is outside of what was fitted


def decide(
    table: pd.DataFrame,
    *,
    by: str = "family",
    laws: Sequence[Any] = ("power", "power_floor"),
    columns: Mapping[str, str] | None = None,
    level: float = 0.9,
    draws: int = 1000,
    seed: int = 0,
    reach: float = 10.0,
    **place: float,
) -> Decisions:
    """Decide every pair of groups at a place: `decide(table, C=1e21)`, or `decide(table, D=1e12)` for the scaling of data.

    The laws are of one variable; whatever its letter, it stands for the one of the place. A study's table is read as its
    frontier, its best losses as they stand: what the study knows of their doubt, by seeds and learning rates, is not used.
    Groups that were run at the very same places are judged by the errors of their difference, others by each one's own.
    Raises TooFar where the place is more than `reach` times beyond the runs of a group.
    """
    check_asked(level=level, draws=draws, seed=seed, reach=reach)
    chosen = [law_of(law, columns or ()) for law in laws]
    variable, value = _place(place, chosen)
    if is_study(table) and not columns and variable == "C" and by == "family":
        frontier = measure(table, level=level, count=50, seed=seed).frontier
        family, budget = np.nonzero(frontier.present)
        table = pd.DataFrame({by: np.array(frontier.families, dtype=object)[family], "C": frontier.budgets[budget]})
        table["loss"] = np.exp(frontier.value[family, budget])
    read = rows.read(table, (variable,), by, columns or {})
    if len(read.groups) < 2:
        raise Refusal(f"decide() weighs two groups or more; {by} has one, {', '.join(read.groups)}. Choose another by=.")
    x, known = read.columns[variable], {}
    for index, group in enumerate(read.groups):
        _check_reach(x[read.group == index], variable, value, reach, group)
    for index, group in enumerate(read.groups):
        here = np.flatnonzero(read.group == index)
        here = here[np.argsort(x[here], kind="stable")]
        known[group] = _grasp(chosen, x[here], read.loss[here], read.run[here], value, draws, seed, group)
    pairs = [_decision(a, b, known[a], known[b], level) for a, b in combinations(read.groups, 2)]
    return Decisions(variable=variable, place=value, level=level, pairs=tuple(pairs), notes=read.notes)


def _place(place: Mapping[str, float], laws: Sequence[Law]) -> tuple[str, float]:
    if len(place) != 1 or not all(np.isfinite(value) and value > 0 for value in place.values()):
        raise Refusal(
            f"decide() is asked at one place; got {dict(place)}. Give one positive number, such as C=1e21 or D=1e12."
        )
    wide = [law for law in laws if len(law.variables) != 1 or law.observed != "loss"]
    if wide or not laws:
        named = ", ".join(f"{law.name} of {law.observed} in {', '.join(law.variables)}" for law in wide) or "none"
        raise Refusal(f"decide() takes laws of the loss in one variable; got {named}. Use 'power' and 'power_floor'.")
    names = [law.name for law in laws]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise Refusal(f"decide() tells laws apart by name, and {', '.join(twice)} is there twice. Give each law once.")
    ((variable, value),) = place.items()
    return variable, float(value)


def _check_reach(x: Float[np.ndarray, " points"], variable: str, value: float, reach: float, group: str) -> None:
    if (factor := np.exp(_distance(x, value))) > reach * (1 + 1e-9):
        where = "beyond the largest run" if value > x.max() else "below the smallest run"
        raise TooFar(
            f"{variable} = {value:.3g} is {factor:.3g} times {where} of {group}; this decides up to {reach:g} times. "
            "Run it closer to there, or accept the risk with reach= (--reach)."
        )


def _distance(x: Float[np.ndarray, " points"], value: float) -> float:
    """ln of how far a place is outside of what was run; 0 within."""
    return max(0.0, float(np.log(value / x.max())), float(np.log(x.min() / value)))


def _grasp(
    laws: Sequence[Law],
    x: Float[np.ndarray, " points"],
    loss: Float[np.ndarray, " points"],
    run: Int[np.ndarray, " points"],
    place: float,
    draws: int,
    seed: int,
    group: str,
) -> Grasp:
    if len(np.unique(x)) < 2:
        raise TooFewPoints(
            f"{group} was run at one size only ({x[0]:.3g}), so how its loss changes is not known. Run at least 3 sizes."
        )
    ln_loss, missed = {}, {}
    run = _by_place(run)
    for index, law in enumerate(laws):
        if len(np.unique(run)) <= len(law.parameters):
            continue
        # Groups with the same places and runs share a generator, so that what their residuals have in common is drawn in
        # common. It is known by ratios of places, as units do not matter.
        shape = np.concatenate([np.round(1e6 * np.log(x / x[0])).astype(int), run])
        generator = np.random.default_rng([seed, index, zlib.crc32(shape.tobytes())])
        posed = pose(law, {law.variables[0]: x}, law.criterion, {})
        found = search(posed, loss, np.ones(len(loss)), kept=STARTS)
        fitted = posed.model.predicted(found.values[None])[0]
        drawn, weights = _drawn(loss, fitted, run, posed.free, draws, law.criterion.of, generator)
        # The fits to the smaller runs are resamples too, in which the larger runs count nothing.
        past = hindsight.earlier(posed, x, run)
        losses = np.concatenate([drawn, np.repeat(loss[None], len(past), axis=0)])
        values = again(posed, losses, np.concatenate([weights, past]), found)
        named = posed.named(np.concatenate([found.values[None], values[:draws]]))
        there = np.asarray(law.predict(named, {law.variables[0]: np.asarray(place)}), dtype=float)
        ln_loss[law.name] = np.log(np.clip(there, 1e-300, 1e300))
        missed[law.name] = hindsight.misses(posed, values[draws:], past, x, loss, run)
    if not ln_loss:
        least = min(len(law.parameters) for law in laws) + 1
        raise TooFewPoints(
            f"{group} has {len(np.unique(run))} runs; the simplest of the laws needs {least}. "
            "Add runs, or a law with fewer parameters."
        )
    slope = np.polyfit(np.log(x), np.log(loss), 1)[0]
    return Grasp(x=x, loss=loss, ln_loss=ln_loss, misses=missed, slope=float(slope), distance=_distance(x, place))


def _by_place(run: Int[np.ndarray, " points"]) -> Int[np.ndarray, " points"]:
    """Runs numbered in the order in which they appear, whatever they are called."""
    _, first, index = np.unique(run, return_index=True, return_inverse=True)
    return first.argsort().argsort()[index.ravel()]


def _drawn(
    loss: Float[np.ndarray, " points"],
    fitted: Float[np.ndarray, " points"],
    run: Int[np.ndarray, " points"],
    free: int,
    draws: int,
    of: str,
    generator: np.random.Generator,
) -> tuple[Float[np.ndarray, "draws points"], Float[np.ndarray, "draws points"]]:
    """Resamples as every fit has them (`resample.py`), but of few runs as random sums of the residuals.

    With W normal, W r has the variance of the residuals r, and the sums of two groups under one W have their covariance. So the
    difference of two groups gets Student's t of the differences of their residuals. Rows of one run are correlated: W has one
    number for each pair of runs, and the degrees of freedom are those of runs.
    """
    runs = int(run.max()) + 1
    if runs >= max(PLENTY, MANY * free):
        return resample(loss, fitted, run, free, draws, of, generator)[:2]
    residual = np.log(loss / fitted) if of == LN else loss - fitted
    mates, shake = residual[_mates(run)], np.empty((draws, len(loss)))
    sums = generator.standard_normal((draws, runs, runs))
    for number in range(runs):
        shake[:, run == number] = sums[:, number] @ mates[:, run == number]
    shake /= np.sqrt(generator.chisquare(max(1, runs - free), (draws, 1)))
    # With one spare run draws have Cauchy's tails; a loss that is off by more than e^5 would only overflow.
    return (fitted * np.exp(np.clip(shake, -5, 5)) if of == LN else fitted + shake), np.ones(shake.shape)


def _mates(run: Int[np.ndarray, " points"]) -> Int[np.ndarray, "runs points"]:
    """For each row, the row of every run that stands at the same part of it: for runs of equal length, first with first."""
    found = np.empty((int(run.max()) + 1, len(run)), dtype=int)
    rows = [np.flatnonzero(run == number) for number in range(len(found))]
    for here in rows:
        for number, there in enumerate(rows):
            found[number, here] = there[(np.arange(len(here)) * len(there) + len(there) // 2) // len(here)]
    return found


def _decision(a: str, b: str, one: Grasp, other: Grasp, level: float) -> Decision:
    laws = [name for name in one.ln_loss if name in other.ln_loss]
    if not laws:
        raise TooFewPoints(f"No law can be fitted to both {a} and {b}. Add runs, or a law with fewer parameters.")
    grown = {name: _grown(one, other, name) for name in laws}
    weights = _weights({name: part.found for name, part in grown.items()})
    gaps = {name: one.ln_loss[name] - other.ln_loss[name] for name in laws}
    probability = _mixture(gaps, grown, weights, 0.0)
    low, high = _interval(gaps, grown, weights, level)
    needed = (1 + level) / 2
    surer = max(probability, 1 - probability)
    winner = a if probability > 0.5 else b
    middle = sum(weights[name] * grown[name].middle for name in laws)
    farther = max(one.distance, other.distance)
    simple, simple_at = _simple(a, b, one, other)
    return Decision(
        a=a,
        b=b,
        probability=probability,
        verdict=winner if surer > needed else None,
        reason=None if surer > needed else f"cannot tell (a verdict needs {needed:g})",
        difference=float(sum(weights[name] * gaps[name][0] for name in laws)),
        low=low,
        high=high,
        factor=float(np.exp(farther)),
        weights=weights,
        growth=middle / farther if farther else 0.0,
        paired=any(part.paired for part in grown.values()),
        simple=simple,
        simple_at=simple_at,
    )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Grown:
    """The lack of fit at the place: standard deviations that it may have, from the smallest on, with their probabilities."""

    found: tuple[Growth, ...]  # of the difference, or of each group
    scales: Float[np.ndarray, " scales"]
    probability: Float[np.ndarray, " scales"]
    paired: bool

    @property
    def middle(self) -> float:
        return float(self.scales[np.searchsorted(np.cumsum(self.probability), 0.5)])


def _grown(one: Grasp, other: Grasp, law: str) -> Grown:
    paired = np.array_equal(one.x, other.x)
    if paired:
        pairs = hindsight.paired(one.misses[law], other.misses[law])
        slope = np.sqrt((one.slope**2 + other.slope**2) / 2)
        found = (hindsight.growth(pairs, float(slope)),)
        distances = [np.sqrt((one.distance**2 + other.distance**2) / 2)]
    else:
        found = tuple(hindsight.growth(each.misses[law], each.slope) for each in (one, other))
        distances = [one.distance, other.distance]
    squares, probability = np.zeros(1), np.ones(1)
    for part, distance in zip(found, distances, strict=True):
        squares = (squares[:, None] + (part.values * distance) ** 2).ravel()
        probability = np.outer(probability, part.probability).ravel()
    scales, probability = _merged(np.sqrt(squares), probability)
    return Grown(found=found, scales=scales, probability=probability, paired=paired)


def _merged(
    scales: Float[np.ndarray, " all"], probability: Float[np.ndarray, " all"]
) -> tuple[Float[np.ndarray, " scales"], Float[np.ndarray, " scales"]]:
    """Scales within a tenth of each other are one, with their mean square; those that hardly ever occur are left out."""
    index = np.unique(np.floor(10 * np.log(np.maximum(scales, 1e-12))), return_inverse=True)[1].ravel()
    share = np.bincount(index, probability)
    kept = share > 1e-6
    squares = np.bincount(index, probability * scales**2)[kept] / share[kept]
    return np.sqrt(squares), share[kept] / share[kept].sum()


def _weights(grown: Mapping[str, tuple[Growth, ...]]) -> dict[str, float]:
    """Of each law, by the evidence of the cuts after which all of them could predict; equal where there are none."""
    score = dict.fromkeys(grown, 0.0)
    for parts in zip(*grown.values(), strict=True):
        common = set.intersection(*(set(part.near) for part in parts))
        for name, part in zip(grown, parts, strict=True):
            score[name] += part.evidence(common)
    best = max(score.values())
    total = sum(np.exp(value - best) for value in score.values())
    return {name: float(np.exp(value - best) / total) for name, value in score.items()}


def _below(gap: Float[np.ndarray, " draws"], grown: Grown) -> float:
    """The probability that a gap, shaken by a normal with one of the scales, is below 0."""
    if not grown.scales.max():
        return float(np.mean((gap < 0) + 0.5 * (gap == 0)))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return float(ndtr(-gap[:, None] / grown.scales).mean(axis=0) @ grown.probability)


def _mixture(
    gaps: Mapping[str, Float[np.ndarray, " sets"]], grown: Mapping[str, Grown], weights: Mapping[str, float], end: float
) -> float:
    """The probability, over laws, that the difference is below an end."""
    return sum(weights[name] * _below(gap[1:] - end, grown[name]) for name, gap in gaps.items())


def _interval(
    gaps: Mapping[str, Float[np.ndarray, " sets"]], grown: Mapping[str, Grown], weights: Mapping[str, float], level: float
) -> tuple[float, float]:
    """Ends of the mixture over laws, with equal probability beyond each."""
    far = 1e-6 + max(np.abs(gap).max() + 10 * grown[name].scales.max() for name, gap in gaps.items())
    low, high = (
        brentq(lambda end, share=share: _mixture(gaps, grown, weights, end) - share, -far, far, xtol=1e-7, maxiter=1000)
        for share in ((1 - level) / 2, (1 + level) / 2)
    )
    return low, high


def _simple(a: str, b: str, one: Grasp, other: Grasp) -> tuple[str | None, float]:
    """The better group at the largest value that both have; where they have none in common, at the largest that both reach."""
    common = np.intersect1d(one.x, other.x)
    at = float(common[-1]) if len(common) else float(min(one.x.max(), other.x.max()))
    losses = []
    for each in (one, other):
        places = np.unique(each.x)
        means = [np.log(each.loss[each.x == place]).mean() for place in places]
        losses.append(float(np.interp(np.log(at), np.log(places), means)))
    if losses[0] == losses[1]:
        return None, at
    return (a if losses[0] < losses[1] else b), at
