"""The arms of an experiment as tables: what each reached, how fast, and what went wrong."""

import math
import statistics
from collections.abc import Sequence
from typing import Any

from allometry.report.figures import _arms
from allometry.report.figures._arms import Arm
from allometry.report.grid import Cell, Column, Grid, cell, family_cell
from allometry.report.numbers import MISSING, number, scientific

WORDS = {"missing": "not begun", "begun": "not ended"}

SHARES = {
    "accuracy": Column(name="right", unit="%, mean, min to max", tip="held-out targets of which the likeliest is right"),
    "solved": Column(name="solved", unit="%, mean, min to max", tip="held-out graphs of which every answer is right"),
}
ROLLOUT = Column(name="rollout", unit="min to max", tip="error over 50 steps; what persistence errs in one is 1")


def arm_tables(arms: list[Arm]) -> list[tuple[Grid, list[tuple[str, str, str]]]]:
    """One table for each panel, and below it what is to be noted of its arms: name, line, note."""
    return [(_arm_table(name, own), _notes(own)) for name, own in _arms.panels(arms).items()]


def _notes(arms: list[Arm]) -> list[tuple[str, str, str]]:
    found = []
    for arm in arms:
        parts = [f"starts from the weights of {arm['parent']}" if arm.get("parent") else "", str(arm.get("note") or "")]
        if any(parts):
            found.append((str(arm["name"]), str(arm["line"]), "; ".join(part for part in parts if part)))
    return found


def _arm_table(panel: str, arms: list[Arm]) -> Grid:
    dose, dose_unit = _arms.dose_words(arms)
    levels = {arm["chance"] for arm in arms}
    shown = {
        "dose": bool(_arms.doses(arms)),
        "chance": len(levels) > 1,
        "right": any(o.get("accuracy") is not None for arm in arms for o in arm["outcomes"]),
        "solved": any(o.get("solved") is not None for arm in arms for o in arm["outcomes"]),
    }
    columns = (
        ("", Column(name="line", text=True)),
        ("dose", Column(name=dose or "at", unit=dose_unit)),
        ("", Column(name="seeds", tip="runs that are done, of those asked")),
        ("", Column(name="held-out loss", unit="mean, min to max", tip="over the seeds that are done")),
        ("right", SHARES["accuracy"]),
        ("solved", SHARES["solved"]),
        ("", Column(name="error", unit="of one", tip="standard error of the loss of one run, by its held-out sequences")),
        ("chance", Column(name="chance", tip="the loss of a player without memory")),
        ("", Column(name="loss / chance")),
        (
            "",
            Column(
                name="half the chance",
                unit="step: median, min to max",
                tip="first step at which the mean training loss since the record before is at most half of the chance loss",
            ),
        ),
        ("", Column(name="N", unit="parameters")),
        ("", Column(name="minutes", unit="a run", tip="mean over the runs that have ended")),
    )
    level = f" · chance {number(next(iter(levels)))}" if len(levels) == 1 else ""
    kept = [i for i, (kind, _) in enumerate(columns) if shown.get(kind, True)]
    rows = tuple(tuple(cells[i] for i in kept) for cells in map(_row, arms))
    title = f"{panel or 'All arms'} · {arms[0]['unit']}{level}"
    return Grid(title=title, columns=tuple(columns[i][1] for i in kept), rows=rows)


def _row(arm: Arm) -> tuple[Cell, ...]:
    outcomes, losses = arm["outcomes"], _arms.losses(arm)
    middle, done = _arms.mean(losses), sum(o["status"] == "done" for o in outcomes)
    errors = [o["standard_error"] for o in outcomes if o["standard_error"] is not None]
    return (
        family_cell(str(arm["line"])),
        cell(_arms.dose_text(arm["at"], "") or MISSING, why="this line has no dose"),
        Cell(text=str(done)) if done == len(outcomes) else Cell(text=f"{done} of {len(outcomes)}", tone="loud"),
        cell(number(middle), aside=_bracket(extremes(losses)), tone="strong", why="no run is done"),
        _share(outcomes, "accuracy"),
        _share(outcomes, "solved"),
        cell(number(max(errors, default=None), 2), why="not measured"),
        cell(number(arm["chance"])),
        cell(number(middle / arm["chance"], 2) if middle is not None and arm["chance"] else MISSING, why="no run is done"),
        half_chance_cell([o["half_chance"] for o in outcomes if o["half_chance"]]),
        cell(count(arm.get("N"))),
        cell(_minutes(outcomes), why="no run has ended"),
    )


def trained_table(arms: list[Arm]) -> Grid:
    """What was trained: the network, the task and the recipe of each arm, as a study file writes them."""
    words = tuple(Column(name=name, text=True) for name in ("arm", "network", "task", "recipe"))
    columns = (*words, Column(name="steps"), Column(name="batch", unit="sequences"))
    rows = tuple(
        (
            Cell(text=str(arm["name"]), family=str(arm["line"])),
            *(Cell(text=str(arm.get(name) or MISSING)) for name in ("network", "asked", "trained")),
            cell(count(arm.get("steps"))),
            cell(count(arm.get("batch"))),
        )
        for arm in arms
    )
    return Grid(title="What was trained", columns=columns, rows=rows, empty="No arm was asked.")


