"""Two families compared: paired differences of ln loss, compute multipliers, local slopes, and the verdict.

The chance of error is split. A study of two equal families should name a winner in at most 1 - level of the cases, whether
overall or in some region; so the overall verdicts take 0.6 of that chance and the regions (`regions.py`) take 0.4. With more
families there are more pairs to err on, so one critical value holds for all of them together (Westfall & Young 1993).
"""

# ruff: noqa: N803, N806 - N, D and C are the letters of the field

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np
from jaxtyping import Float

from allometry.fit.frontier import Frontier

OVERALL_SHARE = 0.6  # of the chance of a false winner; the rest is for the regions
POWER = 0.8416  # normal quantile at 80 %


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Difference:
    """a minus b, in ln loss: the mean over their common budgets."""

    a: str
    b: str
    value: float
    draws: Float[np.ndarray, " draws"]
    budgets: int  # common to both

    def verdict(self, critical: float, margin: float) -> tuple[str | None, str | None]:
        """The better family, or the reason why none can be named."""
        if not self.budgets:
            return None, "the two have no budget in common"
        reach = critical * self.draws.std()
        if abs(self.value) > reach + margin:
            return (self.a if self.value < 0 else self.b), None
        if abs(self.value) <= reach:
            return None, f"the difference of {abs(self.value):.2%} is within what chance makes ({reach:.2%})"
        return None, f"learning rates off by {margin:.1%} of the loss would explain the difference of {abs(self.value):.2%}"

    def detectable(self, critical: float, margin: float) -> float:
        """The smallest true difference (ln loss) that such a study declares in 80 % of cases."""
        return float((critical + POWER) * self.draws.std() + margin) if self.budgets else float("nan")


def critical(gaps: Iterable[Difference], level: float) -> float:
    """Standard deviations that a difference must lie from zero, so that all pairs together err in 0.6 (1 - level) of studies."""
    scaled = [np.abs(gap.draws - gap.draws.mean()) / gap.draws.std() for gap in gaps if gap.budgets and gap.draws.std() > 0]
    return float(np.quantile(np.max(scaled, axis=0), 1 - OVERALL_SHARE * (1 - level))) if scaled else 0.0


def difference(frontier: Frontier, a: int, b: int) -> Difference:
    """Compare the families with these numbers over the budgets that both ran."""
    common = frontier.present[a] & frontier.present[b]
    gap = frontier.value[a, common] - frontier.value[b, common]
    gaps = frontier.draws[:, a, common] - frontier.draws[:, b, common]
    some = bool(common.any())
    return Difference(
        a=frontier.families[a],
        b=frontier.families[b],
        value=float(gap.mean()) if some else float("nan"),
        draws=gaps.mean(axis=1) if some else np.full(len(gaps), np.nan),
        budgets=int(common.sum()),
    )


def interval(draws: Float[np.ndarray, " draws *many"], level: float) -> Float[np.ndarray, " 2 *many"]:
    """Low and high end. Draws may be infinite (outside the range run), so no two are ever averaged."""
    count = len(draws)
    ranks = [int(np.floor((1 - level) / 2 * (count - 1))), int(np.ceil((1 + level) / 2 * (count - 1)))]
    return np.sort(draws, axis=0)[ranks]


def three(sample: Float[np.ndarray, " sets"], level: float, least: float = -np.inf) -> tuple[float, float, float]:
    """Value, low and high of a sample whose first column is the estimate.

    A draw without a value speaks for neither side: it is the `least` for the low end, and infinite for the high one.
    """
    drawn = sample[1:] if len(sample) > 1 else sample
    low, high = (interval(np.where(np.isnan(drawn), end, drawn), level)[i] for i, end in enumerate((least, np.inf)))
    return float(sample[0]), float(low), float(high)


def at_budgets(frontier: Frontier, a: int, b: int, level: float) -> list[dict[str, Any]]:
    """The difference and the compute multiplier at each common budget (keys of docs/answer.md)."""
    rows = []
    ln_C = np.log(frontier.budgets)
    for index in np.flatnonzero(frontier.present[a] & frontier.present[b]):
        drawn = frontier.draws[:, a, index] - frontier.draws[:, b, index]
        low, high = interval(drawn, level)
        row = {
            "budget": frontier.budgets[index],
            "ln_difference": frontier.value[a, index] - frontier.value[b, index],
            "low": low,
            "high": high,
        }
        rows.append(row | _multiplier(frontier, ln_C, a, b, int(index), level))
    return rows


def _multiplier(
    frontier: Frontier, ln_C: Float[np.ndarray, " budgets"], a: int, b: int, index: int, level: float
) -> dict[str, Any]:
    where = frontier.present[a]
    value = inverse(ln_C[where], frontier.value[None, a, where], frontier.value[None, b, index])[0] - ln_C[index]
    drawn = inverse(ln_C[where], frontier.draws[:, a, where], frontier.draws[:, b, index]) - ln_C[index]
    low, high = interval(drawn, level)
    names = frontier.families[a], frontier.families[b]
    reason = None
    if value == np.inf:
        reason = f"no budget that was run brought {names[0]} to the loss of {names[1]}"
    elif value == -np.inf:
        reason = f"{names[0]} is better than that already at the smallest budget that was run"
    elif not (np.isfinite(low) and np.isfinite(high)):
        reason = "the interval leaves the range that was run"
    with np.errstate(over="ignore"):
        ends = [np.exp(end) if np.isfinite(end) else np.nan for end in (value, low, high)]
    return {"multiplier": ends[0], "multiplier_low": ends[1], "multiplier_high": ends[2], "reason": reason}


