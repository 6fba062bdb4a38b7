"""Held-out loss after training against the dose of each panel, as small multiples: what a figure of a paper shows."""

from typing import Any

from allometry.report.figures import _arms
from allometry.report.figures._arms import Arm
from allometry.report.figures._figure import Figure, Trace, keys, safe
from allometry.report.palette import Mark

CROSSES = 1.35  # runs that diverged stand so many times above the largest loss


def dose_figures(arms: list[Arm], marks: dict[str, Mark]) -> list[Figure]:
    """One figure for each panel that has more than one dose and a loss. Panels of one dose axis and unit share the loss axis."""
    found = [(i, name, own) for i, (name, own) in enumerate(_arms.panels(arms).items()) if len(_arms.doses(own)) > 1]
    found = [(i, name, own) for i, name, own in found if any(_arms.losses(arm) for arm in own)]
    return [_figure(i, name, own, _shared(own, [other for _, _, other in found]), marks) for i, name, own in found]


def _shared(own: list[Arm], panels: list[list[Arm]]) -> list[float]:
    """All losses and chance levels of the panels that are to be compared with this one."""
    kind = (_arms.dose_words(own), own[0]["unit"])
    alike = [arm for panel in panels if (_arms.dose_words(panel), panel[0]["unit"]) == kind for arm in panel]
    values = [value for arm in alike for value in (*_arms.losses(arm), arm["chance"]) if value is not None]
    lost = any(outcome["status"] == "diverged" for arm in alike for outcome in arm["outcomes"])
    return [*values, CROSSES * max(values)] if lost else values


def _figure(index: int, name: str, arms: list[Arm], shown: list[float], marks: dict[str, Mark]) -> Figure:
    at, (dose, unit), loss_unit = _arms.doses(arms), _arms.dose_words(arms), str(arms[0]["unit"])
    x_axis, y_axis = (
        _arms.dose_axis(_arms.title(dose, unit), at),
        _arms.loss_axis(f"Held-out loss ({safe(loss_unit)})", shown),
    )
    top = max(shown)
    traces: list[Trace] = []
    below: list[Trace] = []
    for line, own in _arms.lines(arms).items():
        mark = marks[line]
        by_dose = {arm["at"]: arm for arm in own if arm["at"] is not None}
        for arm in own:
            if arm["at"] is None:
                below += _level(arm, [at[0], at[-1]], mark)
        places = list(by_dose)
        values = [_arms.losses(by_dose[place]) for place in places]
        words = [f"<b>{safe(line)}</b>, {safe(_arms.dose_text(place, unit))}" for place in places]
        if places:
            traces += _arms.over_seeds(places, values, mark, words, safe(loss_unit))
        lost = [(arm["at"], o) for arm in by_dose.values() for o in arm["outcomes"] if o["status"] == "diverged"]
        words = [f"<b>{safe(line)}</b>, {safe(_arms.dose_text(p, unit))}<br>seed {o['seed']} diverged" for p, o in lost]
        traces += _arms.crosses([p for p, _ in lost], top, mark, words)
    return Figure(
        id=f"doses-{index}",
        title=name,
        caption=_caption(arms),
        layout=_arms.dose_layout(x_axis, y_axis),
        traces=[*_chance(arms), *below, *traces],
        legend=keys(marks, set(_arms.lines(arms))),
        height="short",
    )


def _level(arm: Arm, x: list[float], mark: Mark) -> list[Trace]:
    """A line without a dose: a band over all doses."""
    values = _arms.losses(arm)
    if not values:
        return []
    words = f"<b>{safe(arm['line'])}</b><br>{_arms.seed_range(values)} {safe(arm['unit'])}"
    middle: dict[str, Any] = {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "y": [_arms.mean(values)] * 2,
        "line": {"color": mark.colour, "width": 2, "dash": "dashdot"},
        "hovertemplate": f"{words}<extra></extra>",
        "meta": {"group": mark.index},
    }
    edge = [max(values), max(values), min(values), min(values)]
    return [_arms.band([*x, *reversed(x)], edge, mark), middle]


def _chance(arms: list[Arm]) -> list[Trace]:
    """Chance at each dose; where the lines of a panel differ in it, the largest."""
    levels: dict[float, float] = {}
    for arm in arms:
        if arm["at"] is not None and arm["chance"] is not None:
            levels[arm["at"]] = max(arm["chance"], levels.get(arm["at"], arm["chance"]))
    places = sorted(levels)
    return _arms.chance_line(places, [levels[place] for place in places]) if places else []


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
