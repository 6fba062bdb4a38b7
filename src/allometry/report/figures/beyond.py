"""Loss of trained networks on other tasks, such as slower ones: how far what was learned carries."""

from allometry.report.figures import _arms
from allometry.report.figures._arms import Arm
from allometry.report.figures._figure import Figure, Trace, View, keys, safe
from allometry.report.numbers import brief
from allometry.report.palette import Mark


def beyond_figures(arms: list[Arm], marks: dict[str, Mark]) -> list[Figure]:
    """One figure for each panel whose networks were tested at other doses; a switch between the doses they were trained at."""
    found = []
    for i, (name, own) in enumerate(_arms.panels(arms).items()):
        tested = [arm for arm in own if any(test["at"] is not None for o in arm["outcomes"] for test in _tests(o))]
        if tested:
            found.append(_figure(i, name, tested, marks))
    return found


def _figure(index: int, name: str, arms: list[Arm], marks: dict[str, Mark]) -> Figure:
    dose, unit = _arms.dose_words(arms)
    tests = [test for arm in arms for o in arm["outcomes"] for test in _tests(o) if test["at"] is not None]
    at = sorted({test["at"] for test in tests} | {arm["at"] for arm in arms if arm["at"] is not None})
    shown = [test[key] for test in tests for key in ("loss", "chance")] + [v for arm in arms for v in _arms.losses(arm)]
    x_axis = _arms.dose_axis(_arms.title(f"{dose} in the test" if dose else "Test", unit), at)
    trained = _arms.doses(arms)
    views = [
        View(
            key=f"{place:g}",
            label=_arms.dose_text(place, unit),
            after=_view([arm for arm in arms if arm["at"] in (place, None)], marks),
        )
        for place in reversed(trained)
    ]
    several = len(views) > 1
    return Figure(
        id=f"beyond-{index}",
        title=name,
        caption="",
        layout=_arms.dose_layout(x_axis, _arms.loss_axis(f"Loss in the test ({safe(arms[0]['unit'])})", shown)),
        traces=[] if several else _view(arms, marks),
        views=views if several else [],
        switch=f"Trained at a {dose} of" if dose else "Trained at",
        legend=keys(marks, {str(arm["line"]) for arm in arms}),
        height="short",
    )


def _view(arms: list[Arm], marks: dict[str, Mark]) -> list[Trace]:
    chance: dict[float, float] = {}
    traces: list[Trace] = []
    for arm in arms:
        mark, by_place = marks[str(arm["line"])], {}
        for outcome in arm["outcomes"]:
            for test in _tests(outcome):
                if test["at"] is not None:
                    by_place.setdefault(test["at"], []).append(test["loss"])
                    chance[test["at"]] = max(test["chance"], chance.get(test["at"], test["chance"]))
        if arm["at"] is not None and arm["at"] not in by_place and _arms.losses(arm):
            by_place[arm["at"]] = _arms.losses(arm)
            chance.setdefault(arm["at"], arm["chance"])
        places = sorted(by_place)
        values = [[loss for loss in by_place[place] if loss is not None] for place in places]
        words = [f"<b>{safe(arm['line'])}</b>, tested at {brief(place)}" for place in places]
        traces += _arms.over_seeds(places, values, mark, words, safe(arm["unit"]))
        if arm["at"] is not None and _arms.losses(arm):
            traces.append(_trained(arm, mark))
    places = sorted(chance)
    return [*_arms.chance_line(places, [chance[place] for place in places]), *traces]


def _trained(arm: Arm, mark: Mark) -> Trace:
    """Where the network was trained: a ringed mark."""
    values = _arms.losses(arm)
    words = f"<b>{safe(arm['line'])}</b>, trained here<br>{_arms.seed_range(values)} {safe(arm['unit'])}"
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [arm["at"]],
        "y": [_arms.mean(values)],
        "hovertemplate": f"{words}<extra></extra>",
        "marker": {"color": mark.colour, "symbol": mark.symbol, "size": 12, "line": {"color": "@ink", "width": 1.6}},
        "meta": {"group": mark.index},
    }


def _tests(outcome: dict) -> list[dict]:
    return [test for test in outcome["tests"] if test.get("loss") is not None]
