"""The page of an experiment: verdicts first, every run told of, no number made up; hostile names; in a browser."""

import json
import math
import shutil
import time
from pathlib import Path
from typing import Any

import experiment_folder
import pytest
from experiment_folder import arm, expectation, write
from plotly.offline import get_plotlyjs
from test_report_page import Reader

from allometry.flow import Refusal
from allometry.record.store import Folder
from allometry.report.experiment import experiment_bundle, write_experiment
from allometry.report.experiment_page import render_experiment
from allometry.report.experiment_strip import WIDTH, claim_strip
from allometry.report.figures._arms import dose_axis
from allometry.report.figures.beyond import beyond_figures
from allometry.report.figures.clocks import clock_figures, scales
from allometry.report.figures.doses import dose_figures
from allometry.report.figures.learning import POINTS, learning_figures
from allometry.report.figures.speeds import speed_figures
from allometry.report.palette import marks

HOSTILE = "<script>alert(1)</script>&<b>bold</b>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return experiment_folder.paper(tmp_path_factory.mktemp("experiment"))


@pytest.fixture(scope="module")
def bundle(folder: Path) -> dict[str, Any]:
    return experiment_bundle(folder)


def known(bundle: dict[str, Any]) -> Any:
    return marks(one["line"] for one in bundle["arms"])


def page(folder: Path) -> Reader:
    """The page of a folder as a browser would read it; the same checks for every page."""
    _, path = write_experiment(folder)
    read = Reader(path.read_text().replace(get_plotlyjs(), ""))
    for word in ("nan", "None", "undefined", "null", "inf"):
        assert word not in read.text.split()
    json.loads(read.data, parse_constant=lambda name: pytest.fail(f"{name} in the data of the figures"))
    ids = {a.get("id") for _, a in read.tags}
    for tag, attributes in read.tags:
        assert "src" not in attributes, tag
        href = attributes.get("href") or "data:"
        assert href.startswith("data:") or href.removeprefix("#") in ids, href
    return read


def test_verdicts_stand_before_every_figure(folder, bundle):
    read = page(folder)
    places = [read.text.index(one["text"]) for one in bundle["expectations"]]
    assert places == sorted(places)
    assert read.text.index("expectations hold") < places[0]
    assert places[-1] < read.text.index("Loss after training") < read.text.index("Learning curves")
    for one in bundle["expectations"]:
        assert one["verdict"] in read.text
        assert one["paper"] in read.text
    assert read.text.count("1 of 20") == 1
    assert all(paragraph in read.text for paragraph in bundle["about"])
    assert len(bundle["about"]) == 3


def test_every_arm_and_every_lost_run_is_told_of(folder):
    read = page(folder)
    assert "87 runs: 83 done, 1 diverged, 1 failed, 1 not ended, 1 not begun" in read.text
    assert "2 of 87 runs have not ended" in read.text
    for words in ("loss is not finite", "out of memory", "not begun", "the same network on plain sequences"):
        assert words in read.text


def test_a_test_that_could_not_be_made_stands_on_the_page_with_its_reason(tmp_path) -> None:
    where = write(tmp_path, [arm("warping", "gated", None)], seeds=(0, 1), tests=(400.0,))
    before, reason = page(where).text, "Refusal: A graph of 12 nodes was given"
    end = Folder(where).run_folder(experiment_bundle(where)["arms"][0]["runs"][0]) / "end.json"
    content = json.loads(end.read_text())
    content["facts"]["tests"][0] |= {"loss": None, "reason": reason}
    end.write_text(json.dumps(content))
    assert reason not in before
    assert reason in page(where).text


def test_numbers_are_those_of_the_runs(folder, bundle):
    store = Folder(folder)
    for one in bundle["arms"]:
        for run, outcome in zip(one["runs"], one["outcomes"], strict=True):
            end = store.end(run)
            assert outcome["loss"] == (end.loss if end else None)
            assert outcome["status"] == (end.status if end else outcome["status"])
            points = list(store.points(run))
            reached = [p.step for p in points if p.loss <= one["chance"] / 2]
            if end and end.status == "done":
                wanted = (reached[0], False) if reached else (points[-1].step, True)
                assert (outcome["half_chance"]["value"], outcome["half_chance"]["beyond"]) == wanted


