"""winners: which group has the lowest loss in each region of compute, and where two of them change places; from saved fits.

Both read the draws of laws in one variable, as far as the fits answer. They hold the doubt about parameters, not about the
law: `decide` weighs laws too, at one place. Groups fitted apart are drawn apart.
"""

import dataclasses
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Float

from allometry.fit.differences import interval
from allometry.fit.fits import Fits
from allometry.fit.plain import plain
from allometry.flow import Refusal

REGIONS = 8
FINE = 400  # places at which a crossing is looked for
SEEN = 0.5  # share of draws that must cross, for a crossing to be worth a word


@dataclasses.dataclass(frozen=True, kw_only=True)
class Region:
    """From `low` to `high` of the variable; judged at its middle on a log axis."""

    low: float
    high: float
    winner: str | None  # None: cannot tell
    probability: dict[str, float]  # of each group to have the lowest loss
    beyond: bool  # outside what all groups have run


@dataclasses.dataclass(frozen=True, kw_only=True)
class Crossing:
    """Two groups change places at `value`; the interval is that of the draws that cross in reach."""

    a: str
    b: str
    value: float
    low: float
    high: float
    probability: float  # share of draws that cross in reach
    better_below: str
    better_above: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Winners:
    """Regions from the smallest value on, and crossings."""

    variable: str
    level: float
    regions: tuple[Region, ...]
    crossings: tuple[Crossing, ...]

    def to_json(self) -> dict[str, Any]:
        return plain(dataclasses.asdict(self))


def winners(fits: Fits, level: float | None = None) -> Winners:
    """Who wins where, from the smallest value that all groups ran to the end of their reach.

    A winner beats every other group with a probability beyond (1 + level) / 2, each pair judged by itself.
    """
    every = list(fits)
    variables = {one.law.variables for one in every}
    if len(every) < 2 or len(variables) != 1 or len(every[0].law.variables) != 1:
        raise Refusal(
            f"winners() compares two groups or more by laws of one variable; got {len(every)} of "
            f"{', '.join(every[0].law.variables)}. Fit law='power_floor' with by=."
        )
    (variable,) = every[0].law.variables
    chance = level or every[0].level
    first = max(one.range[variable][0] for one in every)
    ran = min(one.range[variable][1] for one in every)
    last = min(one.range[variable][1] * one.reach for one in every)
    if first >= last:
        raise Refusal(
            f"The groups have no {variable} in common: the smallest of one, {first:.3g}, is beyond the reach of another, "
            f"{last:.3g}. Run them at the same {variable}."
        )
    ends = np.geomspace(first, last, REGIONS + 1)
    middles = np.sqrt(ends[:-1] * ends[1:])
    losses = np.stack([_losses(one, variable, middles) for one in every])  # groups, sets, regions
    names = [one.group for one in every]
    regions = [
        _region(names, losses[:, 1:, index], (float(ends[index]), float(ends[index + 1])), chance, bool(middle > ran))
        for index, middle in enumerate(middles)
    ]
    fine = np.geomspace(first, last, FINE)
    curves = {one.group: _losses(one, variable, fine) for one in every}
    found = [_crossing(a, b, curves[a] - curves[b], fine, chance) for a, b in combinations(names, 2)]
    return Winners(
        variable=variable, level=chance, regions=tuple(regions), crossings=tuple(one for one in found if one is not None)
    )


def _losses(fit: Any, variable: str, places: Float[np.ndarray, " places"]) -> Float[np.ndarray, "sets places"]:
    samples = {name: sample[:, None] for name, sample in fit.samples.items()}
    return np.asarray(fit.law.predict(samples, {variable: places}), dtype=float)


def _region(
    names: list[str], losses: Float[np.ndarray, "groups draws"], ends: tuple[float, float], level: float, beyond: bool
) -> Region:
    best = losses.argmin(axis=0)
    share = {name: float((best == index).mean()) for index, name in enumerate(names)}
    first = int(np.argmax(list(share.values())))
    sure = all((losses[first] < losses[other]).mean() > (1 + level) / 2 for other in range(len(names)) if other != first)
    return Region(low=ends[0], high=ends[1], winner=names[first] if sure else None, probability=share, beyond=beyond)


def _crossing(
    a: str, b: str, gap: Float[np.ndarray, "sets places"], places: Float[np.ndarray, " places"], level: float
) -> Crossing | None:
    """Where the estimate changes sign once, and where its draws do."""
    turns = np.diff(np.sign(gap), axis=1) != 0
    once = turns.sum(axis=1) == 1
    if not once[0] or once[1:].mean() < SEEN:
        return None
    at = turns[once].argmax(axis=1)
    rows = np.flatnonzero(once)
    left, right = gap[rows, at], gap[rows, at + 1]
    step = np.log(places[at + 1] / places[at])
    where = places[at] * np.exp(step * left / (left - right))
    low, high = interval(where[1:], level)
    below, above = (a, b) if gap[0, 0] < 0 else (b, a)
    return Crossing(
        a=a,
        b=b,
        value=float(where[0]),
        low=float(low),
        high=float(high),
        probability=float(once[1:].mean()),
        better_below=below,
        better_above=above,
    )
