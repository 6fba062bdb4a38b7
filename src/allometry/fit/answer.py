"""From a measured study to the document of docs/answer.md."""

# ruff: noqa: N806 - N, D and C are the letters of the field

from typing import Any

import numpy as np

from allometry.fit import differences, regions, trends
from allometry.fit.differences import Difference, interval
from allometry.fit.doubts import doubts
from allometry.fit.rates import RateSurface
from allometry.fit.regions import Axis
from allometry.fit.study import Study
from allometry.fit.target import choose
from allometry.fit.trends import Trend

CURVE = 40  # points of a drawn curve


def answer(
    study: Study, *, protocol: str, level: float, reach: float, margin: float, target: float | None
) -> dict[str, Any]:
    """Everything but the headline. `margin` is what mis-tuned rates may cost, in ln loss."""
    frontier = study.frontier
    every = regions.axes(study.cells, study.drawn, frontier)
    by_name = {axis.name: axis for axis in every}
    critical = regions.critical(every, level)
    numbers = range(len(frontier.families))
    gaps = {(a, b): differences.difference(frontier, a, b) for a in numbers for b in numbers if a < b}
    overall = differences.critical(gaps.values(), level)
    found = [_trend(study, name, level) for name in trends.NAMES]
    apart, together = found[1], found[2]
    held = trends.holdout(frontier, trends.NAMES, level)
    rows = _frontier(study, protocol, level)
    return {
        "protocol": protocol,
        "level": level,
        "draws": len(frontier.draws),
        "unit": study.cells.unit,
        "headline": [],
        "families": list(frontier.families),
        "budgets": frontier.budgets,
        "noise": _noise(study),
        "frontier": rows,
        "pairs": [_pair(study, by_name, a, b, gap, level, overall, margin) for (a, b), gap in gaps.items()],
        "regions": {axis.name: regions.winners(axis, critical, margin) for axis in every},
        "crossovers": regions.crossovers(every, level),
        "slopes": _slopes(study, level),
        "matched_slopes": [differences.matched_slopes(frontier, a, b, level, len(gaps)) for a, b in gaps],
        "laws": [row for trend in found for row in _laws(trend, level)],
        "floors": trends.floors(apart, together, frontier),
        "curves": {axis.name: _curves(axis, found, level, reach) for axis in every},
        "holdout": held,
        "rates": [_rates(name, surface, level) for name, surface in study.surfaces.items()],
        "robust": _robust(by_name, gaps, overall, margin),
        "target": None
        if target is None
        else choose(target, study.cells, frontier, found, study.surfaces, level=level, reach=reach, margin=margin),
        "warnings": doubts(study, protocol, held),
    }


def _trend(study: Study, name: str, level: float) -> Trend:
    law, shared = trends.named(name)
    frontier = study.frontier
    return trends.trend(law, frontier.families, frontier.budgets, frontier.value, frontier.draws, level, shared=shared)


def _noise(study: Study) -> dict[str, Any]:
    noise = study.noise
    return {
        "seed_ln": np.sqrt(noise.own + noise.order),
        "order_ln": np.sqrt(noise.order),
        "documents_ln": study.drawn.documents_ln,
        "degrees": noise.degrees,
        "measured": noise.measured,
        "text": noise.text,
    }


def _frontier(study: Study, protocol: str, level: float) -> list[dict[str, Any]]:
    frontier, rows = study.frontier, []
    ln_D, ln_rate = (frontier.at(np.log(values)) for values in (study.cells.D, study.cells.rate))
    ends = np.exp(interval(frontier.draws, level))
    for family, budget in np.argwhere(frontier.present):
        name, C = frontier.families[family], frontier.budgets[budget]
        N, N_low, N_high = np.exp(frontier.ln_N[:, family, budget])
        surface = study.surfaces[name]
        rows.append(
            {
                "family": name,
                "budget": C,
                "loss": np.exp(frontier.value[family, budget]),
                "low": ends[0, family, budget],
                "high": ends[1, family, budget],
                "N": N,
                "N_low": N_low,
                "N_high": N_high,
                "D": np.exp(ln_D[family, budget]),
                "rate": surface.best(float(N), float(C)).rate if surface.informed else np.exp(ln_rate[family, budget]),
                "interior": frontier.interior[family, budget] if protocol == "frontier" else None,
                "sizes": frontier.sizes[family, budget],
            }
        )
    return rows


def _flips(axes: dict[str, Axis], a: int, b: int) -> bool:
    """Does the better of the two change when embedding and output layer are left out of the compute?"""
    with_all, without = (regions.mean_gap(axes[name], a, b) for name in ("flops", "flops_non_embedding"))
    return bool(with_all * without < 0)


def _pair(
    study: Study, axes: dict[str, Axis], a: int, b: int, gap: Difference, level: float, critical: float, margin: float
) -> dict[str, Any]:
    verdict, reason = gap.verdict(critical, margin)
    if verdict is not None and _flips(axes, a, b):
        verdict, reason = None, "the better one changes when embedding and output layer are left out of the compute"
    low, high = interval(gap.draws, level)
    return {
        "a": gap.a,
        "b": gap.b,
        "budgets": differences.at_budgets(study.frontier, a, b, level),
        "overall": {"ln_difference": gap.value, "low": low, "high": high, "verdict": verdict, "reason": reason},
        "detectable_ln": gap.detectable(critical, margin),
    }