def test_a_verdict_on_too_few_runs_names_those_that_lack(bundle):
    last = bundle["expectations"][-1]
    assert last["verdict"] == "cannot tell"
    assert last["lacking"] == ["chrono, copying 2000: seed 2 not begun"]


@pytest.mark.parametrize(
    ("expected", "level"),
    [({"measure": "loss"}, math.log(8)), ({"measure": "half_chance"}, 4000), ({"measure": "test:warp 20"}, math.log(8))],
)
def test_without_another_arm_chance_is_the_level_or_the_steps_of_a_count_of_steps(tmp_path, expected, level):
    one = arm("p", "gated", 10.0)
    write(tmp_path, [one], [expectation("it learns", one["name"], **expected)], floors={one["name"]: 0.01}, tests=[20.0])
    found = experiment_bundle(tmp_path)["expectations"][0]
    assert found["level"] == pytest.approx(level)
    assert found["verdict"] in ("holds", "cannot tell", "refuted")
    page(tmp_path)


def test_doses_are_drawn_with_the_seeds_their_mean_and_chance(bundle):
    figures = dose_figures(bundle["arms"], known(bundle))
    assert [figure.title for figure in figures] == ["uniform warping", "variable warping", "copying"]
    for figure in figures:
        for mark in figure.legend:
            own = [
                a for a in bundle["arms"] if a["panel"] == figure.title and a["line"] == mark.label and a["at"] is not None
            ]
            traces = [t for t in figure.traces if t["meta"].get("group") == mark.group and t["mode"] == "lines+markers"]
            for trace in traces:
                losses = {a["at"]: [o["loss"] for o in a["outcomes"] if o["loss"] is not None] for a in own}
                assert trace["y"] == pytest.approx([sum(losses[x]) / len(losses[x]) for x in trace["x"]])
        low, high = figure.layout["yaxis"]["range"]
        chance = [a["chance"] for a in bundle["arms"] if a["panel"] == figure.title]
        assert all(low < math.log10(level) < high for level in chance)
    assert figures[0].layout["yaxis"]["range"] == figures[1].layout["yaxis"]["range"]  # to be compared by eye
    crosses = [t for figure in figures for t in figure.traces if t.get("marker", {}).get("symbol") == "x"]
    assert sum(len(t["x"]) for t in crosses) == 1


def test_learning_curves_hold_every_seed_and_their_median(bundle):
    figures = learning_figures(bundle["arms"], known(bundle))
    assert len(figures) == 4
    for figure in figures:
        for traces in [view.after for view in figure.views] or [figure.traces]:
            curves = [t for t in traces if t["mode"] == "lines" and "group" in t["meta"]]
            for group in {t["meta"]["group"] for t in curves}:
                own = [t for t in curves if t["meta"]["group"] == group]
                faint = [t for t in own if "opacity" in t]
                strong = [t for t in own if "opacity" not in t]
                if any("failed" in t["hovertemplate"] for t in faint):
                    continue  # no part of the median
                assert len(strong) == 1
                assert len(faint) in (2, 3)
                for step, y in zip(strong[0]["x"], strong[0]["y"], strict=True):
                    beside = [t["y"][t["x"].index(step)] for t in faint if step in t["x"]]
                    if len(beside) == 3:
                        assert y == pytest.approx(sorted(beside)[1])


def test_the_median_keeps_a_solved_run_and_counts_a_diverged_one_as_worst(tmp_path):
    one = arm("p", "gated", None)
    write(tmp_path, [one], endings={one["name"]: ["done", "diverged", "diverged"]}, floors={one["name"]: 0.1})
    bundle = experiment_bundle(tmp_path)
    strong = next(
        t for t in learning_figures(bundle["arms"], known(bundle))[0].traces if t.get("line", {}).get("width") == 2.2
    )
    ended = max(o["steps"] for o in bundle["arms"][0]["outcomes"] if o["status"] == "diverged")
    for step, loss in zip(strong["x"], strong["y"], strict=True):
        assert (loss is None) == (step > ended)
    solved = bundle["arms"][0]["outcomes"][0]
    for outcome in bundle["arms"][0]["outcomes"]:
        outcome["status"] = "done"
        outcome["curve"] = {"step": [100, 200, 300], "loss": [2.0, 1.0, 1.0]}
    solved["curve"] = {"step": [100], "loss": [0.1]}  # stopped early
    strong = next(
        t for t in learning_figures(bundle["arms"], known(bundle))[0].traces if t.get("line", {}).get("width") == 2.2
    )
    assert strong["y"] == [2.0, 1.0, 1.0]


