"""The audit of a study of this package: one seed, one size, one budget left out at a time, and what its answer holds.

The verdict is that of compare(): the mean lead in ln loss over the common budgets, or the lead at one budget.
"""

# ruff: noqa: N803 - C is the letter of the field

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from allometry.fit import differences, regions
from allometry.fit.audit.challenge import Challenge, answered, penalty, refused, tried
from allometry.fit.audit.verdict import CANNOT, Verdict
from allometry.fit.cells import column
from allometry.fit.compare import compare
from allometry.fit.differences import Difference, interval
from allometry.fit.study import Study, measure
from allometry.flow import Refusal

FEW = 100  # draws of a study with something left out
MARGIN = 0.002  # ln loss: what mis-tuned rates may cost, as in compare()
NEAR = 0.05  # ln FLOPs: how near a budget must be to the one that is asked

Parts = tuple[Verdict, str, list[Challenge], list[str], list[str], list[str]]


def audit_study(table: pd.DataFrame, *, C: float | None, level: float, draws: int, seed: int) -> Parts:
    """Verdict, verdict in words, challenges, exclusions, assumptions, findings."""
    study = measure(table, level=level, count=min(draws, 2 * FEW), seed=seed)
    base, room = _verdict(study, C, level)
    answer = compare(table, level=level, draws=FEW, seed=seed).to_json()
    left = {"failed", "diverged", "no loss", "no cost", "starved", "duplicate", "missing"}
    exclusions = [warning["text"] for warning in answer["warnings"] if warning["kind"] in left]
    findings = [warning["text"] for warning in answer["warnings"] if warning["kind"] not in left]
    challenges = _without(table, base, C, level, seed)
    if base.leader is not None:
        challenges += tried("counting", "without embedding and output", lambda: [_counted(study, base, answer["robust"], C)])
        challenges += _rates(base, room)
    return base, _said(base, study, C), challenges, exclusions, _assumptions(answer), findings


def _verdict(study: Study, C: float | None, level: float, leader: str | None = None) -> tuple[Verdict, float]:
    """Over the budgets that all families ran, and what rates would have to cost the rival to undo it (ln loss).

    With one family its slope, minus d ln loss / d ln C.
    """
    frontier = study.frontier
    ran = np.flatnonzero(frontier.present.any(axis=1))
    if not len(ran):
        raise Refusal("No scored run ended with a loss, so there is no verdict. Finish the study first.")
    if len(ran) == 1:
        value, drawn = differences.slopes(frontier)
        if not np.isfinite(value[ran[0]]):
            raise Refusal(f"{frontier.families[ran[0]]} has one budget, so it has no slope. Run at least three budgets.")
        low, high = interval(drawn[:, ran[0]], level)
        return Verdict(value=float(value[ran[0]]), low=float(low), high=float(high)), 0.0
    common = frontier.present[ran].all(axis=0)
    if C is not None:
        common &= np.abs(np.log(frontier.budgets / C)) < NEAR
    if not common.any():
        asked = f"at {C:.3g} FLOPs" if C else "in common"
        budgets = ", ".join(f"{budget:.3g}" for budget in frontier.budgets)
        raise Refusal(f"The families have no budget {asked}; there are {budgets}. Run the missing ones, or ask at another.")
    heights = [
        np.concatenate([[frontier.value[i, common].mean()], frontier.draws[:, i][:, common].mean(axis=1)]) for i in ran
    ]
    gaps = {
        (i, j): Difference(
            a=frontier.families[a],
            b=frontier.families[b],
            value=float(heights[i][0] - heights[j][0]),
            draws=heights[i][1:] - heights[j][1:],
            budgets=int(common.sum()),
        )
        for i, a in enumerate(ran)
        for j, b in enumerate(ran)
        if i != j
    }
    # Each pair stands here in both directions, which changes nothing in the largest of them.
    critical = differences.critical(gaps.values(), level)
    names = [frontier.families[i] for i in ran]
    best = int(np.argmin([height[0] for height in heights]))
    first = names.index(leader) if leader in names else best
    named = all(gap.verdict(critical, MARGIN)[0] == names[best] for (i, _), gap in gaps.items() if i == best)
    rival = min(
        (j for i, j in gaps if i == first), key=lambda j: gaps[j, first].value - critical * gaps[j, first].draws.std()
    )
    lead = gaps[rival, first]
    low, high = interval(lead.draws, level)
    found = Verdict(
        value=lead.value,
        low=float(low),
        high=float(high),
        leader=names[first],
        rival=names[rival],
        winner=names[best] if named else None,
        level=level,
    )
    return found, lead.value - critical * float(lead.draws.std())


