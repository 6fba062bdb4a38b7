"""Diagnosis: what shows that a fit may be trusted, and findings that say why not, each with what to run."""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from allometry.fit.differences import interval
from allometry.fit.laws._law import Law
from allometry.fit.refusals import AtBound, LackOfFit, NotConverged, NotIdentified, TooFewPoints
from allometry.flow import Refusal

WIDE = 3.0  # ratio of the ends of an interval, from which on a parameter counts as not identified
NARROW = 2.0  # ratio of the largest to the smallest value of a variable, under which its exponent is not known
STEEP = 1e-6  # share of the forces on a value that may be left at a minimum
CHANCE = 0.01  # of a misfit under pure noise, below which it is a finding


@dataclasses.dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """How the search ended. None where the fit was made on the draws of a study."""

    screened: int  # starts that were tried
    starts: int  # of them, followed to their minimum
    agreeing: int  # of these, ended with the best criterion (relative 1e-6)
    gradient: float  # force left at the minimum, as a share of the forces that cancel there
    condition: float  # of the scaled Jacobian's normal matrix; infinite where it has no full rank
    at_bound: tuple[str, ...]
    unmoved: tuple[str, ...]  # parameters that still equal their start
    spare: int  # points minus parameters
    scatter: float  # standard deviation of the residuals, with `spare` degrees of freedom
    profile: dict[str, tuple[float, float]]  # profile intervals at the level of the fit

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def edges(law: Law, at: dict[str, float]) -> tuple[str, ...]:
    """Parameters at the end of their range."""
    found = []
    for parameter in law.parameters:
        value = at[parameter.name]
        low, high = parameter.low, parameter.high
        near_low = low is not None and (value <= low * 1.01 if low > 0 else value <= low)
        if near_low or (high is not None and value >= high * 0.99):
            found.append(parameter.name)
    return tuple(found)


def findings(
    law: Law,
    samples: dict[str, Float[np.ndarray, " sets"]],
    points: int,
    level: float,
    pinned: tuple[str, ...] = (),
    diagnosis: Diagnosis | None = None,
) -> list[Refusal]:
    """What to distrust in the estimate (column 0) with its draws."""
    at = {name: float(value[0]) for name, value in samples.items()}
    free = len(law.parameters) - len(pinned)
    found: list[Refusal] = []
    if points - free <= max(2, free):
        found.append(
            TooFewPoints(
                f"only {points} points for {free} parameters: the interval is wide for good reason. "
                f"Add sizes or budgets{', or pin the floor (pinned=, --pin E=...)' if 'E' in law.names else ''}"
            )
        )
    edge = [name for name in edges(law, at) if name not in pinned]
    silent: list[str] = []
    for name in edge:
        if name in law.coefficients:
            what = "floor" if name in ("E", "floor") else "term"
            found.append(AtBound(f"{name} = 0: the data do not support this {what}. {_cure(what)}"))
            silent += _governed(law, name)
        else:
            found.append(
                AtBound(f"{name} is at the edge of the search ({at[name]:.3g}). Run a wider range, or use a simpler law")
            )
    for name in silent:
        found.append(NotIdentified(f"{name} is not identified: its term is 0. Run a wider range, or use a law without it"))
    for parameter in law.parameters:
        name = parameter.name
        if name in pinned or name in edge or name in silent or name in law.coefficients:
            continue
        found += _unidentified(law, name, samples[name], level, diagnosis)
    return found + (_search(diagnosis) if diagnosis else [])


def _cure(what: str) -> str:
    if what == "floor":
        return "Run larger budgets, where the curve bends, or pin it (pinned=, --pin E=...)"
    return "Vary its variable over a wider range, or use a law without it"


def _governed(law: Law, coefficient: str) -> list[str]:
    """Exponents that nothing is known of when this coefficient is 0."""
    terms = getattr(law, "terms", ())
    mine = {power[1] for term in terms if term.coefficient == coefficient for power in term.powers}
    others = {power[1] for term in terms if term.coefficient != coefficient for power in term.powers}
    return sorted(mine - others)


