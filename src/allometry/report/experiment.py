"""From an experiment's folder to its page: a fixed list of arms with seeds, what was expected of them, and what came out.

The folder holds `experiment.json` (title, about, arms, expectations) and the runs of its arms in the ordinary store. A run may be
missing, begun, done, diverged or failed; what has no number is said to have none.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from allometry.fit.arms import HALF_CHANCE, RECOVERED, TEST, Value, counts_steps, judge, kind_of_answers, measured
from allometry.flow import End, Refusal
from allometry.record.status import read_experiment
from allometry.record.store import Folder, write_text
from allometry.report.numbers import plain


def write_experiment(folder: Path, out: Path | None = None) -> tuple[dict[str, Any], Path]:
    """Draw the page of the experiment in `folder` and return what it shows, and where it is (default: report.html there)."""
    from allometry.report.experiment_page import render_experiment

    bundle = experiment_bundle(folder)
    page = out or folder / "report.html"
    write_text(page, render_experiment(bundle))
    return bundle, page


def experiment_bundle(folder: Path) -> dict[str, Any]:
    """All that the page shows, as plain JSON.

    The keys of `experiment.json`, with `about` as paragraphs; for each arm its `outcomes`, one for each seed; for each expectation
    the verdict with what it rests on (fit/arms.py).
    """
    content = read_experiment(folder)
    store = Folder(folder)
    seeds = content.get("seeds") or []
    arms = [arm | {"outcomes": _outcomes(store, arm, seeds)} for arm in content.get("arms") or []]
    by_name = {arm["name"]: arm for arm in arms}
    paragraphs = (" ".join(text.split()) for text in str(content.get("about") or "").split("\n\n"))
    return plain(
        content
        | {
            "about": [text for text in paragraphs if text],
            "arms": arms,
            "expectations": [_judged(expected, by_name, store) for expected in content.get("expectations") or []],
        }
    )


def _outcomes(store: Folder, arm: Mapping[str, Any], seeds: list[int]) -> list[dict[str, Any]]:
    """How each run of an arm went: status (missing, begun, done, diverged, failed), loss, tests, steps, time and curve.

    Where a test is drawn, and what is known of its task, is that of the list of arms, which may be younger than the run.
    """
    outcomes = []
    listed = {test["name"]: test for test in arm.get("tests") or []}
    for place, run in enumerate(arm.get("runs") or []):
        end, points = store.end(run), list(store.points(run))
        facts = end.facts if end else {}
        half = measured(HALF_CHANCE, end, points, arm["chance"])
        asked = (store.run_folder(run) / "asked.json").exists()
        outcomes.append(
            {
                "run": run,
                "seed": seeds[place] if place < len(seeds) else place,
                "status": end.status if end else "begun" if points or asked else "missing",
                "reason": end.reason if end else "",
                "loss": end.loss if end else None,
                "standard_error": facts.get("standard_error"),
                "sequences": facts.get("sequences"),
                "accuracy": facts.get("accuracy"),
                "solved": facts.get("solved"),
                "tests": [test | listed.get(test["name"], {}) for test in facts.get("tests") or []],
                "time_scales": facts.get("time_scales") or {},
                "half_chance": _value(half) if half else None,
                "steps": facts.get("steps") or (points[-1].step if points else 0),
                "seconds": end.seconds if end else points[-1].seconds if points else 0.0,
                "wall_seconds": facts.get("wall_seconds"),
                "curve": {"step": [p.step for p in points], "loss": [p.loss for p in points]},
            }
            | ({"rollout": facts["rollout"]} if "rollout" in facts else {})  # without a number it flew off
        )
    return outcomes


def _judged(expected: Mapping[str, Any], arms: Mapping[str, Mapping[str, Any]], store: Folder) -> dict[str, Any]:
    """An expectation with its verdict, the values on both sides, and what is short on either."""
    arm = _find(arms, expected["arm"], expected)
    measure, name = expected["measure"], expected.get("against") or ""
    values, lacking = _side(arm, measure, store, arms)
    level, others, lacking_others = None, [], []
    if name:
        others, lacking_others = _side(_find(arms, name, expected), measure, store, arms)
    else:
        level = _level(arm, measure)
    if not name and level is None:  # a test that no run has been scored on
        verdict = judge([], 1.0, at_most=1.0)
    else:
        bounds = {"at_most": expected.get("at_most"), "at_least": expected.get("at_least")}
        verdict = judge(values, others if level is None else level, **bounds)
    return dict(expected) | {
        "verdict": verdict.verdict,
        "reason": verdict.reason,
        "pairs": verdict.pairs,
        "fulfilled": verdict.fulfilled,
        "violated": verdict.violated,
        "ratio": verdict.ratio,
        "bound": verdict.bound,
        "low": verdict.low,
        "high": verdict.high,
        "values": [_value(value) for value in values],
        "others": [_value(value) for value in others],
        "level": level,
        "unit": _unit(measure, arm),
        "lacking": [*lacking, *lacking_others],
    }


def _find(arms: Mapping[str, Mapping[str, Any]], name: str, expected: Mapping[str, Any]) -> Mapping[str, Any]:
    if name not in arms:
        raise Refusal(
            f"The expectation {expected.get('text')!r} names the arm {name!r}, which is not one of: {', '.join(arms)}."
        )
    return arms[name]


def _side(
    arm: Mapping[str, Any], measure: str, store: Folder, arms: Mapping[str, Mapping[str, Any]]
) -> tuple[list[Value], list[str]]:
    """The values of an arm's seeds, and in words which seeds have none."""
    values: list[Value] = []
    lacking: dict[str, list[str]] = {}
    parents = arms[arm["parent"]]["runs"] if arm.get("parent") in arms else []
    for place, outcome in enumerate(arm["outcomes"]):
        end: End | None = store.end(outcome["run"])
        points = store.points(outcome["run"]) if counts_steps(measure) else []
        parent = store.end(parents[place]) if place < len(parents) else None
        value = measured(measure, end, points, arm["chance"], parent, arm["steps"])
        if value is not None:
            values.append(value)
        else:
            why = {"missing": "not begun", "begun": "not ended", "done": "has nothing to measure"}.get(
                outcome["status"], "failed"
            )
            lacking.setdefault(why, []).append(str(outcome["seed"]))
    words = [f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(seeds)} {why}" for why, seeds in lacking.items()]
    return values, [f"{arm['name']}: {'; '.join(words)}"] if words else []


def _level(arm: Mapping[str, Any], measure: str) -> float | None:
    """What an arm is held against where no other is named: chance, of the test where it is one; its steps for a count of steps."""
    if counts_steps(measure):
        return float(arm["steps"])
    if measure.startswith(RECOVERED) or kind_of_answers(measure):
        return 1.0
    if measure.startswith(TEST):
        tests = (test for outcome in arm["outcomes"] for test in outcome["tests"])
        return next((float(test["chance"]) for test in tests if test["name"] == measure.removeprefix(TEST)), None)
    return float(arm["chance"])


def _unit(measure: str, arm: Mapping[str, Any]) -> str:
    if counts_steps(measure):
        return "steps"
    return "" if kind_of_answers(measure) or measure.startswith(RECOVERED) else str(arm.get("unit", ""))


def _value(value: Value) -> dict[str, Any]:
    """A value as JSON: `value` is None where the run diverged."""
    return {
        "value": value.value if math.isfinite(value.value) else None,
        "beyond": value.beyond,
        "within": value.within,
    }