def _slopes(study: Study, level: float) -> list[dict[str, Any]]:
    value, drawn = differences.slopes(study.frontier)
    low, high = interval(drawn, level)
    return [
        {"family": name, "slope": value[i], "low": low[i], "high": high[i]} for i, name in enumerate(study.frontier.families)
    ]


def _laws(trend: Trend, level: float) -> list[dict[str, Any]]:
    rows = []
    for family, name in enumerate(trend.families):
        parameters = {}
        for parameter in trend.law.parameters:
            sample = trend.parameters[parameter.name][family]
            low, high = interval(sample[1:], level)
            parameters[parameter.name] = {"value": sample[0], "low": low, "high": high, "unit": parameter.unit}
        rows.append(
            {
                "family": name,
                "law": trend.name,
                "equation": trend.equation,
                "parameters": parameters,
                "objective": trend.objective[family],
                "flags": list(trend.flags[family]),
            }
        )
    return rows


def _curves(axis: Axis, found: list[Trend], level: float, reach: float) -> list[dict[str, Any]]:
    rows = []
    if axis.name == "flops" and len(axis.ln_cost):
        cost = np.exp(np.linspace(axis.ln_cost[0], axis.ln_cost[-1] + np.log(reach), CURVE))
        for trend in found:
            predicted = trend.predict(cost)
            for family in np.flatnonzero(np.isfinite(trend.objective)):
                low, high = interval(predicted[family, 1:], level)
                curve = {"cost": cost, "loss": predicted[family, 0], "low": low, "high": high}
                rows.append({"family": trend.families[family], "law": trend.name} | curve)
        return rows
    for family, name in enumerate(axis.families):
        here = axis.present[family]
        if here.any():
            low, high = np.exp(interval(axis.draws[:, family, here], level))
            curve = {"cost": np.exp(axis.ln_cost[here]), "loss": np.exp(axis.value[family, here]), "low": low, "high": high}
            rows.append({"family": name, "law": "measured"} | curve)
    return rows


def _rates(name: str, surface: RateSurface, level: float) -> dict[str, Any]:
    cells = []
    for cell in surface.cells:
        best = surface.best(cell.N, cell.C, level)
        points = [
            {"rate": rate, "loss": loss, "status": status}
            for rate, loss, status in zip(cell.rates, cell.losses, cell.status, strict=True)
        ]
        ends = {"best": best.rate, "low": best.low, "high": best.high, "interior": best.interior}
        cells.append({"budget": cell.budget, "size": cell.size, "N": cell.N} | ends | {"points": points})
    middle = np.median(surface.plane, axis=0)
    return {
        "family": name,
        "curvature": np.median(surface.curvature),
        "slope_N": middle[1],
        "slope_C": middle[2],
        "runs": sum(len(cell.rates) for cell in surface.cells),
        "cells": cells,
    }


def _robust(
    axes: dict[str, Axis], gaps: dict[tuple[int, int], Difference], critical: float, margin: float
) -> dict[str, Any]:
    """What would overturn the answer: another way of counting, or mis-tuned rates."""
    flops, without = axes["flops"], axes["flops_non_embedding"]
    if not gaps or not any(gap.budgets for gap in gaps.values()):
        return {"counting": None, "rate_penalty_ln": None, "text": "There are not two families to compare."}
    if without.present.any():
        flipped = [f"{gap.a} and {gap.b}" for (a, b), gap in gaps.items() if _flips(axes, a, b)]
        counting = _first(flops) != _first(without)
        counted = "The winner changes" if counting else "The winner stays the same"
        text = f"{counted} when embedding and output layer are left out of the compute."
        text += f" The better one changes for {'; '.join(flipped)}." if flipped else ""
    else:
        counting, text = None, "Compute without embedding was not measured, so the way of counting is not checked."
    first = _first(flops)
    needed = [
        abs(gap.value) - critical * float(gap.draws.std())
        for pair, gap in gaps.items()
        if first in pair and gap.verdict(critical, margin)[0] is not None
    ]
    if not needed:
        return {
            "counting": counting,
            "rate_penalty_ln": None,
            "text": text + " There is no winner that rates could overturn.",
        }
    penalty = min(needed)
    text += f" Mis-tuned rates would have to cost {flops.families[first]} {penalty:.1%} of its loss to overturn a verdict."
    return {"counting": counting, "rate_penalty_ln": penalty, "text": text}


def _first(axis: Axis) -> int:
    """The family that is best on average over the others, where both were run."""
    families = range(len(axis.families))
    score = [np.nansum([regions.mean_gap(axis, a, b) for b in families if b != a]) for a in families]
    return int(np.argmin(np.where(axis.present.any(1), score, np.inf)))
