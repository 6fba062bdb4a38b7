"""Figures of experiments on graphs: shares in place of the loss, tests along an axis of their own, rollouts."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from experiment_folder import arm, hash_of
from test_report_experiment import HOSTILE, figure_texts, known, page

from allometry.flow import End, Refusal
from allometry.record.store import Folder
from allometry.report.experiment import experiment_bundle
from allometry.report.figures.along import along_figures
from allometry.report.figures.beyond import beyond_figures
from allometry.report.figures.by_test import rollout_figures, world_figures
from allometry.report.figures.doses import dose_figures
from allometry.study.experiment import Arm, Experiment, OtherTask
from allometry.study.run_experiment import _asked, _runs, checked

FLOORS, ANSWERS, GRAPHS = {"correct": 0.8, "solved": 0.0}, 40.0, 500
SIZES, STEPS = (16, 32), (10, 20, 40)


def score(seed: int, size: float, steps: float = 20.0, wrong: float | None = None) -> dict[str, Any]:
    """A record of answers, the worse the larger the graph and the fewer the steps."""
    share = (1 + seed) * 1e-3 * size / steps if wrong is None else wrong
    return {"loss": 3 * share + 0.01, "accuracy": 1 - share, "solved": max(0.0, 1 - 9 * share), "sequences": GRAPHS}


def placed(size: int, steps: int, **more: Any) -> dict[str, Any]:
    """A test as the list of arms has it. Those with the steps of training stand on the axis of sizes too."""
    own = steps == 20
    words = {"name": f"{size} nodes, {steps} steps", "at": float(size) if own else None, "own_model": own}
    place = {"axis": "steps in the test", "along": float(steps), "line": f"{size} nodes"}
    return words | place | {"chance": 0.5, "floors": FLOORS, "answers": ANSWERS} | more


def folder_of(folder: Path, arms: list[dict[str, Any]], wrong: float | None = None) -> Path:
    """An experiment whose runs were recorded without the places of their tests, as those are that are older than these."""
    store = Folder(folder)
    for one in arms:
        one["runs"] = [f"{hash_of(one['name']):08x}{seed}" for seed in range(3)]
        for seed, run in enumerate(one["runs"]):
            tests = [
                {"name": t["name"], "at": t["at"], "chance": 0.5}
                | score(seed, float(t["name"].split()[0]), t["along"], wrong)
                for t in one["tests"]
            ]
            own = score(seed, one["at"], wrong=wrong)
            facts = {"steps": 4000, "wall_seconds": 1.0, "tests": tests} | own
            store.run_folder(run).mkdir(parents=True)
            store.finish(run, End(status="done", loss=facts.pop("loss"), seconds=1.0, facts=facts))
    content = {"kind": "experiment", "title": "Graphs", "about": "", "seeds": [0, 1, 2], "arms": arms, "expectations": []}
    (folder / "experiment.json").write_text(json.dumps(content))
    return folder


def two_lines(places: tuple[float, ...] = (8.0, 16.0), **more: Any) -> list[dict[str, Any]]:
    tests = [placed(size, steps) for size in SIZES for steps in STEPS]
    known_of = {"chance": 0.5, "floors": FLOORS, "answers": ANSWERS, "axis": "nodes", "tests": tests}
    return [arm("trees", line, at, **known_of | more) for line in ("ours", "theirs") for at in places]


def means(traces: list[dict[str, Any]], group: int) -> dict[float, float]:
    """The line of a group, by its places."""
    (line,) = [t for t in traces if t["meta"].get("group") == group and t["mode"] == "lines+markers"]
    return dict(zip(line["x"], line["y"], strict=True))


def average(values: Any) -> float:
    some = list(values)
    return sum(some) / len(some)


READ = {"wrong": lambda one: 1 - one["accuracy"], "solved": lambda one: one["solved"]}


def test_what_graphs_are_answered_is_drawn_in_place_of_their_loss(tmp_path) -> None:
    bundle = experiment_bundle(folder_of(tmp_path, two_lines()))
    marks = known(bundle)
    for figures in (dose_figures(bundle["arms"], marks), beyond_figures(bundle["arms"], marks)):
        assert [figure.title for figure in figures] == ["trees: wrong answers", "trees: graphs solved"]
        assert [figure.id.rsplit("-", 1)[1] for figure in figures] == list(READ)
        assert [figure.layout["yaxis"]["type"] for figure in figures] == ["log", "linear"]
    for figure, read in zip(dose_figures(bundle["arms"], marks), READ.values(), strict=True):
        for line, mark in marks.items():
            wanted = {a["at"]: average(map(read, a["outcomes"])) for a in bundle["arms"] if a["line"] == line}
            assert means(figure.traces, mark.index) == pytest.approx(wanted)
    for figure, read in zip(beyond_figures(bundle["arms"], marks), READ.values(), strict=True):
        for view in figure.views:
            for one in (a for a in bundle["arms"] if a["at"] == float(view.key)):
                tests = [test for o in one["outcomes"] for test in o["tests"]]
                wanted = {float(n): average(read(t) for t in tests if t["name"] == f"{n} nodes, 20 steps") for n in SIZES}
                if one["at"] not in wanted:
                    wanted[one["at"]] = average(map(read, one["outcomes"]))
                assert means(view.after, marks[one["line"]].index) == pytest.approx(wanted)


def test_what_the_more_frequent_answer_attains_is_a_line_where_it_is_known_and_is_not_nothing(tmp_path) -> None:
    arms = two_lines()
    arms[-1]["floors"] = {}
    bundle = experiment_bundle(folder_of(tmp_path, arms))
    wrong, solved = dose_figures(bundle["arms"], known(bundle))
    line = next(t for t in wrong.traces if t.get("hovertemplate", "").startswith("majority"))
    assert line["y"] == pytest.approx([0.2, 0.2])
    low, high = wrong.layout["yaxis"]["range"]
    assert low < math.log10(0.2) < high
    assert not any("majority" in str(trace) for trace in solved.traces)


@pytest.mark.parametrize(("copied", "level", "player"), [(0.9, 0.1, "copying"), (0.7, 0.2, "majority")])
def test_the_best_trivial_player_is_drawn_and_told_by_name(tmp_path, copied, level, player) -> None:
    floors = {"correct": 0.8, "copied": copied, "solved": 0.25}
    tests = [placed(size, steps, floors=floors) for size in SIZES for steps in STEPS]
    folder = folder_of(tmp_path, two_lines(floors=floors, tests=tests))
    bundle = experiment_bundle(folder)
    marks = known(bundle)
    for figures in (
        dose_figures(bundle["arms"], marks),
        beyond_figures(bundle["arms"], marks),
        along_figures(bundle["arms"]),
    ):
        for figure, wanted in zip(figures, (level, 0.25), strict=True):
            traces = [*figure.traces, *(trace for view in figure.views for trace in view.after)]
            dashed = [t for t in traces if t.get("line", {}).get("dash") == "dash"]
            assert dashed
            assert all(player in t["hovertemplate"] for t in dashed)
            assert all(y == pytest.approx(wanted) for t in dashed for y in t["y"])
    assert f"({player} " in page(folder).text


@pytest.mark.parametrize(("share", "level"), [(0.0, 1 / (GRAPHS * ANSWERS)), (1e-3, None)])
def test_no_wrong_answer_stands_where_one_among_all_would_and_is_told_as_none(tmp_path, share, level) -> None:
    bundle = experiment_bundle(folder_of(tmp_path, two_lines(), wrong=share))
    for figures in (dose_figures(bundle["arms"], known(bundle)), along_figures(bundle["arms"])):
        figure = figures[0]
        traces = [*figure.traces, *(trace for view in figure.views[:1] for trace in view.after)]
        dots = [y for t in traces if t["mode"] != "text" and t.get("line", {}).get("dash") != "dash" for y in t["y"]]
        assert dots == pytest.approx([level or share] * len(dots))
        assert bool(figure.caption) == (level is not None)
        low, high = figure.layout["yaxis"]["range"]
        assert low < math.log10(level or share) < high
        told = [text for t in traces for text in t.get("text", ()) if "seeds:" in text]
        assert told
        assert all(f"3 seeds: {'0 ' if level else '0.00100 '}" in text for text in told)


def test_a_zero_is_drawn_below_whatever_was_measured(tmp_path) -> None:
    arms = two_lines(answers=None, tests=[])  # not known how much is asked: one answer a graph would be 0.002
    bundle = experiment_bundle(folder_of(tmp_path, arms, wrong=1e-5))
    for outcome in bundle["arms"][0]["outcomes"]:
        outcome["accuracy"] = 1.0
    figure = dose_figures(bundle["arms"], known(bundle))[0]
    assert means(figure.traces, 0)[8.0] == pytest.approx(1e-5)


def test_tests_along_an_axis_have_a_figure_of_their_own_with_a_line_for_each_name(tmp_path) -> None:
    bundle = experiment_bundle(folder_of(tmp_path, two_lines((16.0,))))
    figures = along_figures(bundle["arms"])
    names = ("wrong answers", "graphs solved")
    assert [figure.title for figure in figures] == [f"trees, steps in the test: {name}" for name in names]
    for figure, read in zip(figures, READ.values(), strict=True):
        assert [view.label for view in figure.views] == [one["name"] for one in bundle["arms"]]
        assert [key.label for key in figure.legend] == [f"{size} nodes" for size in SIZES]
        assert figure.layout["xaxis"]["title"]["text"] == "Steps in the test"
        for view, one in zip(figure.views, bundle["arms"], strict=True):
            for key, size in zip(figure.legend, SIZES, strict=True):
                wanted = {
                    float(steps): average(
                        read(t) for o in one["outcomes"] for t in o["tests"] if t["name"] == f"{size} nodes, {steps} steps"
                    )
                    for steps in STEPS
                }
                assert means(view.after, key.group) == pytest.approx(wanted)
            rings = [t for t in view.after if t.get("marker", {}).get("line", {}).get("color") == "@ink"]
            assert {x for ring in rings for x in ring["x"]} == {20.0}  # the network as it was trained
    beyond = beyond_figures(bundle["arms"], known(bundle))[0]
    assert {x for t in beyond.traces if t["mode"] == "lines+markers" for x in t["x"]} == {float(size) for size in SIZES}


def test_where_a_test_stands_is_as_the_list_of_arms_says_and_without_one_as_it_was_recorded(tmp_path) -> None:
    arms = two_lines((16.0,), tests=[placed(16, 20)])
    folder = folder_of(tmp_path, arms)
    assert len(along_figures(experiment_bundle(folder)["arms"])) == 2
    for listed, place in (([placed(16, 20, at=24.0)], 24.0), ([], 16.0)):
        content = json.loads((folder / "experiment.json").read_text())
        for one in content["arms"]:
            one["tests"] = listed
        (folder / "experiment.json").write_text(json.dumps(content))
        bundle = experiment_bundle(folder)
        assert bool(along_figures(bundle["arms"])) == bool(listed)
        assert place in means(beyond_figures(bundle["arms"], known(bundle))[0].traces, 0)
        assert all(test["at"] == place for one in bundle["arms"] for o in one["outcomes"] for test in o["tests"])


def test_rollouts_of_every_seed_are_drawn_and_those_that_flew_off_are_crosses_above(tmp_path) -> None:
    arms = [arm("springs", line, None, chance=1.0, tests=[]) for line in ("exact", "loose")]
    bundle = experiment_bundle(folder_of(tmp_path, two_lines((16.0,))))
    assert rollout_figures(bundle["arms"], known(bundle)) == []
    drawn = {"exact": [0.01, 0.02, 0.03], "loose": [2.0, None, 4.0]}
    for one in arms:
        one["outcomes"] = [
            {"status": "done", "rollout": value, "tests": [{"name": "9 masses", "rollout": value and 3 * value}]}
            for value in drawn[one["line"]]
        ]
    (figure,) = rollout_figures(arms, known({"arms": arms}))
    names = figure.layout["yaxis"]["ticktext"]
    assert names == ["as trained", "9 masses"]
    low, high = figure.layout["xaxis"]["range"]
    for one, mark in zip(arms, known({"arms": arms}).values(), strict=True):
        own = [t for t in figure.traces if t["meta"].get("group") == mark.index]
        seeds = next(t for t in own if "opacity" in t)
        found = sorted((round(place), x) for x, place in zip(seeds["x"], seeds["y"], strict=True))
        numbers = [value for value in drawn[one["line"]] if value]
        wanted = sorted((i, factor * value) for i, factor in enumerate((1, 3)) for value in numbers)
        assert [x for x, _ in found] == [x for x, _ in wanted]
        assert [y for _, y in found] == pytest.approx([y for _, y in wanted])
        assert all(low < math.log10(y) < high for _, y in found)
        crosses = [t for t in own if t["marker"]["symbol"] == "x"]
        assert [round(place) for t in crosses for place in t["y"]] == ([0, 1] if one["line"] == "loose" else [])
        assert all(y > max(y for _, y in found) for t in crosses for y in t["x"])
    assert low < 0 < high  # persistence
    assert "flew off" in figure.caption


def test_tests_without_a_place_stand_side_by_side_with_every_seed_and_what_the_majority_errs(tmp_path) -> None:
    tests = [
        {
            "name": f"{size} nodes, unseen",
            "at": None,
            "along": 1.0,
            "chance": 0.5,
            "answers": ANSWERS,
            "floors": {"correct": 0.75},
        }
        for size in SIZES
    ]
    arms = [arm("trees", line, 8.0, chance=0.5, floors=FLOORS, answers=ANSWERS, tests=tests) for line in ("ours", "theirs")]
    bundle = experiment_bundle(folder_of(tmp_path, arms))
    assert world_figures(bundle["arms"], known(bundle)) == []  # they have a dose, and their tests a place along an axis
    for one in bundle["arms"]:
        one["at"] = None
        for test in (test for outcome in one["outcomes"] for test in outcome["tests"]):
            test["along"] = None
    (figure,) = world_figures(bundle["arms"], known(bundle))
    assert figure.layout["yaxis"]["ticktext"] == ["as trained", *(f"{size} nodes,<br>unseen" for size in SIZES)]
    for one, mark in zip(bundle["arms"], known(bundle).values(), strict=True):
        own = [t for t in figure.traces if t["meta"].get("group") == mark.index]
        seeds = next(t for t in own if "opacity" in t)
        records = [[o, *o["tests"]] for o in one["outcomes"]]
        wanted = sorted((place, READ["wrong"](record)) for each in records for place, record in enumerate(each))
        found = sorted((round(place), x) for x, place in zip(seeds["x"], seeds["y"], strict=True))
        assert [x for x, _ in found] == [x for x, _ in wanted]
        assert [y for _, y in found] == pytest.approx([y for _, y in wanted])
    dashes = [t["x"][0] for t in figure.traces if t.get("hovertemplate", "").startswith("majority")]
    assert dashes == pytest.approx([0.2, 0.25, 0.25])
    low, high = figure.layout["xaxis"]["range"]
    assert low < math.log10(0.2) < math.log10(0.25) < high


def test_hostile_names_of_lines_and_axes_are_shown_and_never_run(tmp_path) -> None:
    axis = f"{HOSTILE}, {HOSTILE}"
    tests = [placed(16, 20, axis=axis, line=HOSTILE), placed(16, 20, axis=axis, name=f"16 {HOSTILE}")]
    read = page(folder_of(tmp_path, two_lines(tests=tests)))
    assert read.text.count(HOSTILE) > 2
    assert not [text for text in figure_texts(json.loads(read.data)["figures"]) if "<script" in text]


def test_an_axis_and_a_place_along_it_come_together() -> None:
    import allometry as al

    task = al.task("shortest_path")(least=3, most=5)
    for wrong in ({"axis": "steps"}, {"along": 3.0}, {"line": "small"}):
        with pytest.raises(Refusal, match="takes an axis and a place along it"):
            OtherTask(name="wrong", task=task, **wrong)
    model = al.family("graph_network")(width=4, depth=1, steps=2)
    one = Arm(name="a", line="a", panel="p", model=model, task=task, recipe=al.Recipe(rate=1e-3), steps=1, batch=1)
    test = OtherTask(name="longer", task=task, model=model.edit(steps=4), axis="steps", along=4.0, line="small")
    plain, tested = (Experiment(title="t", arms=(one.edit(tests=tests),), seeds=2) for tests in ((), (test,)))
    counts = checked(tested)
    runs = _runs(tested, counts)
    assert {key: run.id for key, run in runs.items()} == {key: run.id for key, run in _runs(plain, counts).items()}
    (listed,) = _asked(tested, counts, runs, "cpu")["arms"][0]["tests"]
    assert (listed["axis"], listed["along"], listed["line"], listed["own_model"]) == ("steps", 4.0, "small", False)
    assert listed["floors"] == task.floors
    assert listed["answers"] == pytest.approx(sum(sum(one) for one in task.counts.values()))
