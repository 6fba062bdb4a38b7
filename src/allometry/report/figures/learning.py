"""Training loss against step for each panel: every seed faint, the median of the seeds strong, the chance level dashed."""

import bisect
import math
import statistics
from collections.abc import Sequence

from allometry.report.figures import _arms
from allometry.report.figures._arms import Arm
from allometry.report.figures._figure import LABELLED, Figure, Trace, View, axis, ends, keys, layout, safe, shade
from allometry.report.numbers import brief
from allometry.report.palette import Mark

POINTS = 120  # of a curve, at most
TOGETHER = 6  # arms in one figure, at most

Curve = list[tuple[float, float]]  # step, loss


def learning_figures(arms: list[Arm], marks: dict[str, Mark]) -> list[Figure]:
    """One figure for each panel with a curve; where it has several doses, a switch between them, the largest first."""
    return [
        _figure(i, name, own, marks)
        for i, (name, own) in enumerate(_arms.panels(arms).items())
        if any(_points(o) for arm in own for o in arm["outcomes"])
    ]


def _figure(index: int, name: str, arms: list[Arm], marks: dict[str, Mark]) -> Figure:
    dose, unit = _arms.dose_words(arms)
    last = max(step for arm in arms for o in arm["outcomes"] for step, _ in _points(o))
    of_arm = {arm["name"]: _arm(arm, last, marks[str(arm["line"])], unit) for arm in arms}
    drawn = [y for traces in of_arm.values() for trace in traces for y in trace["y"] if y is not None]
    x_axis = axis("Training step", log=False) | {"range": [0, 1.01 * last], "nticks": 6, "tickformat": "d"}
    y_axis = _arms.loss_axis(f"Training loss ({safe(arms[0]['unit'])})", [*drawn, *(arm["chance"] for arm in arms)])
    begun = [arm for arm in arms if of_arm[arm["name"]]]
    views = []
    for place in reversed(_arms.doses(begun)):
        own = [arm for arm in begun if arm["at"] in (place, None)]
        views.append(View(key=f"{place:g}", label=_arms.dose_text(place, unit), after=_together(own, of_arm, last)))
    if len(views) > 1 and len(begun) <= TOGETHER:
        views.insert(0, View(key="all", label="all", after=_medians(begun, of_arm, last)))
    several = len(views) > 1
    return Figure(
        id=f"learning-{index}",
        title=name,
        caption="" if several else "; ".join(f"{_switch(dose)}: {view.label}" for view in views),
        layout=layout(x_axis, y_axis, **LABELLED) | {"xaxis": x_axis},
        traces=[] if several else _together(begun, of_arm, last),
        views=views if several else [],
        switch=_switch(dose),
        legend=keys(marks, {str(arm["line"]) for arm in begun}),
        height="short",
    )


def _switch(dose: str) -> str:
    """The name of the switch between doses."""
    return dose[:1].upper() + dose[1:] or "At"


def _medians(arms: list[Arm], of_arm: dict[str, list[Trace]], last: float) -> list[Trace]:
    """The median of each arm, the stronger the larger its dose, with its dose at its end."""
    at = _arms.doses(arms)
    traces = _chance(arms, last)
    for arm in arms:
        trace = next(t for t in of_arm[arm["name"]] if "opacity" not in t)
        traces.append(trace if arm["at"] is None else trace | {"opacity": shade(at.index(arm["at"]), len(at))})
        known = [(x, y) for x, y in zip(trace["x"], trace["y"], strict=True) if y is not None]
        if arm["at"] is not None and known:
            traces.append(ends(*map(list, zip(*known, strict=True)), brief(arm["at"])) | {"meta": trace["meta"]})
    return traces


def _chance(arms: list[Arm], last: float) -> list[Trace]:
    levels = sorted({arm["chance"] for arm in arms if arm["chance"] is not None})
    return [trace for level in levels for trace in _arms.chance_line([0, last], [level, level])]


def _together(arms: list[Arm], of_arm: dict[str, list[Trace]], last: float) -> list[Trace]:
    """The faint lines of all arms, then the strong ones over them; chance below both."""
    traces = [trace for arm in arms for trace in of_arm[arm["name"]]]
    return [*_chance(arms, last), *(t for t in traces if "opacity" in t), *(t for t in traces if "opacity" not in t)]


def _arm(arm: Arm, last: float, mark: Mark, unit: str) -> list[Trace]:
    """The curves of an arm: one for each seed, and their median."""
    outcomes = [o for o in arm["outcomes"] if _points(o)]
    binned = [_binned(_points(o), last) for o in outcomes]
    words = f"<b>{safe(arm['line'])}</b>{', ' + safe(_arms.dose_text(arm['at'], unit)) if arm['at'] is not None else ''}"
    found = []
    for outcome, curve in zip(outcomes, binned, strict=True):
        ended = "" if outcome["status"] == "done" else f", {outcome['status']}"
        found.append(_line(curve, mark, f"{words}, seed {outcome['seed']}{safe(ended)}", faint=len(outcomes) > 1))
    if len(outcomes) > 1:
        found.append(_line(_median(outcomes, binned), mark, f"{words}, median of seeds", faint=False))
    return found


def _line(curve: Sequence[tuple[float, float | None]], mark: Mark, words: str, faint: bool) -> Trace:
    trace: Trace = {
        "type": "scatter",
        "mode": "lines",
        "x": [step for step, _ in curve],
        "y": [loss for _, loss in curve],
        "line": {"color": mark.colour, "width": 1 if faint else 2.2, "dash": mark.dash},
        "hovertemplate": f"{words}<br>step %{{x:,.0f}}: %{{y:.4~g}}<extra></extra>",
        "meta": {"group": mark.index},
    }
    return trace | {"opacity": 0.35} if faint else trace


def _points(outcome: dict) -> Curve:
    curve = outcome["curve"]
    return [(step, loss) for step, loss in zip(curve["step"], curve["loss"], strict=True) if loss is not None]


def _binned(curve: Curve, last: float) -> Curve:
    """Average a long curve within equal stretches of steps, the same for all curves of a figure."""
    if len(curve) <= POINTS:
        return curve
    width, bins = last / POINTS, {}
    for step, loss in curve:
        bins.setdefault(math.ceil(step / width), []).append((step, loss))
    return [(some[-1][0], sum(loss for _, loss in some) / len(some)) for some in bins.values()]


def _median(outcomes: list[dict], curves: list[Curve]) -> list[tuple[float, float | None]]:
    """The median over seeds that ended, or over all while none has; a gap where it is a run that diverged.

    A run that stopped before the others keeps its last loss (it was solved), or counts as worse than any (it diverged).
    """
    ended = [(o, c) for o, c in zip(outcomes, curves, strict=True) if o["status"] in ("done", "diverged")]
    taken = ended or list(zip(outcomes, curves, strict=True))
    places = [[step for step, _ in curve] for _, curve in taken]
    result: list[tuple[float, float | None]] = []
    for step in sorted({step for _, curve in taken for step, _ in curve}):
        values = []
        for (outcome, curve), own in zip(taken, places, strict=True):
            before = bisect.bisect_right(own, step)
            if outcome["status"] == "diverged" and step > own[-1]:
                values.append(math.inf)
            elif before:
                values.append(curve[before - 1][1])
        middle = statistics.median(values)
        result.append((step, middle if math.isfinite(middle) else None))
    return result
