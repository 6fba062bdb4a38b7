"""What networks err on their own task and in each test, test beside test: wrong answers where there is no axis, and rollouts."""

from collections.abc import Callable
from typing import Any

from allometry.report.figures import _arms
from allometry.report.figures._arms import Arm
from allometry.report.figures._figure import Figure, Trace, axis, keys, layout, log_range, safe
from allometry.report.figures._measures import WRONG, Record, lowest, value_axis, zeros
from allometry.report.palette import Mark

OWN = "as trained"
ROOM = 0.7  # of the place of a test, over which its arms are spread
MANY = 5  # tests that take a tall figure
FLOWN = 2.0  # rollouts without a number stand so many times above the largest

Values = dict[str, list[float | None]]  # of each test, over the seeds that are done; None: without a number


def rollout_figures(arms: list[Arm], marks: dict[str, Mark]) -> list[Figure]:
    """One figure for each panel of which something was rolled out. A model that flew off has no number."""
    return [
        _rollouts(i, name, found, marks)
        for i, name, own in _panels(arms)
        if (found := _found(own, lambda _, one: "rollout" in one, lambda one: one["rollout"]))
    ]


def world_figures(arms: list[Arm], marks: dict[str, Mark]) -> list[Figure]:
    """The share of wrong answers: one figure for each panel of arms without doses that were tested without a place."""
    return [
        _worlds(i, name, found, [test for arm in own for o in arm["outcomes"] for test in o["tests"]], marks)
        for i, name, own in _panels(arms)
        if not _arms.doses(own)
        if (found := _found(own, _has_no_place, WRONG.value)) and any(len(values) > 1 for _, values in found)
    ]


def _panels(arms: list[Arm]) -> list[tuple[int, str, list[Arm]]]:
    return [(i, name, own) for i, (name, own) in enumerate(_arms.panels(arms).items())]


def _has_no_place(name: str, one: Record) -> bool:
    return WRONG.value(one) is not None and (name == OWN or (one.get("at") is None and one.get("along") is None))


def _found(
    arms: list[Arm], shown: Callable[[str, Record], bool], value: Callable[[Record], float | None]
) -> list[tuple[Arm, Values]]:
    """Arms of which something is shown, and that of each test. The arm's own task is the first."""
    found = []
    for arm in arms:
        values: Values = {}
        for outcome in arm["outcomes"]:
            if outcome["status"] == "done":
                for name, record in ((OWN, outcome), *((str(test["name"]), test) for test in outcome["tests"])):
                    if shown(name, record):
                        values.setdefault(name, []).append(value(record))
        if values:
            found.append((arm, values))
    return found


def _numbers(found: list[tuple[Arm, Values]]) -> list[float]:
    return [value for _, values in found for some in values.values() for value in some if value is not None]


def _rollouts(index: int, panel: str, found: list[tuple[Arm, Values]], marks: dict[str, Mark]) -> Figure:
    numbers = [value for value in _numbers(found) if value]
    flown = any(value is None for _, values in found for some in values.values() for value in some)
    low, top = min([1.0, *numbers]), max([1.0, *numbers]) * (FLOWN if flown else 1)
    return _figure(
        f"rollouts-{index}",
        f"{panel}: rollouts" if panel else "rollouts",
        found,
        marks,
        x_axis=axis("Error / persistence") | log_range([min(low, top / 10), top]),
        beneath=_arms.chance_line([len(_tests(found)) - 0.4, -0.6], [1.0, 1.0], "persistence"),
        ends=(low, top),
        unit="of persistence in one step",
        caption="Crosses: flew off." if flown else "",
    )


