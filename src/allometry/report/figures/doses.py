"""What was reached after training against the dose of each panel, as small multiples: what a figure of a paper shows."""

from typing import Any

from allometry.report.figures import _arms
from allometry.report.figures._arms import Arm
from allometry.report.figures._figure import Figure, Trace, keys, safe
from allometry.report.figures._measures import LOSS, SOLVED, Measure, lowest, measures, titled, value_axis, zeros
from allometry.report.palette import Mark

CROSSES = 1.35  # runs that diverged stand so many times above the largest loss


def dose_figures(arms: list[Arm], marks: dict[str, Mark]) -> list[Figure]:
    """One figure for each panel that has more than one dose and a loss, and each measure of it.

    Panels of one dose axis and unit share the axis of the measure.
    """
    found = [(i, name, own) for i, (name, own) in enumerate(_arms.panels(arms).items()) if len(_arms.doses(own)) > 1]
    found = [(i, name, own) for i, name, own in found if any(_arms.losses(arm) for arm in own)]
    return [
        _figure(i, name, own, measure, _alike(own, [other for _, _, other in found]), marks)
        for i, name, own in found
        for measure in measures(outcome for arm in own for outcome in arm["outcomes"])
    ]


def _alike(own: list[Arm], panels: list[list[Arm]]) -> list[Arm]:
    """The arms of all panels that are to be compared with this one."""
    kind = (_arms.dose_words(own), own[0]["unit"])
    return [arm for panel in panels if (_arms.dose_words(panel), panel[0]["unit"]) == kind for arm in panel]


def _shown(measure: Measure, alike: list[Arm]) -> list[float]:
    """All values and levels that the axis has to hold."""
    values = [value for arm in alike for value in (*measure.of_arm(arm), measure.floor(arm)) if value is not None]
    lost = any(outcome["status"] == "diverged" for arm in alike for outcome in arm["outcomes"])
    return [*values, CROSSES * max(values)] if lost and values and measure is LOSS else values


def _figure(index: int, name: str, arms: list[Arm], measure: Measure, alike: list[Arm], marks: dict[str, Mark]) -> Figure:
    at, (dose, unit), loss_unit = _arms.doses(arms), _arms.dose_words(arms), str(arms[0]["unit"])
    low = lowest(measure, [(arm, outcome) for arm in alike for outcome in arm["outcomes"] if outcome["status"] == "done"])
    shown = _shown(measure, alike)
    x_axis = _arms.dose_axis(_arms.title(dose, unit), at)
    y_axis = value_axis(measure, "Held-out loss", shown, low, loss_unit)
    said = safe(measure.unit or loss_unit)
    worst = 0.0 if measure is SOLVED else max(shown, default=1.0)
    traces: list[Trace] = []
    below: list[Trace] = []
    for line, own in _arms.lines(arms).items():
        mark = marks[line]
        by_dose = {arm["at"]: arm for arm in own if arm["at"] is not None}
        for arm in own:
            if arm["at"] is None:
                below += _level(arm, measure, low, [at[0], at[-1]], mark)
        places = list(by_dose)
        values = [measure.of_arm(by_dose[place]) for place in places]
        words = [f"<b>{safe(line)}</b>, {safe(_arms.dose_text(place, unit))}" for place in places]
        if places:
            traces += _arms.over_seeds(places, values, mark, words, said, low)
        lost = [(arm["at"], o) for arm in by_dose.values() for o in arm["outcomes"] if o["status"] == "diverged"]
        words = [f"<b>{safe(line)}</b>, {safe(_arms.dose_text(p, unit))}<br>seed {o['seed']} diverged" for p, o in lost]
        traces += _arms.crosses([p for p, _ in lost], worst, mark, words)
    return Figure(
        id="-".join(filter(None, ("doses", str(index), measure.key))),
        title=titled(name, measure),
        caption=" ".join(filter(None, (zeros(measure, low), _caption(arms)))),
        layout=_arms.dose_layout(x_axis, y_axis),
        traces=[*_floor(arms, measure), *below, *traces],
        legend=keys(marks, set(_arms.lines(arms))),
        height="short",
    )


def _level(arm: Arm, measure: Measure, low: float, x: list[float], mark: Mark) -> list[Trace]:
    """A line without a dose: a band over all doses."""
    values = measure.of_arm(arm)
    if not values:
        return []
    words = f"<b>{safe(arm['line'])}</b><br>{_arms.seed_range(values)} {safe(measure.unit or arm['unit'])}"
    middle: dict[str, Any] = {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "y": [max(low, sum(values) / len(values))] * 2,
        "line": {"color": mark.colour, "width": 2, "dash": "dashdot"},
        "hovertemplate": f"{words}<extra></extra>",
        "meta": {"group": mark.index},
    }
    top, bottom = max(low, *values), max(low, min(values))
    edge = [top, top, bottom, bottom]
    return [_arms.band([*x, *reversed(x)], edge, mark), middle]


def _floor(arms: list[Arm], measure: Measure) -> list[Trace]:
    """What a player that looks at nothing attains at each dose; where the lines of a panel differ in it, the largest."""
    levels: dict[float, float] = {}
    for arm in arms:
        if arm["at"] is not None and (level := measure.floor(arm)) is not None:
            levels[arm["at"]] = max(level, levels.get(arm["at"], level))
    places = sorted(levels)
    return _arms.chance_line(places, [levels[place] for place in places], measure.players(arms)) if places else []


def _caption(arms: list[Arm]) -> str:
    """What is missing in the figure; what is in it stands once above all."""
    count = dict.fromkeys(("missing", "begun", "diverged", "failed"), 0)
    for arm in arms:
        for outcome in arm["outcomes"]:
            if outcome["status"] in count:
                count[outcome["status"]] += 1
    words = {"missing": "not begun", "begun": "not ended", "diverged": "diverged (crosses)", "failed": "failed"}
    told = [f"{n} {words[status]}" for status, n in count.items() if n]
    return f"Runs without a loss: {', '.join(told)}." if told else ""