def _said(base: Verdict, study: Study, C: float | None) -> str:
    ends = f"{base.value:.4g} [{base.low:.4g}, {base.high:.4g}]"
    if base.leader is None:
        return f"There is one family; its ln loss falls by {ends} for each ln FLOPs."
    where = f"at {C:.3g} FLOPs" if C else "over the budgets that they share"
    if base.winner is None:
        return f"{CANNOT.capitalize()}: {where}, {base.leader} is ahead of {base.rival} by {ends} in ln loss only."
    return f"{base.winner} has the lowest loss {where}, ahead of {base.rival} by {ends} in ln loss."


def _without(table: pd.DataFrame, base: Verdict, C: float | None, level: float, seed: int) -> list[Challenge]:
    """Scored runs are left out; the runs that tuned the rates stay."""
    scored = (table["stage"] == "score").to_numpy()
    found = []
    for name in ("seed", "size", "budget"):
        values = column(table, name)
        there = np.unique(values[scored & np.isfinite(values)])
        kind = f"one {name} left out"
        if len(there) < 2:
            found.append(refused(kind, "each in turn", f"there is one {name} only"))
            continue
        for one in there:
            part = table[~(scored & (values == one))]
            found += tried(
                kind,
                f"without {name} {one:g}",
                lambda p=part, k=kind, n=name, v=one: [  # type: ignore[misc]
                    answered(base, _again(p, base, C, level, seed), k, f"without {n} {v:g}")
                ],
            )
    return found


def _again(table: pd.DataFrame, base: Verdict, C: float | None, level: float, seed: int) -> Verdict:
    return _verdict(measure(table, level=level, count=FEW, seed=seed), C, level, base.leader)[0]


def _counted(study: Study, base: Verdict, robust: dict[str, object], C: float | None) -> Challenge:
    if robust["counting"] is None:
        raise Refusal(str(robust["text"]))
    if C is not None:
        raise Refusal("curves over compute without embedding have no such budget. Ask without C= for all budgets")
    axes = {axis.name: axis for axis in regions.axes(study.cells, study.drawn, study.frontier)}
    names = study.frontier.families
    lead = regions.mean_gap(axes["flops_non_embedding"], *(names.index(str(name)) for name in (base.rival, base.leader)))
    over = bool(base.winner is not None and lead < 0)
    now = dataclasses.replace(base, value=lead, winner=None if over else base.winner)
    row = answered(base, now, "counting", "compute without embedding and output", "the mean over what both reached")
    return dataclasses.replace(row, low=None, high=None)


def _rates(base: Verdict, room: float) -> list[Challenge]:
    if base.winner is None:
        return [refused("learning rates", "a penalty on the loss", "there is no winner that rates could overturn")]
    change = f"rates cost {base.rival} {-np.expm1(-room):.2%} of its loss in all runs"
    return [penalty(change, room, (room, room), None, MARGIN, f"leads under {MARGIN:.1%} are not called anyway")]


def _assumptions(answer: dict[str, object]) -> Sequence[str]:
    return [
        f"The unit is {answer['unit']}; families are compared at the best size of every budget",
        f"Mis-tuned rates may cost {MARGIN:.1%}: smaller leads are not called",
        "Runs that tuned the rates stay in when scored runs are left out",
    ]
