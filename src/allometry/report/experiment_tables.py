"""The arms of an experiment as tables: what each reached, how fast, and what went wrong."""

import math
import statistics
from collections.abc import Sequence
from typing import Any

from allometry.report.figures import _arms
from allometry.report.figures._arms import Arm
from allometry.report.grid import Cell, Column, Grid, cell, family_cell
from allometry.report.numbers import MISSING, number, scientific

STATUSES = ("diverged", "failed", "begun", "missing")
WORDS = {"missing": "not begun", "begun": "not ended"}


def arm_tables(arms: list[Arm]) -> list[Grid]:
    """One table for each panel."""
    return [_arm_table(name, own) for name, own in _arms.panels(arms).items()]


def _arm_table(panel: str, arms: list[Arm]) -> Grid:
    dose, dose_unit = _arms.dose_words(arms)
    dosed, noted = bool(_arms.doses(arms)), any(arm.get("parent") or arm.get("note") for arm in arms)
    columns = (
        Column(name="line", text=True),
        *((Column(name=dose or "at", unit=dose_unit),) if dosed else ()),
        Column(name="seeds", unit="done of asked"),
        Column(name="held-out loss", unit=f"{arms[0]['unit']}, min to max", tip="mean over the seeds that are done"),
        Column(name="chance", tip="the loss of a player without memory"),
        Column(name="loss / chance"),
        Column(
            name="half the chance",
            unit="step, median of seeds",
            tip="first step at which the mean training loss since the record before is at most half of the chance loss",
        ),
        Column(name="N", unit="parameters"),
        Column(name="time", unit="minutes a run"),
        Column(name="without a loss", text=True),
        *((Column(name="note", text=True),) if noted else ()),
    )
    rows = tuple(_row(arm, dosed, noted) for arm in arms)
    return Grid(title=panel or "All arms", columns=columns, rows=rows, empty="No arm is listed.")


def _row(arm: Arm, dosed: bool, noted: bool) -> tuple[Cell, ...]:
    outcomes, losses = arm["outcomes"], _arms.losses(arm)
    middle, done = _arms.mean(losses), sum(o["status"] == "done" for o in outcomes)
    line = family_cell(str(arm["line"]))
    note = "; ".join(text for text in (f"starts from: {arm['parent']}" if arm.get("parent") else "", arm.get("note")) if text)
    return (
        Cell(text=line.text, family=line.family, tip=str(arm["name"])),
        *((cell(_arms.dose_text(arm["at"], "") or MISSING, why="this line has no dose"),) if dosed else ()),
        Cell(text=f"{done} of {len(outcomes)}", tone="" if done == len(outcomes) else "loud"),
        cell(number(middle), aside=extremes(losses), tip=_errors(outcomes), tone="strong", why="no run is done"),
        cell(number(arm["chance"])),
        cell(number(middle / arm["chance"], 2) if middle is not None and arm["chance"] else MISSING, why="no run is done"),
        half_chance_cell([o["half_chance"] for o in outcomes if o["half_chance"]]),
        cell(count(arm.get("N"))),
        cell(_minutes(outcomes), tip="mean over the runs that have ended", why="no run has ended"),
        _troubles(outcomes),
        *((Cell(text=note, tone="soft"),) if noted else ()),
    )


def extremes(values: Sequence[float]) -> str:
    """The range of the seeds."""
    return f"{number(min(values))} to {number(max(values))}" if len(values) > 1 else ""


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
    return Cell(text=steps(middle), aside=aside)


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
    """Each arm on each other task that it was scored on."""
    rows = []
    for arm in arms:
        tests: dict[str, list[dict[str, Any]]] = {}
        for outcome in arm["outcomes"]:
            for test in outcome["tests"]:
                tests.setdefault(str(test["name"]), []).append(test)
        for name, found in tests.items():
            losses, chance = [test["loss"] for test in found if test["loss"] is not None], found[0].get("chance")
            middle = _arms.mean(losses)
            rows.append(
                (
                    Cell(text=str(arm["name"]), family=str(arm["line"])),
                    Cell(text=name),
                    cell(str(len(losses))),
                    cell(number(middle), aside=extremes(losses)),
                    cell(number(chance)),
                    cell(number(middle / chance, 2) if middle is not None and chance else MISSING),
                )
            )
    columns = (
        Column(name="arm", text=True),
        Column(name="test", text=True),
        Column(name="seeds"),
        Column(name="loss", unit="min to max"),
        Column(name="chance"),
        Column(name="loss / chance"),
    )
    return Grid(title="Tests on other tasks", columns=columns, rows=tuple(rows), empty="No arm was tested on another task.")


def _errors(outcomes: list[dict[str, Any]]) -> str:
    errors = [o["standard_error"] for o in outcomes if o["standard_error"] is not None]
    sequences = {o["sequences"] for o in outcomes if o["sequences"]}
    if not errors:
        return ""
    over = f" over {' or '.join(str(n) for n in sorted(sequences))} held-out sequences" if sequences else ""
    return f"standard error of the loss of one run{over}: at most {number(max(errors), 2)}"


def _minutes(outcomes: list[dict[str, Any]]) -> str:
    times = [seconds(o) for o in outcomes if o["status"] not in ("missing", "begun")]
    return number(sum(times) / len(times) / 60, 2) if times else MISSING


def seconds(outcome: dict[str, Any]) -> float:
    """Time that a run took: all of it where that was measured, else its training."""
    return outcome["wall_seconds"] or outcome["seconds"] or 0.0


def _troubles(outcomes: list[dict[str, Any]]) -> Cell:
    found = {status: [o for o in outcomes if o["status"] == status] for status in STATUSES}
    text = ", ".join(f"{len(some)} {WORDS.get(status, status)}" for status, some in found.items() if some)
    reasons = "; ".join(f"seed {o['seed']}: {o['reason']}" for o in outcomes if o["reason"] and o["status"] in STATUSES)
    loud = found["diverged"] or found["failed"]
    return Cell(text=text, aside=reasons, tone="loud" if loud else "soft")


def interval(low: float | None, high: float | None) -> str:
    """An interval of a ratio, each end with its own digits, as ratios span decades."""
    if low is None or high is None:
        return ""
    end = number(high, 2) if high < 1e6 and math.isfinite(high) else "10⁶ or more"
    return f"[{number(low, 2)}, {end}]"
