"""The page of an experiment: what was expected and whether it holds, then the figures, every arm, and how it was made."""

from collections import Counter
from typing import Any

from allometry.fit.arms import RECOVERED, TEST, counts_steps, kind_of_answers, share_of
from allometry.report.experiment_strip import claim_strip
from allometry.report.experiment_tables import (
    arm_tables,
    extremes,
    interval,
    lost_table,
    seconds,
    steps,
    test_table,
    trained_table,
)
from allometry.report.figures._trivial import told
from allometry.report.figures.along import along_figures
from allometry.report.figures.beyond import beyond_figures
from allometry.report.figures.by_test import rollout_figures, world_figures
from allometry.report.figures.clocks import clock_figures
from allometry.report.figures.doses import dose_figures
from allometry.report.figures.learning import learning_figures
from allometry.report.figures.speeds import speed_figures
from allometry.report.numbers import brief, duration, number, plain, scientific
from allometry.report.page import draw
from allometry.report.palette import marks

LEDE = 400  # letters of a first paragraph that may stand under the title
SIGNS = {"holds": "✓", "refuted": "✕", "cannot tell": "?"}
NAMES = {
    "error": "share of wrong answers",
    "solved": "share of graphs solved",
    "unsolved": "share of graphs not solved",
    "rollout": "error of a rollout",
}
ENDINGS = {"done": "done", "diverged": "diverged", "failed": "failed", "begun": "not ended", "missing": "not begun"}


def render_experiment(bundle: dict[str, Any]) -> str:
    """Write the page of an experiment (`report.experiment.experiment_bundle`) as one HTML text."""
    bundle = plain(bundle)
    arms, expected = bundle["arms"], bundle["expectations"]
    known = marks(str(arm["line"]) for arm in arms)
    counts = Counter(outcome["status"] for arm in arms for outcome in arm["outcomes"])
    return draw(
        "experiment.html",
        bundle.get("title") or "Experiment",
        {
            "doses": dose_figures(arms, known),
            "speeds": speed_figures(arms, known),
            "learning": learning_figures(arms, known),
            "beyond": beyond_figures(arms, known),
            "along": along_figures(arms),
            "worlds": world_figures(arms, known),
            "rollouts": rollout_figures(arms, known),
            "clocks": clock_figures(arms, known),
        },
        known,
        about=bundle["about"],
        lede=next((text for text in bundle["about"][:1] if len(text) <= LEDE), ""),
        claims=[_claim(one, {arm["name"]: str(arm["line"]) for arm in arms}) for one in expected],
        tally=tally(expected),
        state=_state(counts),
        players=told([*(test for arm in arms for outcome in arm["outcomes"] for test in outcome["tests"]), *arms]),
        solved=any(outcome["solved"] is not None for arm in arms for outcome in arm["outcomes"]),
        unfinished=counts["begun"] + counts["missing"],
        total=counts.total(),
        grids=arm_tables(arms),
        tests=test_table(arms),
        trained=trained_table(arms),
        lost=lost_table(arms),
        facts=_facts(bundle),
    )


def verdict_lines(bundle: dict[str, Any]) -> list[str]:
    """The verdicts for the terminal: how many hold, then each claim with what was measured."""
    lines = [tally(bundle["expectations"])]
    for one in (_claim(expected, {}) for expected in bundle["expectations"]):
        sizes = f"; ratio {one['ratio']} {one['interval']}".rstrip() if one["ratio"] else ""
        lines.append(f"  {one['sign']} {one['text']}: {one['verdict']} ({one['ours']} against {one['theirs']}{sizes})")
    return lines


def tally(expected: list[dict[str, Any]]) -> str:
    """The verdicts in one sentence.

    >>> tally([{"verdict": "holds"}, {"verdict": "holds"}, {"verdict": "cannot tell"}])
    '2 of 3 expectations hold, none is refuted, 1 cannot be told.'
    """
    if not expected:
        return "Nothing was expected beforehand: the figures are all there is."
    found = Counter(one["verdict"] for one in expected)
    holds, refuted, untold = (found[verdict] for verdict in SIGNS)
    if len(expected) == 1:
        words = ("holds", "is refuted", "cannot be told from these runs")
        return f"The expectation {words[list(SIGNS).index(expected[0]['verdict'])]}."
    if untold == len(expected):
        return f"None of {untold} expectations can be told from these runs."
    if holds == len(expected):
        return f"All {holds} expectations hold."
    told = f"{holds or 'None'} of {len(expected)} expectations {'holds' if holds < 2 else 'hold'}"
    told += f", {refuted or 'none'} {'is' if refuted < 2 else 'are'} refuted"
    return f"{told}, {untold} cannot be told." if untold else f"{told}."