def test_a_few_arms_are_drawn_together_with_their_doses_and_doses_not_begun_are_left_out(tmp_path):
    arms = [arm("p", "gated", at) for at in (1.0, 10.0, 100.0, 1000.0)] + [arm("p", "tuned", None)]
    write(tmp_path, arms, endings={arms[3]["name"]: ["missing"] * 3})
    bundle = experiment_bundle(tmp_path)
    figure = learning_figures(bundle["arms"], known(bundle))[0]
    assert [view.label for view in figure.views] == ["all", "100 steps", "10 steps", "1 steps"]
    lines = [t for t in figure.views[0].after if t["mode"] == "lines" and "group" in t["meta"]]
    assert len(lines) == 4
    shades = [t["opacity"] for t in lines if "opacity" in t]
    assert shades == sorted(shades)
    named = [t["text"][0].strip() for t in figure.views[0].after if t["mode"] == "text"]
    assert [text for text in named if text != "chance"] == ["1", "10", "100"]


def test_a_long_curve_is_thinned_and_keeps_its_ends_and_its_mean(tmp_path):
    one = arm("p", "gated", None)
    write(tmp_path, [one], points=1000)
    bundle = experiment_bundle(tmp_path)
    curves = [t for t in learning_figures(bundle["arms"], known(bundle))[0].traces if "opacity" in t]
    assert len(curves) == 3
    for trace, outcome in zip(curves, bundle["arms"][0]["outcomes"], strict=True):
        assert 100 < len(trace["x"]) <= POINTS
        assert trace["x"][-1] == outcome["steps"]
        assert sum(trace["y"]) / len(trace["y"]) == pytest.approx(sum(outcome["curve"]["loss"]) / 1000, rel=0.02)


def test_doses_are_spaced_evenly():
    for at, kind in (
        ([10, 20, 40, 60, 80, 100], "linear"),
        ([1e-4, 3e-4, 1e-3], "log"),
        ([7.0], "linear"),
        ([75, 750, 7500], "log"),
        ([0, 1], "linear"),
    ):
        assert dose_axis("dose", [float(value) for value in at])["type"] == kind


def test_tests_are_drawn_with_the_place_of_training_ringed(bundle):
    figures = beyond_figures(bundle["arms"], known(bundle))
    figure = next(f for f in figures if f.title == "variable warping")
    assert [view.label for view in figure.views] == [f"{at:g} steps" for at in reversed(experiment_folder.DOSES)]
    for view in figure.views:
        ringed = [t for t in view.after if t.get("marker", {}).get("line", {}).get("color") == "@ink"]
        assert {t["x"][0] for t in ringed} == {float(view.key)}
        means = {t["meta"]["group"]: t for t in view.after if t["mode"] == "lines+markers"}
        for t in ringed:  # the line passes through what it was trained on, or was tested there
            assert t["x"][0] in means[t["meta"]["group"]]["x"]


def figure_texts(figures: Any) -> list[str]:
    """All texts of the figures that plotly draws; the labels of views stand in HTML, where they are escaped."""
    if isinstance(figures, dict):
        return [text for key, item in figures.items() if key != "label" for text in figure_texts(item)]
    if isinstance(figures, list):
        return [text for item in figures for text in figure_texts(item)]
    return [figures] if isinstance(figures, str) else []


