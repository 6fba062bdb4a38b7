"""Runs left out: one at a time, the fewest together, those far above the law.

One at a time: all rows of a run together, refitted from the estimate. The interval of each is that of the whole table, moved;
those that come nearest to overturning are fitted anew with draws of their own. The fewest together: the influences of single
runs add up (Broderick, Giordano & Meager 2020, arXiv:2011.14999), which says how many to leave out; then that is fitted.
"""

import dataclasses
import math

import numpy as np
import pandas as pd
from jaxtyping import Float

from allometry.fit import diagnosis
from allometry.fit.audit.challenge import Challenge, answered, tried, unchanged
from allometry.fit.audit.verdict import Case, Judged, Verdict, read_value
from allometry.fit.criterion import LN
from allometry.fit.refusals import TooFewPoints
from allometry.fit.solve.search import again

EXACT = 300  # runs of one group that are all left out in turn; of more, the most influential ones
SURE, REFITTED = 3, 8  # runs that come nearest to overturning get their own draws: always, and at most
TOGETHER = 10  # runs, or a tenth of them, are the most that are left out together
STEPS = 4  # refits in search of that number


MOST_TRIES = 10**300  # the largest that a float still holds


@dataclasses.dataclass(frozen=True, kw_only=True)
class Influence:
    """What leaving out one run does to the value of the verdict."""

    run: int
    group: int
    name: str
    change: float


def left_out(judged: Judged) -> list[Challenge]:
    """All rows about single runs that are left out."""
    found, impossible = influences(judged)
    rows = tried("one run left out", "each run in turn", lambda: _singles(judged, found, impossible))
    if not any(row.overturned for row in rows):
        rows += tried("runs left out together", "the fewest that overturn", lambda: _together(judged, found))
    rows += tried("runs far above the law", "left out", lambda: _far(judged))
    return rows


def influences(judged: Judged) -> tuple[list[Influence], int]:
    """Of every run (of very many: of those with leverage and a residual), and how many cannot be left out."""
    case = judged.case
    groups = case.read.groups
    base = np.array([value[0] for value in judged.values])
    found, impossible = [], 0
    for index, group in enumerate(groups):
        here = np.flatnonzero(case.read.group == index)
        run, loss = case.read.run[here], case.read.loss[here]
        names = np.unique(run)
        possible = [int(name) for name in names if case.enough(index, run != name)]
        impossible += len(names) - len(possible)
        chosen = _influential(judged, index, possible)
        if not chosen:
            continue
        posed, best = judged.parts[index].posed, judged.parts[index].found
        weights = np.array([(run != name).astype(float) for name in chosen])
        values = again(posed, np.repeat(loss[None], len(chosen), axis=0), weights, best)
        moved = np.tile(base, (len(chosen), 1))
        moved[:, index] = read_value(case, posed.named(values))
        changes = _lead(judged, moved) - _lead(judged, base[None])[0]
        for name, change in zip(chosen, changes, strict=True):
            row = int(here[np.flatnonzero(run == name)[0]])
            label = f"{case.read.labels[row]}{f' of {group}' if len(groups) > 1 else ''}{_where(case, row)}"
            found.append(Influence(run=int(name), group=index, name=label, change=float(change)))
    return found, impossible


def _lead(judged: Judged, values: Float[np.ndarray, "sets groups"]) -> Float[np.ndarray, " sets"]:
    """Over the best rival; the exponent itself where there is one group."""
    if judged.verdict.leader is None:
        return values[:, 0]
    leader = judged.case.read.groups.index(judged.verdict.leader)
    return np.delete(values, leader, axis=1).min(axis=1) - values[:, leader]


def _where(case: Case, row: int) -> str:
    places = ", ".join(f"{name} = {values[row]:.3g}" for name, values in case.read.columns.items())
    return f" ({places}, loss {case.read.loss[row]:.4g})"