def _unidentified(
    law: Law, name: str, sample: Float[np.ndarray, " sets"], level: float, diagnosis: Diagnosis | None
) -> list[Refusal]:
    parameter = law.parameter(name)
    low, high = interval(sample[1:], level) if len(sample) > 1 else (sample[0], sample[0])
    low, high = float(low), float(high)
    if diagnosis and name in diagnosis.profile:
        low, high = min(low, diagnosis.profile[name][0]), max(high, diagnosis.profile[name][1])
    signed = parameter.low is None or parameter.low < 0
    wide = not signed and high > WIDE * low
    open_low = parameter.low is not None and parameter.low > 0 and low <= parameter.low * 1.01
    open_high = parameter.high is not None and high >= parameter.high * 0.99
    if signed and not (open_low or open_high):
        return []
    if not (wide or open_low or open_high):
        return []
    least = f"anything {'above' if open_high and not open_low else 'from'} {low:.3g}"
    text = least if open_high and not open_low else f"{least} to {high:.3g}"
    return [NotIdentified(f"{name} is not identified: {text} fits. Run a wider range of {', '.join(law.variables)}")]


def leverage(law: Law, ranges: dict[str, tuple[float, float]], pinned: tuple[str, ...]) -> list[Refusal]:
    """Exponents of a variable that hardly varies."""
    found: list[Refusal] = []
    for variable, (low, high) in ranges.items():
        names = [
            power[1]
            for term in getattr(law, "terms", ())
            for power in term.powers
            if {other[0] for other in term.powers} == {variable} and power[1] not in pinned
        ]
        if names and high < NARROW * low:
            text = f"{' and '.join(names)} is not identified: {variable} varies by a factor of {high / low:.3g} only"
            found.append(NotIdentified(f"{text}. Run {variable} over a factor of {NARROW:g} at least, better of 10"))
    return found


def few_runs(runs: int, points: int, free: int) -> list[Refusal]:
    """Checkpoints of a run do not stand for runs."""
    if runs == points or runs > free:
        return []
    return [
        NotIdentified(
            f"{points} points come from {runs} runs only, for {free} parameters: checkpoints of a run are not independent. "
            "Run more sizes"
        )
    ]


def floor(
    sample: Float[np.ndarray, " sets"], lowest: float, level: float, diagnosis: Diagnosis, shared: bool
) -> list[Refusal]:
    """Is the floor E known? What is left above it at the best run must be, within a factor of 3.

    By its profile; where there is none, as groups share parameters or too few runs are left, by its draws.
    """
    if sample[0] <= 0:
        return []
    low, high = diagnosis.profile.get("E") or interval(sample[1:], level)
    if low > 0 and lowest > high and lowest - low <= WIDE * (lowest - high):
        return []
    text = f"anything from {low:.3g} to {high:.3g} fits" if low > 0 else f"anything up to {high:.3g} fits, no floor too"
    more = "" if shared else ", or share it (shared=, --share E)"
    return [NotIdentified(f"E is not identified: {text}. {_cure('floor')}{more}")]


def _search(diagnosis: Diagnosis) -> list[Refusal]:
    found: list[Refusal] = []
    if diagnosis.starts > 1 and diagnosis.agreeing < 2:
        found.append(
            NotConverged(
                f"only {diagnosis.agreeing} of {diagnosis.starts} starts reached the best criterion. "
                "Use a law with fewer parameters, or add points"
            )
        )
    if diagnosis.gradient > STEEP:
        found.append(
            NotConverged(
                f"the search stopped on a slope ({diagnosis.gradient:.1e} of the forces is left). "
                "Use a law with fewer parameters, or a larger delta"
            )
        )
    if diagnosis.unmoved:
        found.append(
            NotConverged(
                f"{', '.join(diagnosis.unmoved)} never left the start. Scale the variables to numbers that differ, "
                "or use a law without it"
            )
        )
    if not np.isfinite(diagnosis.condition):
        found.append(
            NotIdentified(
                "the parameters are not identified one by one: some change of them changes no prediction. "
                "Vary the variables independently, or pin a parameter"
            )
        )
    return found


