"""Rollouts of networks that are fed their own answers: what they err on their own task and in each test."""

from typing import Any

from allometry.report.figures import _arms
from allometry.report.figures._arms import Arm
from allometry.report.figures._figure import Figure, Trace, axis, keys, layout, log_range, safe
from allometry.report.palette import Mark

OWN = "as trained"
ROOM = 0.5  # of the place of a test, over which its arms are spread
FLOWN = 2.0  # rollouts without a number stand so many times above the largest


def rollout_figures(arms: list[Arm], marks: dict[str, Mark]) -> list[Figure]:
    """One figure for each panel of which something was rolled out."""
    found = ((i, name, own) for i, (name, own) in enumerate(_arms.panels(arms).items()))
    return [_figure(i, name, own, marks) for i, name, own in found if any(_rollouts(arm) for arm in own)]


def _rollouts(arm: Arm) -> dict[str, list[float | None]]:
    """What each test erred, over the seeds that are done; None where a model flew off. The arm's own task is the first."""
    found: dict[str, list[float | None]] = {}
    for outcome in arm["outcomes"]:
        if outcome["status"] == "done":
            for name, record in ((OWN, outcome), *((str(test["name"]), test) for test in outcome["tests"])):
                if "rollout" in record:
                    found.setdefault(name, []).append(record["rollout"])
    return found


def _figure(index: int, panel: str, arms: list[Arm], marks: dict[str, Mark]) -> Figure:
    by_arm = [(arm, rollouts) for arm in arms if (rollouts := _rollouts(arm))]
    tests = list(dict.fromkeys(name for _, rollouts in by_arm for name in rollouts))
    numbers = [value for _, rollouts in by_arm for some in rollouts.values() for value in some if value]
    flown = any(value is None for _, rollouts in by_arm for some in rollouts.values() for value in some)
    low, top = min([1.0, *numbers]), max([1.0, *numbers]) * (FLOWN if flown else 1)
    ticks = {"tickmode": "array", "tickvals": list(range(len(tests))), "ticktext": [safe(name) for name in tests]}
    x_axis = axis("Test", log=False) | {"range": [-0.6, len(tests) - 0.4], "tickangle": 0} | ticks
    y_axis = axis("Error / persistence") | log_range([min(low, top / 10), top])
    traces = _arms.chance_line([-0.6, len(tests) - 0.4], [1.0, 1.0], "persistence")
    for place, (arm, rollouts) in enumerate(by_arm):
        aside = ROOM * ((place + 0.5) / len(by_arm) - 0.5)
        traces += _arm(arm, rollouts, tests, aside, low, top, marks[str(arm["line"])])
    return Figure(
        id=f"rollouts-{index}",
        title=f"{panel}: rollouts" if panel else "rollouts",
        caption="Crosses: flew off." if flown else "",
        layout=layout(x_axis, y_axis, margin={"l": 12, "r": 84, "t": 14, "b": 8})
        | {"xaxis": x_axis, "meta": {"ticks": "xaxis"}},
        traces=traces,
        legend=keys(marks, {str(arm["line"]) for arm, _ in by_arm}),
        height="short",
    )


def _arm(
    arm: Arm, rollouts: dict[str, list[float | None]], tests: list[str], aside: float, low: float, top: float, mark: Mark
) -> list[Trace]:
    """A point for each seed and the mean of each test, a little aside from those of the other arms; crosses of what flew off."""
    places = [tests.index(name) + aside for name in rollouts]
    values = [[value for value in some if value is not None] for some in rollouts.values()]
    words = [f"<b>{safe(arm['name'])}</b>, {safe(name)}" for name in rollouts]
    *_, seeds, means = _arms.over_seeds(places, values, mark, words, "of persistence in one step", low)
    means |= {"mode": "markers", "marker": means["marker"] | {"size": 10}}
    lost = [(place, text) for place, some, text in zip(places, rollouts.values(), words, strict=True) if None in some]
    crossed: list[Any] = [f"{text}<br>flew off" for _, text in lost]
    return [seeds, means, *_arms.crosses([place for place, _ in lost], top, mark, crossed)]
