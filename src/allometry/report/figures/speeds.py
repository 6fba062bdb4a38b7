"""Steps to half of chance against the dose of each panel: how fast a task was learned, which no loss after training tells."""

from typing import Any

from allometry.report.figures import _arms
from allometry.report.figures._arms import Arm
from allometry.report.figures._figure import Figure, Trace, keys, safe
from allometry.report.palette import Mark

UNIT = "steps"


def speed_figures(arms: list[Arm], marks: dict[str, Mark]) -> list[Figure]:
    """One figure for each panel that has more than one dose, and a run that got to half of chance."""
    found = [(i, name, own) for i, (name, own) in enumerate(_arms.panels(arms).items()) if len(_arms.doses(own)) > 1]
    return [_figure(i, name, own, marks) for i, name, own in found if any(_reached(arm) for arm in own)]


def _reached(arm: Arm) -> list[float]:
    """Steps of the seeds that got there."""
    halves = [outcome["half_chance"] for outcome in arm["outcomes"]]
    return [half["value"] for half in halves if half and half["value"] is not None and not half["beyond"]]


def _not_reached(arm: Arm) -> list[float]:
    """Steps of the seeds that ended before."""
    halves = [outcome["half_chance"] for outcome in arm["outcomes"]]
    return [half["value"] for half in halves if half and half["beyond"]]


def _figure(index: int, name: str, arms: list[Arm], marks: dict[str, Mark]) -> Figure:
    at, (dose, unit) = _arms.doses(arms), _arms.dose_words(arms)
    shown = [steps for arm in arms for steps in (*_reached(arm), *_not_reached(arm))]
    traces: list[Trace] = []
    for line, own in _arms.lines(arms).items():
        mark = marks[line]
        by_dose = {arm["at"]: arm for arm in own if arm["at"] is not None}
        words = [f"<b>{safe(line)}</b>, {safe(_arms.dose_text(place, unit))}" for place in by_dose]
        if by_dose:
            traces += _arms.over_seeds(list(by_dose), [_reached(arm) for arm in by_dose.values()], mark, words, UNIT)
        for arm in own:
            x = [at[0], at[-1]] if arm["at"] is None else [arm["at"]]
            if arm["at"] is None and _reached(arm):
                traces += _arms.over_seeds(x, [_reached(arm)] * 2, mark, [f"<b>{safe(line)}</b>"] * 2, UNIT)
            traces += _open(x[-1:], _not_reached(arm), mark, str(line))
    return Figure(
        id=f"speeds-{index}",
        title=name,
        caption="Triangles: runs that ended before they got there." if any(_not_reached(arm) for arm in arms) else "",
        layout=_arms.dose_layout(
            _arms.dose_axis(_arms.title(dose, unit), at), _arms.loss_axis("Steps to half of chance", shown)
        ),
        traces=traces,
        legend=keys(marks, set(_arms.lines(arms))),
        height="short",
    )


def _open(x: list[float], steps: list[float], mark: Mark, line: str) -> list[Trace]:
    """Runs that would have needed more: a triangle that points up."""
    trace: dict[str, Any] = {
        "type": "scatter",
        "mode": "markers",
        "x": x * len(steps),
        "y": steps,
        "text": [f"<b>{safe(line)}</b><br>more than {number:g} steps" for number in steps],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {
            "color": mark.colour,
            "symbol": "triangle-up-open",
            "size": 10,
            "line": {"width": 2, "color": mark.colour},
        },
        "cliponaxis": False,
        "meta": {"group": mark.index},
    }
    return [trace] if steps else []