def misfit(
    columns: dict[str, Float[np.ndarray, " points"]],
    residual: Float[np.ndarray, " points"],
    free: int,
    noise: float | None,
    labels: list[str],
) -> list[Refusal]:
    """Residuals (of ln loss) against repeats of one cell, against known noise, and against one another.

    `residual` is observed minus predicted. Repeats are rows that agree in all variables.
    """
    found: list[Refusal] = []
    # Copies of a row are no repeats: they would show a noise of zero.
    once = np.unique(np.stack([*columns.values(), residual]), axis=1, return_index=True)[1]
    columns, residual = {name: values[once] for name, values in columns.items()}, residual[once]
    labels = [labels[i] for i in once]
    points = len(residual)
    cell = np.unique(np.stack(list(columns.values()), axis=1), axis=0, return_inverse=True)[1].ravel()
    counts = np.bincount(cell)
    within = points - len(counts)
    lack = len(counts) - free
    mean = np.bincount(cell, residual) / counts
    if within >= 3 and lack >= 1:
        pure = float(((residual - mean[cell]) ** 2).sum()) / within
        between = float((counts * mean**2).sum()) / lack
        chance = float(stats.f.sf(between / max(pure, 1e-300), lack, within))
        if chance < CHANCE:
            found.append(
                LackOfFit(
                    f"the law misses by {np.sqrt(between):.2%} where repeats of one cell differ by {np.sqrt(pure):.2%} "
                    f"(probability {chance:.1g}). Try another law, or leave out runs that were trained otherwise"
                )
            )
    elif noise and points > free:
        ratio = float((residual**2).sum()) / noise**2
        chance = float(stats.chi2.sf(ratio, points - free))
        if chance < CHANCE:
            rms = np.sqrt(float((residual**2).sum()) / (points - free))
            found.append(
                LackOfFit(
                    f"the law misses by {rms:.2%} where seeds differ by {noise:.2%} (probability {chance:.1g}). "
                    "Try another law, or leave out runs that were trained otherwise"
                )
            )
    return found + _diverged(residual, free, labels)


def far_above(residual: Float[np.ndarray, " points"], free: int) -> Int[np.ndarray, " far"]:
    """Points far above the law, in units of the others' scatter; the farthest first."""
    if len(residual) - free < 3:
        return np.zeros(0, dtype=int)
    spread = 1.4826 * float(np.median(np.abs(residual))) * np.sqrt(len(residual) / (len(residual) - free))
    far = np.flatnonzero(residual > max(8 * spread, 0.01))
    return far[residual[far].argsort()[::-1]]


def _diverged(residual: Float[np.ndarray, " points"], free: int, labels: list[str]) -> list[Refusal]:
    far = far_above(residual, free)
    if not len(far):
        return []
    worst = far[:3]
    named = "; ".join(f"{labels[i]} by {residual[i]:.1%}" for i in worst)
    return [
        LackOfFit(
            f"{len(far)} points lie far above the law ({named}): diverged or trained otherwise? "
            "Run them again, or leave them out and say so"
        )
    ]


def rising(x: Float[np.ndarray, " points"], loss: Float[np.ndarray, " points"], variable: str) -> list[Refusal]:
    """A loss that rises by more than 1 % with more of the variable, at two points in a row or the last one."""
    places = np.unique(x)
    mean = np.array([np.log(loss[x == place]).mean() for place in places])
    lowest = np.minimum.accumulate(mean)
    above = mean - lowest > 0.01
    if len(places) < 4 or not above[-1]:
        return []
    return [
        LackOfFit(
            f"the loss rises from {np.exp(lowest[-1]):.4g} to {np.exp(mean[-1]):.4g} although {variable} grows: "
            "the last runs diverged or were not tuned. Run them again at a lower learning rate, or leave them out and say so"
        )
    ]
