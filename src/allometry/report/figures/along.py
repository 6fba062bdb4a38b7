"""Trained networks in tests along an axis of their own, such as more steps than they were trained with."""

from typing import Any

from allometry.report.figures import _arms
from allometry.report.figures._arms import Arm
from allometry.report.figures._figure import Figure, Trace, View, keys, safe
from allometry.report.figures._measures import Measure, lowest, measures, titled, value_axis, zeros
from allometry.report.palette import Mark, ordered_marks

Test = dict[str, Any]


def along_figures(arms: list[Arm]) -> list[Figure]:
    """For each panel and axis of its tests one figure of each measure: a line for each name, a switch between the arms."""
    found = []
    for i, (name, own) in enumerate(_arms.panels(arms).items()):
        axes = dict.fromkeys(test["axis"] for arm in own for test in _tests(arm))
        for j, axis in enumerate(axes):
            tests = {arm["name"]: some for arm in own if (some := [test for test in _tests(arm) if test["axis"] == axis])}
            units = {arm["name"]: str(arm["unit"]) for arm in own}
            for measure in measures(test for some in tests.values() for test in some):
                found.append(_figure(f"{i}-{j}", name, axis, tests, units, measure))
    return found


def _figure(
    index: str, panel: str, axis: str, tests: dict[str, list[Test]], units: dict[str, str], measure: Measure
) -> Figure:
    """`tests` and `units` by the name of the arm."""
    every = [test for some in tests.values() for test in some]
    names = list(dict.fromkeys(str(test["line"]) for test in every))
    marks = ordered_marks(names)
    low = lowest(measure, [(test, test) for test in every])
    shown = [read(test) for test in every for read in (measure.value, measure.floor)]
    words, unit = _arms.dose_words([{"axis": axis}])
    y_axis = value_axis(measure, "Loss in the test", shown, low, next(units[arm] for arm in tests))
    views = [
        View(key=arm, label=arm, after=_view(arm, some, unit, safe(measure.unit or units[arm]), measure, low, marks))
        for arm, some in tests.items()
    ]
    several = len(views) > 1
    return Figure(
        id="-".join(filter(None, ("along", index, measure.key))),
        title=titled(", ".join(filter(None, (panel, words))), measure),
        caption=" ".join(filter(None, ("" if several else f"Network: {views[0].label}.", zeros(measure, low)))),
        layout=_arms.dose_layout(
            _arms.dose_axis(_arms.title(words, unit), sorted({test["along"] for test in every})), y_axis
        ),
        traces=[] if several else views[0].after,
        views=views if several else [],
        switch="Network",
        legend=keys(marks, set(names)),
        height="short",
    )


def _view(
    arm: str, tests: list[Test], unit: str, said: str, measure: Measure, low: float, marks: dict[str, Mark]
) -> list[Trace]:
    """One arm: a line for each name. `unit` is that of the axis, `said` that of the values."""
    traces: list[Trace] = []
    ringed = len({test.get("own_model") for test in tests}) > 1  # else all are as trained, or none is
    for line, mark in marks.items():
        own = [test for test in tests if str(test["line"]) == line]
        places = sorted({test["along"] for test in own})
        at = [[test for test in own if test["along"] == place] for place in places]
        values = [measure.of(some) for some in at]
        words = [f"<b>{safe(line or arm)}</b>, {safe(_arms.dose_text(place, unit))}" for place in places]
        floor = max((level for test in own if (level := measure.floor(test)) is not None), default=None)
        if floor is not None:
            traces.append(_level(places, floor, f"{safe(line)}: {measure.players(own)}", mark))
        if places:
            traces += _arms.over_seeds(places, values, mark, words, said, low)
        for place, some, found, text in zip(places, at, values, words, strict=True):
            if ringed and found and any(test.get("own_model") for test in some):
                text = f"{text}, as trained<br>{_arms.seed_range(found)} {said}"
                traces.append(_arms.ring(place, max(low, sum(found) / len(found)), text, mark))
    return traces


def _level(places: list[float], level: float, words: str, mark: Mark) -> Trace:
    """What a player attains that looks at nothing, which differs from line to line."""
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [places[0], places[-1]],
        "y": [level, level],
        "line": {"color": mark.colour, "width": 1.2, "dash": "dash"},
        "opacity": 0.75,
        "hovertemplate": f"{words} %{{y:.3~g}}<extra></extra>",
        "meta": {"group": mark.index},
    }


def _tests(arm: Arm) -> list[Test]:
    return [
        test
        for outcome in arm["outcomes"]
        for test in outcome["tests"]
        if test.get("loss") is not None and test.get("along") is not None
    ]
