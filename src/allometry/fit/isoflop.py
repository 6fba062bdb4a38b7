"""IsoFLOP levels: the best size at each compute, and the line through the best sizes (approach 2 of Hoffmann et al., 2022).

Two ways to read a level: a parabola in ln N, and Akima's interpolation of ln L over ln N (Porian et al., 2024). The parabola is
biased where a level is lopsided or its minimum is off its centre (arXiv:2603.22339); then a finding says so.
"""

# ruff: noqa: N803 - N, D and C are the letters of the field

import dataclasses
import itertools
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy import stats
from scipy.interpolate import Akima1DInterpolator

from allometry.fit.plain import plain
from allometry.fit.refusals import LackOfFit, NoInteriorMinimum, TooFewLevels
from allometry.flow import Refusal

READ = 25  # places between two neighbouring sizes where the interpolation is read
OFF = 0.25  # of the width of a level: a minimum further from its middle biases a parabola
GAP = 0.1  # in ln C: levels lie at least so far apart


@dataclasses.dataclass(frozen=True, kw_only=True)
class Level:
    """One compute level. N and loss are None where there is no interior minimum."""

    C: float
    sizes: int
    N: float | None
    loss: float | None


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class IsoFlop:
    """The levels and `N* = coefficient * C^exponent`."""

    method: str  # "parabola" | "akima"
    levels: tuple[Level, ...]
    exponent: float
    low: float
    high: float
    coefficient: float
    findings: tuple[Refusal, ...]

    def to_json(self) -> dict[str, Any]:
        return plain(
            dataclasses.asdict(dataclasses.replace(self, findings=()))
            | {"findings": [{"kind": type(finding).__name__, "text": str(finding)} for finding in self.findings]}
        )


def levels_of(C: Float[np.ndarray, " runs"]) -> Int[np.ndarray, " runs"]:
    """Which level each run belongs to: neighbours in ln C that lie closer than 0.1."""
    order = np.argsort(C, kind="stable")
    jump = np.concatenate([[0], np.diff(np.log(C[order])) > GAP])
    level = np.empty(len(C), dtype=int)
    level[order] = np.cumsum(jump).astype(int)
    return level


def optimum(
    N: Float[np.ndarray, " sizes"], loss: Float[np.ndarray, " sizes"], method: str = "parabola"
) -> tuple[float, float]:
    """N and loss at the minimum of one level. Raises NoInteriorMinimum where it is at the edge of the sizes."""
    order = np.argsort(N, kind="stable")
    x, y = np.log(N[order]), np.log(loss[order])
    if len(np.unique(x)) < len(x):  # seeds: one mean for each size
        x, index = np.unique(x, return_inverse=True)
        y = np.bincount(index.ravel(), y) / np.bincount(index.ravel())
    wanted = 3 if method == "parabola" else 5
    if len(x) < wanted:
        raise NoInteriorMinimum(
            f"A level with {len(x)} sizes has no minimum that {method} could find. Run at least {wanted} sizes there."
        )
    best, low = _parabola(x, y) if method == "parabola" else _akima(x, y)
    if best is None:
        edge, side = (x[0], "smaller") if y[0] <= y[-1] else (x[-1], "larger")
        raise NoInteriorMinimum(
            f"The loss is lowest at the edge of the sizes (N = {np.exp(edge):.3g}). Run {side} sizes at this compute."
        )
    return float(np.exp(best)), float(np.exp(low))


def _parabola(x: Float[np.ndarray, " sizes"], y: Float[np.ndarray, " sizes"]) -> tuple[float | None, float]:
    middle = x.mean()
    bend, slope, at = np.polyfit(x - middle, y, 2)
    place = middle - slope / (2 * bend) if bend > 0 else np.inf
    return (float(place), float(at - slope**2 / (4 * bend))) if x[0] < place < x[-1] else (None, 0.0)


def _akima(x: Float[np.ndarray, " sizes"], y: Float[np.ndarray, " sizes"]) -> tuple[float | None, float]:
    curve = Akima1DInterpolator(x, y)
    places = np.concatenate([np.linspace(a, b, READ, endpoint=False) for a, b in itertools.pairwise(x)] + [x[-1:]])
    read = curve(places)
    best = int(np.argmin(read))
    return (float(places[best]), float(read[best])) if 0 < best < len(places) - 1 else (None, 0.0)


def isoflop(
    N: Float[np.ndarray, " runs"],
    C: Float[np.ndarray, " runs"],
    loss: Float[np.ndarray, " runs"],
    *,
    method: str = "parabola",
    level: float = 0.9,
) -> IsoFlop:
    """The best size of every level and the line through them. A level without an interior minimum is a finding."""
    group = levels_of(C)
    found, findings = [], []
    lopsided = []
    for index in np.unique(group):
        here = group == index
        flops = float(np.exp(np.log(C[here]).mean()))
        try:
            best, low = optimum(N[here], loss[here], method)
        except NoInteriorMinimum as refusal:
            findings.append(NoInteriorMinimum(f"At {flops:.3g} FLOPs: {refusal}"))
            found.append(Level(C=flops, sizes=int(here.sum()), N=None, loss=None))
            continue
        found.append(Level(C=flops, sizes=int(here.sum()), N=best, loss=low))
        x = np.log(N[here])
        if abs(np.log(best) - (x.min() + x.max()) / 2) > OFF * (x.max() - x.min()):
            lopsided.append(flops)
    if method == "parabola" and lopsided:
        findings.append(
            LackOfFit(
                f"{len(lopsided)} of {len(found)} levels have their minimum far from the middle of the sizes "
                f"(first: {lopsided[0]:.3g} FLOPs), which biases a parabola. Run sizes on both sides, or use method='akima'"
            )
        )
    good = [one for one in found if one.N is not None]
    places = np.array([one.C for one in good]), np.array([one.N for one in good], dtype=float)
    exponent, low, high, coefficient = line(*places, np.ones(len(good)), level)
    return IsoFlop(
        method=method,
        levels=tuple(found),
        exponent=exponent,
        low=low,
        high=high,
        coefficient=coefficient,
        findings=tuple(findings),
    )


def line(
    C: Float[np.ndarray, " levels"],
    N: Float[np.ndarray, " levels"],
    weights: Float[np.ndarray, " levels"],
    level: float = 0.9,
) -> tuple[float, float, float, float]:
    """The exponent of N in C with its interval (Student's t, n - 2 degrees of freedom), and the coefficient."""
    known = np.isfinite(N) & np.isfinite(C) & np.isfinite(weights)
    x, y, w = np.log(C[known]), np.log(N[known]), weights[known]
    if len(np.unique(x)) < 3:
        raise TooFewLevels(
            f"{len(np.unique(x))} levels have an interior minimum; a line with an interval needs 3. "
            "Run more compute levels, or wider sizes at each."
        )
    middle = (w * x).sum() / w.sum()
    spread = (w * (x - middle) ** 2).sum()
    slope = (w * (x - middle) * y).sum() / spread
    start = (w * y).sum() / w.sum() - slope * middle
    left = (w * (y - start - slope * x) ** 2).sum() / (len(x) - 2)
    reach = stats.t.ppf((1 + level) / 2, len(x) - 2) * np.sqrt(left / spread)
    return float(slope), float(slope - reach), float(slope + reach), float(np.exp(start))