def _worlds(index: int, panel: str, found: list[tuple[Arm, Values]], tests: list[Record], marks: dict[str, Mark]) -> Figure:
    own = [(arm, outcome) for arm, _ in found for outcome in arm["outcomes"] if outcome["status"] == "done"]
    low = lowest(WRONG, [*((test, test) for test in tests), *own])
    numbers, names = _numbers(found), _tests(found)
    floors = {OWN: max((WRONG.floor(arm) or 0.0 for arm, _ in found), default=0.0)}
    floors |= {str(test["name"]): floor for test in tests if (floor := WRONG.floor(test)) is not None}
    dashes: list[Trace] = []
    for place, name in enumerate(names):
        if floor := floors.get(name):
            line, label = _arms.chance_line(
                [place + 0.42, place - 0.42], [floor] * 2, WRONG.players([*(arm for arm, _ in found), *tests])
            )
            dashes += [line, label] if place == 0 else [line]
    return _figure(
        f"worlds-{index}",
        f"{panel}: {WRONG.name}" if panel else WRONG.name,
        found,
        marks,
        x_axis=value_axis(WRONG, "", [*numbers, *(floors[name] for name in names if name in floors)], low, ""),
        beneath=dashes,
        ends=(low, max(numbers)),
        unit=WRONG.unit,
        caption=zeros(WRONG, low),
    )


def _tests(found: list[tuple[Arm, Values]]) -> list[str]:
    return list(dict.fromkeys(name for _, values in found for name in values))


def _figure(
    key: str,
    title: str,
    found: list[tuple[Arm, Values]],
    marks: dict[str, Mark],
    *,
    x_axis: dict[str, Any],
    beneath: list[Trace],  # what is drawn before the arms
    ends: tuple[float, float],  # where what is smaller is drawn, and where crosses are
    unit: str,  # on hover
    caption: str,
) -> Figure:
    """Tests one under another, in each the arms."""
    tests = _tests(found)
    ticks = {"tickmode": "array", "tickvals": list(range(len(tests))), "ticktext": [_broken(name) for name in tests]}
    test_axis = axis("", log=False) | {"range": [len(tests) - 0.4, -0.6]} | ticks
    traces = list(beneath)
    for place, (arm, values) in enumerate(found):
        aside = ROOM * ((place + 0.5) / len(found) - 0.5)
        traces += _arm(arm, values, tests, aside, ends, unit, marks[str(arm["line"])])
    return Figure(
        id=key,
        title=title,
        caption=caption,
        layout=layout(x_axis, test_axis, margin={"l": 12, "r": 14, "t": 26, "b": 8}) | {"meta": {"ticks": "yaxis"}},
        traces=[_turned(trace) for trace in traces],
        legend=keys(marks, {str(arm["line"]) for arm, _ in found}),
        height="short" if len(tests) < MANY else "tall",
    )


def _turned(trace: Trace) -> Trace:
    """Values to the right, tests one under another: their names have room."""
    turned = trace | {"x": trace["y"], "y": trace["x"]}
    if "hovertemplate" in trace:
        turned["hovertemplate"] = trace["hovertemplate"].replace("%{y", "%{x")
    return turned | ({"textposition": "top center"} if trace["mode"] == "text" else {})


def _broken(name: str) -> str:
    """A name of several parts, one under another."""
    return ",<br>".join(safe(part) for part in name.split(", "))


def _arm(
    arm: Arm, found: Values, tests: list[str], aside: float, ends: tuple[float, float], unit: str, mark: Mark
) -> list[Trace]:
    """A point for each seed and the mean of each test, a little aside from those of the other arms; crosses of what flew off."""
    low, top = ends
    places = [tests.index(name) + aside for name in found]
    values = [[value for value in some if value is not None] for some in found.values()]
    words = [f"<b>{safe(arm['name'])}</b>, {safe(name)}" for name in found]
    *_, seeds, means = _arms.over_seeds(places, values, mark, words, unit, low)
    means |= {"mode": "markers", "marker": means["marker"] | {"size": 10}}
    lost = [(place, text) for place, some, text in zip(places, found.values(), words, strict=True) if None in some]
    crossed: list[Any] = [f"{text}<br>flew off" for _, text in lost]
    return [seeds, means, *_arms.crosses([place for place, _ in lost], top, mark, crossed)]
