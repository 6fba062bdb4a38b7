"""The tables, in the terminal and as data: they say what the answer document says, whatever is missing in it."""

import io
import itertools
import math
from typing import Any

import pytest
import report_bundle
from rich.console import Console

from allometry.flow import Budget, End, Run, Tokens
from allometry.record.status import status
from allometry.record.store import Folder, write_json
from allometry.report import study_tables, tables
from allometry.report.grid import Grid

ANSWER = report_bundle.answer()
STUDY = report_bundle.bundle()["study"]
OF_ANSWER = [
    tables.pairs_table,
    tables.budgets_table,
    tables.winners_table,
    tables.frontier_table,
    tables.crossovers_table,
    tables.laws_table,
    tables.slopes_table,
    tables.matched_slopes_table,
    tables.holdout_table,
    tables.rates_table,
    tables.target_table,
]


def printed(grid: Any, width: int = 200, terminal: bool = False) -> str:
    """What a console of this width shows."""
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=terminal).print(grid)
    return out.getvalue()


def texts(grid: Grid, column: str) -> list[str]:
    """The column of a grid, as written."""
    place = [c.name for c in grid.columns].index(column)
    return [row[place].text for row in grid.rows]


@pytest.mark.parametrize("table", OF_ANSWER, ids=lambda table: table.__name__)
@pytest.mark.parametrize(
    "answer", [ANSWER, {}, {"families": ["a"], "pairs": None, "regions": None}], ids=["full", "empty", "null"]
)
def test_every_table_is_whole_and_says_no_nan(table, answer):
    grid = table(answer)
    assert all(len(row) == len(grid.columns) for row in grid.rows)
    written = printed(grid)
    assert written.strip()
    for word in ("nan", "None", "inf "):
        assert word not in written
    assert grid.rows or grid.empty in written


@pytest.mark.parametrize("table", OF_ANSWER[:10], ids=lambda table: table.__name__)
def test_a_missing_number_is_a_dash_with_a_reason(table):
    holes = [cell for row in table(ANSWER).rows for cell in row if cell.text == "–"]
    assert all(cell.tip for cell in holes)


def test_differences_are_percent_of_the_loss():
    pair = ANSWER["pairs"][0]
    expected = 100 * (math.exp(pair["overall"]["ln_difference"]) - 1)
    shown = texts(tables.pairs_table(ANSWER), "loss of a against b")[0]
    assert float(shown.replace("−", "-")) == pytest.approx(expected, abs=0.06)


def test_a_null_verdict_is_written_as_cannot_tell():
    better = texts(tables.pairs_table(ANSWER), "better")
    verdicts = [pair["overall"]["verdict"] for pair in ANSWER["pairs"]]
    assert None in verdicts
    assert better == [verdict or tables.CANNOT_TELL for verdict in verdicts]


def test_winners_hold_the_share_of_every_family():
    grid = tables.winners_table(ANSWER, "flops")
    assert texts(grid, "transformer") == ["58 %", "93 %", "> 99 %"]
    assert texts(grid, "performer") == ["< 1 %"] * 3


def test_the_headline_is_three_lines_at_most_and_never_empty():
    assert tables.answer_lines(ANSWER) == ANSWER["headline"]
    assert len(tables.answer_lines({"headline": list("abcd")})) == 3
    assert tables.answer_lines({})


def test_a_plain_log_has_no_control_codes_and_a_name_is_no_markup():
    answer = ANSWER | {"slopes": [{"family": "[bold]x[/bold]", "slope": 0.05, "low": 0.04, "high": 0.06}]}
    written = printed(tables.slopes_table(answer), width=60)
    assert "[bold]x[/bold]" in written
    assert "\x1b" not in written
    assert "\x1b" in printed(tables.pairs_table(ANSWER), terminal=True)


@pytest.mark.parametrize("table", OF_ANSWER[:10], ids=lambda table: table.__name__)
def test_a_narrow_terminal_cuts_no_line(table):
    assert max(len(line) for line in printed(table(ANSWER), width=80).splitlines()) <= 80


def test_status_shows_the_counts_of_a_study(tmp_path):
    """What record.status gives is what the table takes: two families, one run ended well, one badly, one under way."""
    store, seed = Folder(tmp_path), itertools.count()
    for family, ending in [("a", "done"), ("a", "failed"), ("b", None)]:
        run = Run(
            family=Tokens(vocab=2, length=2), size=1, task="text", io=Tokens(vocab=2, length=2), data="", seed=next(seed),
            recipe=Tokens(vocab=2, length=2), budget=Budget(flops=1.0, steps=1, batch=1),
        )  # fmt: skip
        store.ask(run, {"family": family, "stage": "score"})
        if ending:
            store.finish(run.id, End(status=ending))
    cells = [{"family": family, "stage": "score", "rates": 1, "seeds": [0, 1, 2]} for family in ("a", "x.py:b")]
    write_json(tmp_path / "plan.json", {"cells": cells})
    grid = study_tables.status_table(status(tmp_path)["families"])
    assert texts(grid, "family") == ["a", "b"]
    assert texts(grid, "planned") == ["3", "3"]
    assert [texts(grid, ending) for ending in ("done", "failed", "begun")] == [["1", "0"], ["1", "0"], ["0", "1"]]
    assert "diverged" not in [column.name for column in grid.columns]


def test_the_plan_and_the_costs_print():
    written = printed(study_tables.plan_table(STUDY["plan"]))
    assert len(study_tables.plan_table(STUDY["plan"]).rows) == len(STUDY["plan"])
    assert "6.4×10¹³" in written
    costs = printed(study_tables.costs_table(report_bundle.bundle()["costs"]))
    assert "256 KiB growing" in costs
    assert "nan" not in costs + written
    assert study_tables.plan_table([]).empty in printed(study_tables.plan_table([]))


def test_laws_have_a_column_for_each_parameter_that_any_law_has():
    grid = tables.fits_table(ANSWER["laws"])
    assert {"A", "alpha", "E"} <= {column.name for column in grid.columns}
    floors = dict(zip(texts(grid, "law"), texts(grid, "E"), strict=True))
    assert floors["power"] == "–"
    assert floors["power_floor"] != "–"