def _claim(one: dict[str, Any], lines: dict[str, str]) -> dict[str, Any]:
    """An expectation in words: what was asked, what was measured, and the verdict with its reason."""
    measure, unit = one["measure"], one["unit"]
    written = steps if counts_steps(measure) else _loss
    ours = _values(one["values"], written)
    if one["against"]:
        theirs, other = _values(one["others"], written), str(one["against"])
    else:
        theirs = (
            "–" if one["level"] is None else steps(_exact(one["level"])) if counts_steps(measure) else number(one["level"])
        )
        other = "the steps it was given" if counts_steps(measure) else _whole(measure)
    bounds = [
        f"{word} {brief(one[key])}" for key, word in (("at_most", "at most"), ("at_least", "at least")) if one.get(key)
    ]
    name = _name(measure)
    return {
        "text": one["text"],
        "paper": one.get("paper") or "",
        "verdict": one["verdict"],
        "sign": SIGNS[one["verdict"]],
        "kind": one["verdict"].replace(" ", "-"),
        "strip": claim_strip(one),
        "lines": [lines.get(one["arm"], ""), lines.get(str(one["against"]), "")],
        "arm": one["arm"],
        "other": other,
        "ours": ours,
        "theirs": theirs,
        "unit": "" if counts_steps(measure) or not one["values"] else unit,
        "ratio": f"{one['bound'] + ' ' if one['bound'] else ''}{number(one['ratio'], 2)}"
        if one["ratio"] is not None
        else "",
        "interval": interval(one["low"], one["high"]),
        "asked": f"{name} {' and '.join(bounds)} × {'that of ' * bool(one['against'])}{other}",
        "pairs": _pairs(one),
        "lacking": one["lacking"],
    }


def _whole(measure: str) -> str:
    """What a measure that is no count is held against where no other arm is named."""
    if kind_of_answers(measure) == "rollout":
        return "persistence in one step"
    return "all" if measure.startswith(RECOVERED) or kind_of_answers(measure) else "chance"


def _name(measure: str) -> str:
    """What a measure is, in words."""
    if measure.startswith(RECOVERED):
        return f"share that came back of what {measure.removeprefix(RECOVERED)} cost the trained network"
    if measure.startswith(TEST):
        return f"loss in the test {measure.removeprefix(TEST)}"
    if counts_steps(measure):
        return f"step at which the training loss is {brief(share_of(measure))} of chance"
    if kind := kind_of_answers(measure):
        return NAMES[kind] + (f" in the test {measure.removeprefix(kind + ':')}" if measure != kind else "")
    return "held-out loss"


def _pairs(one: dict[str, Any]) -> str:
    """What the verdict rests on."""
    if not one["pairs"]:
        return one["reason"]
    things = "pairs of seeds" if one["against"] else "seeds"
    if one["verdict"] == "holds":
        return f"all {one['pairs']} {things} fulfil it"
    if one["verdict"] == "refuted":
        return f"all {one['pairs']} {things} violate it"
    return f"{one['fulfilled']} of {one['pairs']} {things} fulfil it, {one['violated']} violate it: {one['reason']}"


def _values(values: list[dict[str, Any]], written: Any) -> str:
    """The seeds of a side, each with its number: three are few enough to name."""
    order = sorted(values, key=lambda v: (v["value"] is None, v["beyond"], v["value"] or 0))
    texts = [written(value) for value in order]
    if not texts:
        return "no run has ended"
    if len(set(texts)) == 1:
        return texts[0] if len(texts) == 1 else f"{texts[0]} in all {len(texts)} seeds"
    if len(texts) <= 4:
        return ", ".join(texts)
    return f"{texts[0]} to {texts[-1]} in {len(texts)} seeds"


def _loss(value: dict[str, Any]) -> str:
    if value["value"] is None:
        return "diverged"
    return f"{number(value['value'])} or less" if value.get("within") else number(value["value"])


def _exact(value: float) -> dict[str, Any]:
    return {"value": value, "beyond": False}


def _state(counts: Counter[str]) -> str:
    """How far the experiment is, in words."""
    return (
        ", ".join(f"{counts[status]} {words}" for status, words in ENDINGS.items() if counts[status]) or "no run was asked"
    )


def _facts(bundle: dict[str, Any]) -> list[tuple[str, str]]:
    """How it was made."""
    arms = bundle["arms"]
    runs = [(arm, outcome) for arm in arms for outcome in arm["outcomes"]]
    numbers = [float(value) for value in bundle.get("seeds") or []]
    flops = sum((arm.get("flops_per_step") or 0) * (outcome["steps"] or 0) for arm, outcome in runs)
    ended = sum(outcome["status"] not in ("missing", "begun") for _, outcome in runs)
    found = [
        ("device", str(bundle.get("device") or "")),
        ("arms", str(len(arms))),
        ("seeds", ", ".join(f"{value:g}" for value in numbers)),
        ("runs", f"{ended} of {len(runs)} ended"),
        ("steps asked", _span([arm.get("steps") for arm in arms])),
        ("sequences a step", _span([arm.get("batch") for arm in arms])),
        ("parameters", _span([arm.get("N") for arm in arms])),
        ("time of all runs", duration(total) if (total := sum(seconds(outcome) for _, outcome in runs)) else ""),
        ("training compute", f"{scientific(flops)} FLOPs" if flops else ""),
    ]
    return [(name, text) for name, text in found if text]


def _span(values: list[float | None]) -> str:
    known = sorted({float(value) for value in values if value is not None})
    if len(known) <= 3:
        return ", ".join(brief(value, 5) for value in known)
    return extremes(known)