def _influential(judged: Judged, index: int, runs: list[int]) -> list[int]:
    """By leverage times residual, to first order what a run pulls at."""
    if len(runs) <= EXACT:
        return runs
    case, posed, best = judged.case, judged.parts[index].posed, judged.parts[index].found
    _, loss = case.data(index)
    predicted, slopes = posed.model.slopes(best.values[None])
    scaled = slopes[0] / predicted[0][:, None] if case.criterion.of == LN else slopes[0]
    size = np.sqrt((scaled**2).sum(0))
    leverage = (np.linalg.qr(scaled / np.where(size > 0, size, 1.0))[0] ** 2).sum(1)
    pull = np.abs(case.criterion.residual(loss, predicted[0])) * np.sqrt(leverage)
    total = pd.Series(pull).groupby(case.read.run[case.read.group == index]).sum()
    return [int(name) for name in total.loc[runs].nlargest(EXACT // 2).index]


def _without(judged: Judged, gone: list[Influence]) -> Verdict:
    read = judged.case.read
    kept = np.ones(len(read.loss), dtype=bool)
    for one in gone:
        kept &= ~((read.run == one.run) & (read.group == one.group))
    return judged.again(judged.case.only(kept))


def _singles(judged: Judged, found: list[Influence], impossible: int) -> list[Challenge]:
    if not found:
        raise TooFewPoints(
            f"without any one run, too few are left for the {len(judged.case.law.parameters)} parameters of the law. "
            "Add runs, or use a law with fewer parameters"
        )
    base, count, read = judged.verdict, len(found), judged.case.read
    down, up = base.limits
    order = sorted(
        found, key=lambda one: max(one.change - (up - base.value), (down - base.value) - one.change), reverse=True
    )
    beyond = [one for one in order if not down <= base.value + one.change <= up]
    near = order[: min(max(SURE, len(beyond)), REFITTED)]
    refits = {one.name: _without(judged, [one]) for one in near}
    over = {name: base.overturned_by(now, count) for name, now in refits.items()}
    number = sum(over.values()) + len(beyond[REFITTED:])
    ends = [base.value + one.change for one in found]
    # Of those that overturn, the one without which the verdict is surest: without an outlier the others agree.
    worst = max(near, key=lambda one: (over[one.name], _sureness(base, refits[one.name]), -near.index(one)))
    left = len({(run, group) for run, group in zip(read.run.tolist(), read.group.tolist(), strict=True)}) - impossible
    tried_of = f"{count} runs" if count == left else f"the {count} most influential of {left} runs"
    note = f"{number} of {tried_of} overturn it alone; without one run it is {min(ends):.4g} to {max(ends):.4g}"
    if impossible:
        note += f"; {impossible} runs cannot be left out, as too few would remain in their group"
    now = refits[worst.name]
    row = answered(base, now, "one run left out", f"without {worst.name}", note)
    return [dataclasses.replace(row, overturned=number > 0)]


def _sureness(base: Verdict, now: Verdict) -> float:
    """How many widths of its interval a lead is from 0, or how far an exponent has moved."""
    return abs(now.value - base.value) if base.leader is None else abs(now.value) / max(now.high - now.low, 1e-300)


def _together(judged: Judged, found: list[Influence]) -> list[Challenge]:
    """The fewest runs, all pulling one way, whose absence overturns."""
    base = judged.verdict
    most = max(TOGETHER, len(found) // 10)
    tries = []
    for sign, limit in zip((-1, 1), base.limits, strict=True):
        pulls = sorted((one for one in found if sign * one.change > 0), key=lambda one: -sign * one.change)[:most]
        reach = np.abs(np.cumsum([one.change for one in pulls]))
        enough = np.flatnonzero(reach > abs(limit - base.value)) if np.isfinite(limit) else []
        if len(enough):
            tries.append((int(enough[0]) + 1, pulls))
    tries.sort(key=lambda one: one[0])
    for number, pulls in tries:
        row = _fewest(judged, max(2, number), pulls, len(found))
        if row:
            return [row]
    change = f"up to {min(most, len(found))} of {len(found)} runs, the most influential"
    note = "the changes of single runs add up to too little, or too few runs would remain"
    return [Challenge(challenge="runs left out together", change=change, of=base.of, overturned=False, note=note)]


def _fewest(judged: Judged, number: int, pulls: list[Influence], count: int) -> Challenge | None:
    base, best = judged.verdict, None
    for _ in range(STEPS):
        if not 2 <= number <= len(pulls):
            break
        try:
            now = _without(judged, pulls[:number])
        except TooFewPoints:
            break
        # For a winner that appears, all sets of so many runs count as tries: any of them might have been found.
        if base.overturned_by(now, min(math.comb(count, number), MOST_TRIES)):
            best = number, now
            number -= 1
        elif best:
            break
        else:
            number += max(1, number // 4)
    if best is None:
        return None
    number, now = best
    names = "; ".join(one.name for one in pulls[: min(number, 5)]) + ("; ..." if number > 5 else "")
    return answered(base, now, "runs left out together", f"without {number} of {count} runs", f"they are {names}")


def _far(judged: Judged) -> list[Challenge]:
    """The points that the diagnosis of a fit calls far above the law."""
    case, kept = judged.case, np.ones(len(judged.case.read.loss), dtype=bool)
    for index in range(len(case.read.groups)):
        _, loss = case.data(index)
        posed = judged.parts[index].posed
        predicted = posed.model.predicted(judged.parts[index].found.values[None])[0]
        residual = np.log(loss) - np.log(np.maximum(predicted, 1e-300))
        kept[np.flatnonzero(case.read.group == index)[diagnosis.far_above(residual, posed.free)]] = False
    if kept.all():
        return [unchanged(judged.verdict, "runs far above the law", "left out", "there are none")]
    now = judged.again(case.only(kept))
    gone = np.flatnonzero(~kept)
    names = "; ".join(case.read.labels[row] + _where(case, int(row)) for row in gone[:5]) + (
        "; ..." if len(gone) > 5 else ""
    )
    return [answered(judged.verdict, now, "runs far above the law", f"{len(gone)} left out", names)]
