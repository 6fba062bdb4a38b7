"""On which time scales gates work, before and after training: the share of units that forget within so many steps."""

import math
from typing import Any

from allometry.report.figures import _arms
from allometry.report.figures._arms import Arm
from allometry.report.figures._figure import Figure, Trace, axis, keys, layout, safe
from allometry.report.palette import Mark

WHEN = {"start": ("as it started", "dot", 1.5), "end": ("after training", "solid", 2.2)}
STEPS_OF_A_CURVE = 100  # at most so many corners


def clock_figures(arms: list[Arm], marks: dict[str, Mark]) -> list[Figure]:
    """One figure for each panel that has gates. Where a line has several doses, each is a curve."""
    found = [(i, name, own) for i, (name, own) in enumerate(_arms.panels(arms).items())]
    return [_figure(i, name, own, marks) for i, name, own in found if any(scales(arm, "end") for arm in own)]


def scales(arm: Arm, when: str) -> list[float]:
    """Time scales of all units of all seeds, steps, in rising order."""
    read = [outcome["time_scales"].get(when) or {} for outcome in arm["outcomes"] if outcome["status"] == "done"]
    return sorted(scale for gates in read for units in gates.values() for scale in units if scale is not None)


def _figure(index: int, name: str, arms: list[Arm], marks: dict[str, Mark]) -> Figure:
    _, unit = _arms.dose_words(arms)
    traces: list[Trace] = []
    for arm in arms:
        words = f"<b>{safe(arm['line'])}</b> {safe(_arms.dose_text(arm['at'], unit))}".strip()
        for when, (said, dash, width) in WHEN.items():
            traces += _curve(scales(arm, when), f"{words}<br>{said}", marks[str(arm["line"])], dash, width)
    longest = max(math.log10(x) for trace in traces for x in trace["x"])
    return Figure(
        id=f"clocks-{index}",
        title=name,
        caption="",
        layout=layout(
            axis("Time scale of a unit (steps)") | {"range": [0, max(1.0, longest) + 0.1]},
            axis("Share of units", log=False) | {"range": [0, 1.02], "tickformat": ".0%"},
        ),
        traces=traces,
        legend=keys(marks, {str(arm["line"]) for arm in arms if scales(arm, "end")}),
        height="short",
    )


def _curve(found: list[float], words: str, mark: Mark, dash: str, width: float) -> list[Trace]:
    """The share of units at or below each time scale."""
    if not found:
        return []
    every = max(1, len(found) // STEPS_OF_A_CURVE)
    places = sorted({*range(0, len(found), every), len(found) - 1})
    trace: dict[str, Any] = {
        "type": "scatter",
        "mode": "lines",
        "x": [found[place] for place in places],
        "y": [(place + 1) / len(found) for place in places],
        "line": {"color": mark.colour, "width": width, "dash": dash, "shape": "hv"},
        "hovertemplate": f"{words}<br>%{{y:.0%}} within %{{x:.4~g}} steps<extra></extra>",
        "meta": {"group": mark.index},
    }
    return [trace]
