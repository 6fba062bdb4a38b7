"""The figures as data: every run is in them, each view shows its own cost, long records are thinned."""

import math

import pytest
import report_bundle

from allometry.report.figures import Figure, isoflop_figures, loss_figure, parts_figure, rate_figures, training_figure
from allometry.report.figures.training import CURVES, POINTS, thinned
from allometry.report.numbers import plain
from allometry.report.palette import marks

WHOLE = report_bundle.bundle()
BUNDLE = plain({key: value for key, value in WHOLE.items() if key != "learning_curves"})  # which the page takes as they are
ANSWER, RUNS = BUNDLE["answer"], BUNDLE["runs"]
MARKS = marks(report_bundle.FAMILIES)
COLUMNS = {
    "flops": "C",
    "flops_non_embedding": "C_non_embedding",
    "parameters": "N",
    "seconds": "seconds",
    "memory": "memory",
}


def loss() -> Figure:
    """The main figure of the made-up study."""
    figure = loss_figure(ANSWER, RUNS, BUNDLE["baselines"], MARKS)
    assert figure
    return figure


@pytest.mark.parametrize("axis", COLUMNS)
def test_every_run_is_a_point_on_every_axis(axis):
    figure = loss()
    view = next(view for view in figure.views if view.key == axis)
    drawn = sorted(value for values in view.x or [] for value in values)
    assert drawn == pytest.approx(sorted(row[COLUMNS[axis]] for row in RUNS))


def test_points_pair_cost_and_loss_of_one_run():
    figure = loss()
    seconds = next(view for view in figure.views if view.key == "seconds")
    drawn = {
        (x, y) for trace, xs in zip(figure.traces, seconds.x or [], strict=True) for x, y in zip(xs, trace["y"], strict=True)
    }
    assert {(row["seconds"], row["bpb"]) for row in RUNS if row["bpb"]} <= drawn


def test_a_run_without_a_loss_is_marked_above_all_losses():
    figure = loss()
    crosses = [trace for trace in figure.traces if trace["marker"]["symbol"] == "x"]
    assert sum(len(trace["y"]) for trace in crosses) == sum(row["status"] == "diverged" for row in RUNS) == 2
    worst = max(row["bpb"] for row in RUNS if row["bpb"] and row["stage"] == "score")
    assert all(worst < level < 10 ** figure.layout["yaxis"]["range"][1] for trace in crosses for level in trace["y"])
    assert all("not finite" in text for trace in crosses for text in trace["text"])


def test_a_family_has_one_colour_in_all_figures():
    for figures in (isoflop_figures(ANSWER, RUNS, MARKS), rate_figures(ANSWER, MARKS)):
        assert [figure.title for figure in figures] == report_bundle.FAMILIES
        for figure in figures:
            colours = {t["marker"]["color"] for t in figure.traces if "marker" in t} - {"@page"}
            assert colours == {MARKS[figure.title].colour}
    for trace in loss().traces:
        mark = next(mark for mark in MARKS.values() if mark.index == trace["meta"]["group"])
        assert trace["marker"]["color"] == mark.colour
        assert trace["marker"]["symbol"].removesuffix("-open") in (mark.symbol, "x")


def test_an_optimum_at_the_edge_is_open_and_said():
    flagged = {figure.title: figure for figure in isoflop_figures(ANSWER, RUNS, MARKS)}
    hostile, lstm = flagged[report_bundle.HOSTILE], flagged["lstm"]
    assert "edge" in hostile.caption
    assert "edge" not in lstm.caption
    assert sum(t.get("marker", {}).get("color") == "@page" for t in hostile.traces) == len(report_bundle.BUDGETS)
    assert not any(t.get("marker", {}).get("color") == "@page" for t in lstm.traces)


def test_many_runs_keep_few_curves_of_few_points():
    many = report_bundle.bundle(seeds=15, sizes=4)
    assert len(many["runs"]) > 1000
    figure = training_figure([plain(row) for row in many["runs"]], many["learning_curves"], MARKS)
    assert figure
    assert len(figure.traces) == len(report_bundle.FAMILIES) * len(report_bundle.BUDGETS) <= CURVES
    assert max(len(trace["y"]) for trace in figure.traces) <= POINTS


def test_the_curve_kept_is_that_of_the_best_run():
    wanted = {
        (family, budget): min(
            (r for r in RUNS if (r["family"], r["budget"], r["stage"]) == (family, budget, "score") and r["bpb"]),
            key=lambda r: r["bpb"],
        )["D"]
        for family in report_bundle.FAMILIES
        for budget in report_bundle.BUDGETS
    }
    figure = training_figure(RUNS, WHOLE["learning_curves"], MARKS)
    assert figure
    ends = sorted(x[-1] for x in figure.views[0].x or [])
    assert ends == pytest.approx(sorted(wanted.values()), rel=0.05)  # the last stretch is an average


def test_thinning_keeps_the_shape():
    count = 5000
    curve = {"tokens": [float(i + 1) for i in range(count)], "flops": [], "loss": [(i + 1) ** -0.3 for i in range(count)]}
    thin = thinned(curve, 80)
    assert len(thin["loss"]) <= 80
    assert thin["tokens"][0] == 1.0
    assert thin["tokens"] == sorted(thin["tokens"])
    for tokens, level in zip(thin["tokens"], thin["loss"], strict=True):
        assert level == pytest.approx(tokens**-0.3, rel=0.01)  # a power law is nearly straight within one stretch


def test_shares_of_parts_add_up_and_no_flops_are_lost():
    many = {f"part {i}": 1.0 + i for i in range(14)}
    figure = parts_figure(
        [{"family": "a", "size": 1, "by_part": many}, {"family": "b", "size": 1, "by_part": {"part 3": 7.0}}]
    )
    assert figure
    share, flops = figure.views
    assert [sum(column) for column in zip(*share.x or [], strict=True)] == pytest.approx([100, 100])
    assert [sum(column) for column in zip(*flops.x or [], strict=True)] == pytest.approx([sum(many.values()), 7.0])


def test_the_opening_range_holds_all_scored_losses_and_axes_have_units():
    low, high = loss().layout["yaxis"]["range"]
    assert all(low < math.log10(row["bpb"]) < high for row in RUNS if row["bpb"] and row["stage"] == "score")
    for view in loss().views:
        title = view.layout["xaxis"]["title"]["text"]
        assert title.endswith((")", "parameters"))