CASES: dict[str, Any] = {
    "no expectation": {},
    "one seed": {"seeds": [7]},
    "nothing begun": {"endings": ["missing"] * 3},
    "all begun": {"endings": ["begun"] * 3},
    "all failed": {"endings": ["failed"] * 3},
    "all diverged": {"endings": ["diverged"] * 3},
    "no point": {"points": 0},
    "one point": {"points": 1},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("at", [None, 10.0])
def test_any_state_of_an_experiment_has_a_page(tmp_path, case, at):
    arms = [arm("p", "gated", at), arm("p", "tuned", at), arm("p", "tuned", 20.0)]
    options = dict(CASES[case])
    if "endings" in options:
        options["endings"] = {one["name"]: options["endings"] for one in arms}
    claims = [] if case == "no expectation" else [expectation("solved", arms[0]["name"], arms[1]["name"])]
    write(tmp_path, arms, claims, tests=[40.0], **options)
    read = page(tmp_path)
    if claims:
        assert "cannot be told" in read.text or case in ("no point", "one point", "all diverged")
    if case == "one seed":
        assert "fewer than 3 runs on a side have a value" in read.text


def test_an_empty_list_of_arms_has_a_page(tmp_path):
    assert "No arm is listed" in page(write(tmp_path, [])).text


def test_a_line_without_a_dose_lies_over_all_doses(bundle):
    figure = next(f for f in dose_figures(bundle["arms"], known(bundle)) if f.title == "variable warping")
    group = known(bundle)["gated, not warped"].index
    level = next(t for t in figure.traces if t["meta"].get("group") == group and t["mode"] == "lines" and "fill" not in t)
    assert level["x"] == [min(experiment_folder.DOSES), max(experiment_folder.DOSES)]
    assert level["y"][0] == level["y"][1]


def test_hostile_names_are_shown_and_never_run(tmp_path):
    words = {"axis": f"{HOSTILE}, {HOSTILE}", "unit": HOSTILE, "note": HOSTILE}
    arms = [arm(HOSTILE, line, at, **words) for line in (HOSTILE, "plain") for at in (1.0, 2.0)]
    claim = expectation(HOSTILE, arms[0]["name"], arms[2]["name"], paper=HOSTILE)
    write(tmp_path, arms, [claim], title=HOSTILE, about=HOSTILE, tests=[3.0])
    read = page(tmp_path)
    assert read.text.count(HOSTILE) > 10
    assert [a for tag, a in read.tags if tag == "script"] == [{}, {"type": "application/json", "id": "data"}, {}]
    for view in figure_texts(json.loads(read.data)["figures"]):
        assert "<script" not in view  # plotly reads a little HTML in labels
    plain = Path(str(tmp_path / "experiment.json"))
    plain.write_text(plain.read_text().replace(json.dumps(HOSTILE)[1:-1], "word"))
    assert [tag for tag, _ in page(tmp_path).tags] == [tag for tag, _ in read.tags]


def test_an_expectation_of_no_arm_is_refused_with_those_that_are(tmp_path):
    one = arm("p", "gated", None)
    write(tmp_path, [one], [expectation("solved", "gatd, p")])
    with pytest.raises(Refusal, match="which is not one of: gated, p"):
        experiment_bundle(tmp_path)
    with pytest.raises(Refusal, match=r"no experiment\.json"):
        experiment_bundle(tmp_path / "elsewhere")


@pytest.mark.parametrize("bounds", [{"at_most": 0.5}, {"at_most": None, "at_least": 0.5}])
@pytest.mark.parametrize("floor", [0.1, 0.3, 0.9])
def test_the_drawing_of_a_claim_agrees_with_its_verdict(tmp_path, bounds, floor):
    arms = [arm("p", "gated", None), arm("p", "tuned", None)]
    write(tmp_path, arms, [expectation("t", arms[0]["name"], arms[1]["name"], **bounds)], floors={arms[0]["name"]: floor})
    one = experiment_bundle(tmp_path)["expectations"][0]
    strip = claim_strip(one)
    assert strip
    zones = {kind: (start, end) for kind, start, end in strip["zones"]}
    inside = {
        kind: all(zones[kind][0] <= x <= zones[kind][1] for x, _ in strip["rows"][0])
        for kind in ("good", "bad")
        if kind in zones
    }
    assert {"holds": (True, False), "refuted": (False, True)}.get(one["verdict"], (False, False)) == (
        inside.get("good", False),
        inside.get("bad", False),
    )
    assert all(0 <= x <= WIDTH for row in strip["rows"] for x, _ in row)
    places = [x for x, _ in strip["ticks"]]
    assert places == sorted(places)
    assert 1 <= len(places) <= 6


def test_the_page_works_in_a_browser(folder, tmp_path):
    program = shutil.which("chromium") or "/usr/bin/chromium"
    if not Path(program).exists():
        pytest.skip("needs Chromium, which is not installed")
    sync = pytest.importorskip("playwright.sync_api")
    place = tmp_path / "report.html"
    place.write_text(render_experiment(experiment_bundle(folder)))
    trouble: list[str] = []
    with sync.sync_playwright() as driver:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = driver.chromium.launch(executable_path=program, args=options)
        shown = browser.new_page(viewport={"width": 1180, "height": 900}, color_scheme="dark")
        shown.set_default_timeout(120_000)  # the machine may be busy
        shown.on("console", lambda message: trouble.append(message.text) if message.type in ("error", "warning") else None)
        shown.on("pageerror", lambda error: trouble.append(str(error)))
        shown.on("request", lambda request: None if request.url == place.as_uri() else trouble.append(request.url))
        shown.goto(place.as_uri())
        ticks = [text.text_content() for text in shown.locator("#figure-doses-0 .xtick text").all()]
        assert ticks == [f"{at:g}" for at in experiment_folder.DOSES]
        lines = "#figure-learning-0 .js-line"
        before = [line.get_attribute("d") for line in shown.locator(lines).all()]
        shown.select_option("#figure-learning-0 [data-control=view]", "10")
        after = [line.get_attribute("d") for line in shown.locator(lines).all()]
        assert before != after
        shown.locator("#figure-learning-0 .legend button").first.click()
        assert len(shown.locator(lines).all()) < len(after)
        shown.set_viewport_size({"width": 400, "height": 900})
        deadline = (
            time.monotonic() + 30
        )  # the figures follow the window; the page's own policy forbids to wait by a predicate
        while (width := shown.evaluate("() => document.documentElement.scrollWidth")) > 400 and time.monotonic() < deadline:
            shown.wait_for_timeout(30)
        assert width <= 400
        wide = "all => all.filter(e => e.getBoundingClientRect().right > 401).length"
        assert shown.eval_on_selector_all("main > section > *, .claim *, .main-svg", wide) == 0
        browser.close()
    assert trouble == []


def test_speeds_are_the_first_steps_at_half_of_chance_and_runs_that_did_not_get_there_stand_apart(tmp_path) -> None:
    bundle = experiment_bundle(experiment_folder.paper(tmp_path))
    figures = speed_figures(bundle["arms"], known(bundle))
    assert figures
    for figure in figures:
        arms = [one for one in bundle["arms"] if one["panel"] == figure.title]
        halves = [(one["at"], o["half_chance"]) for one in arms for o in one["outcomes"] if o["half_chance"]]
        drawn = {True: 2, False: 1}  # a line without a dose goes from the first to the last
        reached = sorted(
            half["value"]
            for at, half in halves
            if half["value"] is not None and not half["beyond"]
            for _ in range(drawn[at is None])
        )
        beyond = sorted(half["value"] for _, half in halves if half["beyond"])
        dots = [t for t in figure.traces if t.get("mode") == "markers" and t["marker"]["symbol"] != "triangle-up-open"]
        open_ones = [t for t in figure.traces if t.get("mode") == "markers" and t["marker"]["symbol"] == "triangle-up-open"]
        assert sorted(y for t in dots for y in t["y"]) == reached
        assert sorted(y for t in open_ones for y in t["y"]) == beyond
        assert bool(figure.caption) == bool(beyond)


def test_time_scales_of_all_seeds_are_drawn_as_shares_before_and_after_training(bundle) -> None:
    figures = clock_figures(bundle["arms"], known(bundle))
    assert figures
    for figure in figures:
        arms = [one for one in bundle["arms"] if one["panel"] == figure.title and scales(one, "end")]
        assert len(figure.traces) == 2 * len(arms)
        for trace in figure.traces:
            assert trace["y"] == sorted(trace["y"])
            assert trace["y"][-1] == 1.0
        drawn = sorted(x for trace in figure.traces for x in trace["x"])
        read = sorted(
            scale
            for one in arms
            for outcome in one["outcomes"]
            for gates in outcome["time_scales"].values()
            for units in gates.values()
            for scale in units
        )
        assert drawn == read
        assert {key.label for key in figure.legend} == {one["line"] for one in arms}