def inverse(
    ln_C: Float[np.ndarray, " nodes"], curve: Float[np.ndarray, "draws nodes"], target: Float[np.ndarray, " draws"]
) -> Float[np.ndarray, " draws"]:
    """Where a falling piecewise-linear curve reaches `target`: ln C, or -inf and inf left and right of the range.

    A curve that rises by noise is read as its lowest value so far.
    """
    falling = np.minimum.accumulate(curve, axis=1)
    above = (falling > target[:, None]).sum(1)
    right = np.clip(above, 1, len(ln_C) - 1) if len(ln_C) > 1 else np.zeros(len(curve), dtype=int)
    rows = np.arange(len(curve))
    if len(ln_C) == 1:
        return np.where(np.abs(falling[:, 0] - target) < 1e-12, ln_C[0], np.where(above > 0, np.inf, -np.inf))
    upper, lower = falling[rows, right - 1], falling[rows, right]
    drop = np.where(upper > lower, upper - lower, 1.0)
    inside = ln_C[right - 1] + (upper - target) / drop * (ln_C[right] - ln_C[right - 1])
    start = np.where(np.abs(falling[:, 0] - target) < 1e-12, ln_C[0], -np.inf)
    return np.where(above == 0, start, np.where(above == len(ln_C), np.inf, inside))


def slopes(frontier: Frontier) -> tuple[Float[np.ndarray, " families"], Float[np.ndarray, "draws families"]]:
    """Minus d ln loss / d ln C over the range run: the least-squares line; NaN with fewer than two budgets."""
    value = np.full(len(frontier.families), np.nan)
    drawn = np.full((len(frontier.draws), len(frontier.families)), np.nan)
    for family in range(len(frontier.families)):
        here = frontier.present[family]
        if here.sum() >= 2:
            x = np.log(frontier.budgets[here])
            weight = -(x - x.mean()) / ((x - x.mean()) ** 2).sum()
            value[family] = frontier.value[family, here] @ weight
            drawn[:, family] = frontier.draws[:, family, here] @ weight
    return value, drawn


def matched_slopes(frontier: Frontier, a: int, b: int, level: float, pairs: int) -> dict[str, Any]:
    """Slopes of both families where they have one loss, as slopes at one budget compare different losses.

    The curve is a least-squares parabola of ln loss in ln C (a line with three budgets); the loss is the middle of what both
    reached. The interval is this pair's own; the verdict shares the chance of error among all `pairs` (Bonferroni).
    """
    names = {"a": frontier.families[a], "b": frontier.families[b]}
    empty = dict.fromkeys(("loss", "slope_a", "slope_b", "difference", "low", "high", "verdict"), None)
    here = [frontier.present[family] for family in (a, b)]
    if min(present.sum() for present in here) < 3:
        return names | empty | {"reason": "fewer than three budgets"}
    values = [frontier.value[family, present] for family, present in zip((a, b), here, strict=True)]
    low, high = max(v.min() for v in values), min(v.max() for v in values)
    if low >= high:
        return names | empty | {"reason": "the two never reached one loss"}
    target = (low + high) / 2
    at = [_slope_at(frontier, family, present, target) for family, present in zip((a, b), here, strict=True)]
    gap, gaps = at[0][0] - at[1][0], at[0][1] - at[1][1]
    ends = interval(gaps, level)
    wide = interval(gaps, 1 - (1 - level) / pairs)
    apart = bool(wide[0] > 0 or wide[1] < 0)
    steeper = names["a"] if gap > 0 else names["b"]
    among = f" when all {pairs} pairs are judged together" if pairs > 1 else ""
    return names | {
        "loss": np.exp(target),
        "slope_a": at[0][0],
        "slope_b": at[1][0],
        "difference": gap,
        "low": ends[0],
        "high": ends[1],
        "verdict": steeper if apart else None,
        "reason": None if apart else f"the difference may be zero{among}",
    }


def _slope_at(
    frontier: Frontier, family: int, present: np.ndarray, target: float
) -> tuple[float, Float[np.ndarray, " draws"]]:
    x = np.log(frontier.budgets[present])
    middle, half = (x[0] + x[-1]) / 2, (x[-1] - x[0]) / 2
    degree = 2 if len(x) > 3 else 1
    solver = np.linalg.pinv(np.vander((x - middle) / half, degree + 1, increasing=True))
    curves = np.concatenate([frontier.value[None, family, present], frontier.draws[:, family, present]])
    parts = np.zeros((len(curves), 3))
    parts[:, : degree + 1] = curves @ solver.T
    place = np.zeros(len(curves))
    for _ in range(8):  # Newton's steps, kept inside the range
        steep = parts[:, 1] + 2 * parts[:, 2] * place
        steep = np.where(np.abs(steep) > 1e-9, steep, -1e-9)
        place = np.clip(place - (parts[:, 0] + parts[:, 1] * place + parts[:, 2] * place**2 - target) / steep, -1, 1)
    slope = -(parts[:, 1] + 2 * parts[:, 2] * place) / half
    return float(slope[0]), slope[1:]
