"""Who wins where: loss against a cost axis, the winner of each region with its probability, and crossovers.

On compute, with or without embedding, the nodes are the frontier at the budgets. On parameters, seconds and memory they are
the runs that no cheaper run of the family beats. Between nodes ln loss is linear in ln cost.

A winner must beat every other family by more than chance makes anywhere: one critical value holds for all pairs, places and
axes together (the largest deviation of a draw, in standard deviations; Westfall & Young 1993).
"""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from allometry.fit.cells import Cells
from allometry.fit.differences import OVERALL_SHARE, interval
from allometry.fit.draws import Draws
from allometry.fit.frontier import Frontier, interpolation

AXES = {
    "flops": "C",
    "flops_non_embedding": "C_non_embedding",
    "parameters": "N",
    "parameters_all": "N_all",
    "seconds": "seconds",
    "memory": "memory",
}
PLACES = 12  # at which curves are compared, on the axes other than FLOPs


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Axis:
    """Logarithms of loss at places of one cost axis; NaN where a family was not run."""

    name: str
    families: tuple[str, ...]
    ln_cost: Float[np.ndarray, " places"]
    value: Float[np.ndarray, "families places"]
    draws: Float[np.ndarray, "draws families places"]

    @property
    def present(self) -> Bool[np.ndarray, "families places"]:
        return np.isfinite(self.value)


def axes(cells: Cells, draws: Draws, frontier: Frontier) -> list[Axis]:
    """All axes of the study; an axis that was not measured has no places."""
    families = cells.families
    result = [
        Axis(name="flops", families=families, ln_cost=np.log(frontier.budgets), value=frontier.value, draws=frontier.draws)
    ]
    with np.errstate(divide="ignore", invalid="ignore"):
        ln_costs = {name: np.log(cells.costs[column]) for name, column in AXES.items() if name != "flops"}
    for name, ln_cost in ln_costs.items():
        nodes, losses, drawn = [], [], []
        at_frontier = frontier.at(ln_cost)
        for family in range(len(families)):
            if name == "flops_non_embedding":
                where = np.flatnonzero(np.isfinite(at_frontier[family]))
                where = where[np.argsort(at_frontier[family, where])]
                found = at_frontier[family, where], frontier.value[family, where], frontier.draws[:, family, where]
            else:
                where = _unbeaten(cells, draws, family, ln_cost)
                found = ln_cost[where], draws.centre[where], draws.losses[:, where]
                here = ln_cost[(cells.family == family) & np.isfinite(ln_cost)]
                if len(where) and here.max() > ln_cost[where[-1]]:
                    # What costs more and is no better: the best run so far still stands.
                    found = (
                        np.append(found[0], here.max()),
                        np.append(found[1], found[1][-1]),
                        found[2][:, [*range(len(where)), -1]],
                    )
            nodes.append(found[0])
            losses.append(found[1])
            drawn.append(found[2])
        result.append(_interpolated(name, families, len(frontier.draws), nodes, losses, drawn))
    return result


def _unbeaten(cells: Cells, draws: Draws, family: int, ln_cost: Float[np.ndarray, " cells"]) -> np.ndarray:
    """A family's cells that beat all cheaper ones, by rising cost. Chosen once, so that draws do not pick minima."""
    here = np.flatnonzero((cells.family == family) & np.isfinite(ln_cost))
    here = here[np.lexsort((draws.centre[here], ln_cost[here]))]
    if not len(here):
        return here
    lowest = np.minimum.accumulate(draws.centre[here])
    here = here[np.concatenate([[True], lowest[1:] < lowest[:-1]])]
    return here


def _interpolated(
    name: str,
    families: tuple[str, ...],
    count: int,
    nodes: list[np.ndarray],
    losses: list[np.ndarray],
    drawn: list[np.ndarray],
) -> Axis:
    ends = [(node[0], node[-1]) for node in nodes if len(node)]
    places = np.zeros(0)
    if ends and max(end[1] for end in ends) > min(end[0] for end in ends):
        places = np.linspace(min(end[0] for end in ends), max(end[1] for end in ends), PLACES)
    value = np.full((len(families), len(places)), np.nan)
    draws = np.full((count, len(families), len(places)), np.nan)
    for family, node in enumerate(nodes):
        if len(node) and len(places):
            weights = interpolation(node, places)
            inside = weights.any(1)
            value[family, inside] = (weights @ losses[family])[inside]
            draws[:, family, inside] = (drawn[family] @ weights.T)[:, inside]
    return Axis(name=name, families=families, ln_cost=places, value=value, draws=draws)


def _pairs(families: int) -> tuple[np.ndarray, np.ndarray]:
    return np.triu_indices(families, 1)


def critical(every: list[Axis], level: float) -> float:
    """Standard deviations that a difference must exceed, so that all regions together err in 0.4 (1 - level) of studies."""
    largest = np.zeros(len(every[0].draws))
    for axis in every:
        a, b = _pairs(len(axis.families))
        gaps = axis.draws[:, a] - axis.draws[:, b]
        gaps = gaps[:, (axis.present[a] & axis.present[b])]
        if gaps.size:
            sd = gaps.std(axis=0)
            scaled = np.abs(gaps - gaps.mean(axis=0)) / np.where(sd > 0, sd, 1.0)
            largest = np.maximum(largest, scaled.max(axis=1))
    return float(np.quantile(largest, 1 - (1 - OVERALL_SHARE) * (1 - level)))