def lost_table(arms: list[Arm]) -> Grid:
    """Every run without a loss, with its reason; runs that have not begun are counted, not listed."""
    columns = (Column(name="arm", text=True), Column(name="seed"), Column(name="status", text=True))
    rows = []
    for arm in arms:
        name = Cell(text=str(arm["name"]), family=str(arm["line"]))
        absent = [o for o in arm["outcomes"] if o["status"] == "missing"]
        for o in arm["outcomes"]:
            if o["status"] in ("diverged", "failed", "begun"):
                words = f"{WORDS.get(o['status'], o['status'])} at step {o['steps']}"
                tone = "soft" if o["status"] == "begun" else "loud"
                rows.append((name, Cell(text=str(o["seed"])), Cell(text=words, aside=o["reason"], tone=tone)))
        if absent:
            seeds = ", ".join(str(o["seed"]) for o in absent)
            rows.append((name, Cell(text=seeds), Cell(text=WORDS["missing"], tone="soft")))
    return Grid(title="Runs without a loss", columns=columns, rows=tuple(rows), empty="Every run has a loss.")


def extremes(values: Sequence[float]) -> str:
    """The range of the seeds."""
    return f"{number(min(values))} to {number(max(values))}" if len(values) > 1 else ""


def _bracket(text: str) -> str:
    return f"({text})" if text else ""


def half_chance_cell(values: list[dict[str, Any]]) -> Cell:
    """Median and range of steps. A run that never got there stands above all that did; one that diverged above all."""
    order = sorted(values, key=lambda v: (v["value"] is None, v["beyond"], v["value"] or 0))
    if not order:
        return cell(MISSING, why="no run has ended")
    middle = order[(len(order) - 1) // 2] if len(order) % 2 else None
    if middle is None:  # of an even number, the two in the middle
        low, high = order[len(order) // 2 - 1], order[len(order) // 2]
        plain = not (low["beyond"] or high["beyond"] or high["value"] is None)
        middle = {"value": statistics.mean((low["value"], high["value"])), "beyond": False} if plain else high
    aside = f"{steps(order[0])} to {steps(order[-1])}" if order[0] != order[-1] else ""
    return Cell(text=steps(middle), aside=_bracket(aside))


def steps(value: dict[str, Any]) -> str:
    """A count of steps: 410, more than 4688, or never where the run diverged."""
    if value["value"] is None:
        return "diverged"
    return f"{'> ' if value['beyond'] else ''}{count(value['value'])}"


def count(value: float | None) -> str:
    """A count in full up to a hundred thousand.

    >>> count(12345.0), count(1234567)
    ('12345', '1.23×10⁶')
    """
    if value is None:
        return MISSING
    return f"{round(value)}" if abs(value) < 1e5 else scientific(value, 3)


def test_table(arms: list[Arm]) -> Grid:
    """Each arm on each other task that it was scored on, with the reason where a test could not be made."""
    rows = []
    every = [test for arm in arms for outcome in arm["outcomes"] for test in outcome["tests"]]
    shown = [kind for kind in SHARES if any(test.get(kind) is not None for test in every)]
    rolled = any(test.get("rollout") is not None for test in every)
    for arm in arms:
        tests: dict[str, list[dict[str, Any]]] = {}
        for outcome in arm["outcomes"]:
            for test in outcome["tests"]:
                tests.setdefault(str(test["name"]), []).append(test)
        for name, found in tests.items():
            losses, chance = [test["loss"] for test in found if test["loss"] is not None], found[0].get("chance")
            middle = _arms.mean(losses)
            why = "; ".join(dict.fromkeys(str(test["reason"]) for test in found if test.get("reason")))
            rows.append(
                (
                    Cell(text=str(arm["name"]), family=str(arm["line"])),
                    Cell(text=name, aside=why, tone="loud" if why else ""),
                    cell(str(len(losses))),
                    cell(number(middle), aside=_bracket(extremes(losses)), why=why or "no run was tested"),
                    cell(number(chance)),
                    cell(number(middle / chance, 2) if middle is not None and chance else MISSING),
                    *(_share(found, kind) for kind in shown),
                    *([_rollout(found)] if rolled else []),
                )
            )
    columns = (
        Column(name="arm", text=True),
        Column(name="test", text=True),
        Column(name="seeds"),
        Column(name="loss", unit="min to max"),
        Column(name="chance"),
        Column(name="loss / chance"),
        *(SHARES[kind] for kind in shown),
        *([ROLLOUT] if rolled else []),
    )
    return Grid(title="Tests on other tasks", columns=columns, rows=tuple(rows), empty="No arm was tested on another task.")


def _rollout(records: list[dict[str, Any]]) -> Cell:
    """The error of rollouts; of models that flew off there is no number."""
    found = [one["rollout"] for one in records if one.get("rollout") is not None]
    return cell(number(_arms.mean(found)), aside=_bracket(extremes(found)), why="not measured, or flew off")


def _share(records: list[dict[str, Any]], kind: str) -> Cell:
    """A share of the answers of several runs, or of tests of them, in percent."""
    found = [100 * one[kind] for one in records if one.get(kind) is not None]
    return cell(number(_arms.mean(found)), aside=_bracket(extremes(found)), why="not measured")


def _minutes(outcomes: list[dict[str, Any]]) -> str:
    times = [seconds(o) for o in outcomes if o["status"] not in ("missing", "begun")]
    return number(sum(times) / len(times) / 60, 2) if times else MISSING


def seconds(outcome: dict[str, Any]) -> float:
    """Time that a run took: all of it where that was measured, else its training."""
    return outcome["wall_seconds"] or outcome["seconds"] or 0.0


def interval(low: float | None, high: float | None) -> str:
    """An interval of a ratio, each end with its own digits, as ratios span decades."""
    if low is None or high is None:
        return ""
    end = number(high, 2) if high < 1e6 and math.isfinite(high) else "10⁶ or more"
    return f"[{number(low, 2)}, {end}]"
