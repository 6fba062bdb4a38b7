"""Trained networks on other tasks, such as slower ones or larger worlds: how far what was learned carries."""

from allometry.report.figures import _arms
from allometry.report.figures._arms import Arm
from allometry.report.figures._figure import Figure, Trace, View, keys, safe
from allometry.report.figures._measures import Measure, lowest, measures, titled, value_axis, zeros
from allometry.report.numbers import brief
from allometry.report.palette import Mark


def beyond_figures(arms: list[Arm], marks: dict[str, Mark]) -> list[Figure]:
    """For each panel whose networks were tested at other doses one figure of each measure.

    A switch goes between the doses they were trained at.
    """
    found = []
    for i, (name, own) in enumerate(_arms.panels(arms).items()):
        tested = [arm for arm in own if any(True for o in arm["outcomes"] for _ in _tests(o))]
        for measure in measures(test for arm in tested for o in arm["outcomes"] for test in _tests(o)) if tested else ():
            found.append(_figure(i, name, tested, measure, marks))
    return found


def _figure(index: int, name: str, arms: list[Arm], measure: Measure, marks: dict[str, Mark]) -> Figure:
    dose, unit = _arms.dose_words(arms)
    tests = [test for arm in arms for o in arm["outcomes"] for test in _tests(o)]
    at = sorted({test["at"] for test in tests} | {arm["at"] for arm in arms if arm["at"] is not None})
    own = [(arm, outcome) for arm in arms for outcome in arm["outcomes"] if outcome["status"] == "done"]
    low = lowest(measure, [*((test, test) for test in tests), *own])
    shown = [read(test) for test in tests for read in (measure.value, measure.floor)]
    shown += [value for arm in arms for value in measure.of_arm(arm)]
    x_axis = _arms.dose_axis(_arms.title(f"{dose} in the test" if dose else "Test", unit), at)
    trained = _arms.doses(arms)
    views = [
        View(
            key=f"{place:g}",
            label=_arms.dose_text(place, unit),
            after=_view([arm for arm in arms if arm["at"] in (place, None)], measure, low, marks),
        )
        for place in reversed(trained)
    ]
    several = len(views) > 1
    return Figure(
        id="-".join(filter(None, ("beyond", str(index), measure.key))),
        title=titled(name, measure),
        caption=zeros(measure, low),
        layout=_arms.dose_layout(x_axis, value_axis(measure, "Loss in the test", shown, low, arms[0]["unit"])),
        traces=[] if several else _view(arms, measure, low, marks),
        views=views if several else [],
        switch=f"Trained at a {dose} of" if dose else "Trained at",
        legend=keys(marks, {str(arm["line"]) for arm in arms}),
        height="short",
    )


def _view(arms: list[Arm], measure: Measure, low: float, marks: dict[str, Mark]) -> list[Trace]:
    floor: dict[float, float | None] = {}
    traces: list[Trace] = []
    for arm in arms:
        mark, by_place = marks[str(arm["line"])], {}
        for outcome in arm["outcomes"]:
            for test in _tests(outcome):
                by_place.setdefault(test["at"], []).append(test)
                floor[test["at"]] = _larger(measure.floor(test), floor.get(test["at"]))
        values = {place: measure.of(found) for place, found in by_place.items()}
        if arm["at"] is not None and arm["at"] not in values and measure.of_arm(arm):
            values[arm["at"]] = measure.of_arm(arm)
            floor.setdefault(arm["at"], measure.floor(arm))
        places = sorted(values)
        words = [f"<b>{safe(arm['line'])}</b>, tested at {brief(place)}" for place in places]
        unit = safe(measure.unit or arm["unit"])
        traces += _arms.over_seeds(places, [values[place] for place in places], mark, words, unit, low)
        if arm["at"] is not None and (own := measure.of_arm(arm)):
            words = f"<b>{safe(arm['line'])}</b>, trained here<br>{_arms.seed_range(own)} {unit}"
            traces.append(_arms.ring(arm["at"], max(low, sum(own) / len(own)), words, mark))
    levels = sorted((place, level) for place, level in floor.items() if level is not None)
    players = measure.players([*(test for arm in arms for o in arm["outcomes"] for test in _tests(o)), *arms])
    line = _arms.chance_line([place for place, _ in levels], [level for _, level in levels], players)
    return [*(line if levels else []), *traces]


def _larger(one: float | None, other: float | None) -> float | None:
    return max((level for level in (one, other) if level is not None), default=None)


def _tests(outcome: dict) -> list[dict]:
    """Those that stand on the axis of the arms."""
    return [test for test in outcome["tests"] if test.get("loss") is not None and test["at"] is not None]