def winners(axis: Axis, critical_value: float, margin: float) -> list[dict[str, Any]]:
    """The regions of an axis (keys of docs/answer.md); neighbours with one answer are merged."""
    if not len(axis.ln_cost):
        return []
    middles = (axis.ln_cost[1:] + axis.ln_cost[:-1]) / 2
    edges = np.exp(np.concatenate([axis.ln_cost[:1], middles, axis.ln_cost[-1:]]))
    regions: list[dict[str, Any]] = []
    shares: list[list[np.ndarray]] = []
    for place in range(len(axis.ln_cost)):
        winner, reason, share = _winner(axis, place, critical_value, margin)
        if regions and regions[-1]["winner"] == winner and regions[-1]["reason"] == reason:
            regions[-1]["high_cost"] = edges[place + 1]
            shares[-1].append(share)
        else:
            regions.append({"low_cost": edges[place], "high_cost": edges[place + 1], "winner": winner, "reason": reason})
            shares.append([share])
    return [
        region | {"probability": dict(zip(axis.families, np.mean(share, axis=0), strict=True))}
        for region, share in zip(regions, shares, strict=True)
    ]


def _winner(axis: Axis, place: int, critical_value: float, margin: float) -> tuple[str | None, str | None, np.ndarray]:
    here = np.flatnonzero(axis.present[:, place])
    share = np.zeros(len(axis.families))
    if not len(here):
        return None, "nothing was run here", share
    drawn = axis.draws[:, here, place]
    share[here] = np.bincount(drawn.argmin(1), minlength=len(here)) / len(drawn)
    best = int(axis.value[here, place].argmin())
    if len(here) == 1:
        return None, f"only {axis.families[here[0]]} was run here", share
    others = np.delete(np.arange(len(here)), best)
    gaps = axis.value[here[others], place] - axis.value[here[best], place]
    sd = (drawn[:, others] - drawn[:, [best]]).std(axis=0)
    close = here[others[gaps <= critical_value * sd + margin]]
    if not len(close):
        return axis.families[here[best]], None, share
    names = ", ".join(axis.families[family] for family in sorted({int(here[best]), *close.tolist()}))
    return None, f"cannot tell {names} apart", share


def mean_gap(axis: Axis, a: int, b: int) -> float:
    """The mean difference in ln loss between two families where both were run; NaN where they never were."""
    common = axis.present[a] & axis.present[b]
    return float((axis.value[a, common] - axis.value[b, common]).mean()) if common.any() else float("nan")


def crossovers(every: list[Axis], level: float) -> list[dict[str, Any]]:
    """Where one family is better below a cost and another above it: at most one crossing for a pair on an axis.

    Curves of equal families cross by noise in nearly every draw. So a crossing is shown only where, in a share `level` of the
    draws, one family is better on average over all that was run below it, and the other over all above it.
    """
    found = []
    for axis in every:
        for a, b in zip(*_pairs(len(axis.families)), strict=True):
            common = np.flatnonzero(axis.present[a] & axis.present[b])
            gap = axis.value[a, common] - axis.value[b, common]
            gaps = axis.draws[:, a, common] - axis.draws[:, b, common]
            x = axis.ln_cost[common]
            crossings = [_crossover(x, gap, gaps, int(left)) for left in np.flatnonzero(gap[:-1] * gap[1:] < 0)]
            if not crossings:
                continue
            sense, root, happens = max(crossings, key=lambda crossing: float(crossing[2].mean()))
            if happens.mean() < level:
                continue
            ends = np.exp(interval(_crossing(x, sense * gaps[happens], root), level))
            below, above = (a, b) if sense > 0 else (b, a)
            found.append(
                {
                    "a": axis.families[a],
                    "b": axis.families[b],
                    "axis": axis.name,
                    "cost": np.exp(root),
                    "low": ends[0],
                    "high": ends[1],
                    "probability": happens.mean(),
                    "better_below": axis.families[below],
                    "better_above": axis.families[above],
                }
            )
    return found


def _crossover(
    x: Float[np.ndarray, " places"], gap: Float[np.ndarray, " places"], gaps: Float[np.ndarray, "draws places"], left: int
) -> tuple[int, float, Bool[np.ndarray, " draws"]]:
    """A crossing of the estimate right of place `left`: 1 if a is better below, else -1; its ln cost; draws that agree."""
    sense = 1 if gap[left] < 0 else -1
    happens = (sense * gaps[:, : left + 1].mean(axis=1) < 0) & (sense * gaps[:, left + 1 :].mean(axis=1) > 0)
    return sense, _root(x, gap, left), happens


def _root(x: Float[np.ndarray, " places"], gap: Float[np.ndarray, " places"], left: int) -> float:
    return float(x[left] - gap[left] * (x[left + 1] - x[left]) / (gap[left + 1] - gap[left]))


def _crossing(
    x: Float[np.ndarray, " places"], gaps: Float[np.ndarray, "draws places"], near: float
) -> Float[np.ndarray, " draws"]:
    """In each draw, the crossing from below zero to above that is nearest to `near`. Every draw must have one."""
    rises = (gaps[:, :-1] < 0) & (gaps[:, 1:] >= 0)
    step = np.where(rises, gaps[:, 1:] - gaps[:, :-1], 1.0)
    places = np.where(rises, x[:-1] - gaps[:, :-1] * np.diff(x) / step, np.inf)
    nearest = np.abs(places - near).argmin(axis=1)
    return places[np.arange(len(gaps)), nearest]
