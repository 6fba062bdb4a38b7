"""audit(): what was planted to overturn a verdict is named, with its number; what cannot overturn it does not."""

# ruff: noqa: N806 - C is the letter of the field

import dataclasses
import json
import time

import numpy as np
import pandas as pd
import pytest
from fit_runs import law_named, runs
from fit_simulation import simulated

from allometry.fit.audit.audit import Audit, audit
from allometry.fit.audit.best_split import best_size
from allometry.fit.audit.left_out import influences, left_out
from allometry.fit.audit.rates import rates
from allometry.fit.audit.verdict import CANNOT, Case, common_place, judge
from allometry.fit.audit.ways import counting, other_criteria, other_laws
from allometry.fit.criterion import LN, Criterion
from allometry.fit.estimate import fit
from allometry.fit.optimum import split
from allometry.fit.rows import read
from allometry.flow import Refusal, TooFar
from allometry.report.question_tables import audit_lines

C = np.geomspace(1e15, 1e19, 9)
COLUMNS = ["challenge", "change", "of", "value", "low", "high", "verdict", "overturned", "note"]


def curve(family, worse=0.0, noise=0.001, seed=0):
    """Losses of a law with a floor; all of them higher by `worse` in ln loss."""
    shake = np.exp(worse + noise * np.random.default_rng(seed).standard_normal(len(C)))
    return pd.DataFrame({"family": family, "C": C, "loss": (1.5 + (C / 1e15) ** -0.2) * shake})


def pair(worse, noise=0.001, seed=0):
    return pd.concat([curve("a", 0.0, noise, seed), curve("b", worse, noise, seed + 100)], ignore_index=True)


def judged(table, by="family", law="power_floor", draws=100, seed=0):
    """The verdict of a table with its fits, which parts of an audit are asked with."""
    one = law_named(law)
    rows = read(table, one.variables, by, {})
    return judge(
        Case(
            read=rows,
            law=one,
            criterion=one.criterion,
            pinned={},
            place=common_place(rows),
            level=0.9,
            draws=draws,
            seed=seed,
        )
    )


def frame(challenges):
    return pd.DataFrame([dataclasses.asdict(one) for one in challenges])


def of(found, challenge):
    table = found.table if isinstance(found, Audit) else frame(found)
    rows = table[table["challenge"] == challenge]
    assert len(rows), f"{challenge} is not among {table['challenge'].unique()}"
    return rows


def overturns(found):
    return set(found.table.loc[found.table["overturned"] == True, "challenge"])  # noqa: E712 - None is neither


@pytest.fixture(scope="module")
def clear():
    return audit(pair(0.1), draws=200)


# Two groups


def test_a_wide_lead_is_overturned_by_nothing_and_needs_a_penalty_of_its_width(clear):
    assert clear.verdict.winner == "a"
    assert clear.verdict.low < 0.1 < clear.verdict.high
    assert overturns(clear) == set()
    assert clear.summary.startswith("Nothing tried overturns it")
    rows = of(clear, "learning rates")
    turns = rows[rows["low"] < rows["high"]].iloc[0]
    assert turns["low"] < 0.1 < turns["high"]
    assert turns["value"] == pytest.approx(0.1, abs=0.01)
    undone, _, flipped = rows["value"].iloc[:3]
    assert undone == turns["low"] == clear.verdict.low
    assert flipped == turns["high"] == clear.verdict.high


def test_the_penalties_do_what_they_say(clear):
    """The rival made better by each penalty in turn: cannot tell just after the first, b is named just after the third."""
    penalties = of(clear, "learning rates")["value"].to_numpy()
    table = pair(0.1)
    for at, before, after in ((penalties[0], "a", None), (penalties[2], None, "b")):
        said = []
        for step in (0.998, 1.002):
            better = table.copy()
            better.loc[better["family"] == "b", "loss"] *= np.exp(-step * at)
            said.append(judged(better, draws=200).verdict.winner)
        assert said == [before, after]


def test_a_small_lead_falls_to_small_penalties():
    one = judged(pair(0.006, noise=0.0005))
    assert one.verdict.winner == "a"
    assert frame(rates(one))["overturned"].any()
    assert not frame(left_out(one))["overturned"].any()


def test_equal_groups_cannot_be_told_apart():
    one = judged(pair(0.0, seed=3))
    assert one.verdict.winner is None
    assert one.verdict.said == CANNOT
    assert not frame(rates(one))["overturned"].any()  # rates that are unsure make it less sure still


def test_a_planted_run_is_named_as_the_one_that_overturns():
    """b is worse by 2 %, but its largest run was entered 8 % too low, which makes it win at the largest C."""
    table = pair(0.02, noise=0.0005)
    planted = int(table.index[(table["family"] == "b") & (table["C"] == C[-1])][0])
    table.loc[planted, "loss"] *= 0.92
    one = judged(table)
    assert one.verdict.winner != "a"
    row = of(left_out(one), "one run left out").iloc[0]
    assert row["overturned"]
    assert row["change"].startswith(f"without row {planted} of b")
    assert row["verdict"] == "a"
    assert row["value"] == pytest.approx(-0.02 if one.verdict.leader == "b" else 0.02, abs=0.01)


def test_a_run_of_many_rows_is_left_out_whole():
    """Checkpoints with one name go together, and are named once."""
    run = pair(0.02, noise=0.0005).assign(run=lambda t: t["family"] + " " + t.index.astype(str))
    table = pd.concat([run] * 3, ignore_index=True)
    table["C"] *= np.repeat([1.0, 1.05, 1.1], len(run))
    table["loss"] += 1e-5 * np.arange(len(table))
    last = run["run"].iloc[-1]
    table.loc[table["run"] == last, "loss"] *= 0.92
    row = of(left_out(judged(table)), "one run left out").iloc[0]
    assert row["change"].startswith(f"without {last} of b")
    assert row["overturned"]
    assert "of 18 runs" in row["note"]


def test_influences_are_those_of_refits():
    """Each is the change that fitting without the run makes."""
    one = judged(pair(0.02), draws=50)
    found, impossible = influences(one)
    assert (len(found), impossible) == (18, 0)
    for each in (found[0], found[8], found[17]):
        again = judge(one.case.only(one.case.read.run != each.run), one.verdict.leader).verdict.value
        assert again - one.verdict.value == pytest.approx(each.change, abs=1e-6)


def test_the_best_column_of_flops_decides():
    """b is better by 2 % with all FLOPs, but spends ten times as many as a outside of its embedding."""
    table = pair(-0.02, noise=0.0005)
    other = table["family"] == "b"
    table["C_non_embedding"] = table["C"] * np.where(other, 1.0, 0.1)
    one = judged(table)
    assert one.verdict.winner == "b"
    row = of(counting(one, table, {}, "family"), "counting").iloc[0]
    assert row["overturned"]
    assert row["verdict"] == "a"
    assert row["change"] == "C is C_non_embedding instead of C"


def test_a_column_that_is_the_same_up_to_a_factor_moves_nothing():
    table = pair(0.1).assign(petaflop=lambda t: t["C"] / 1e15)
    one = judged(table, draws=50)
    row = of(counting(one, table, {}, "family"), "counting").iloc[0]
    assert not row["overturned"]
    assert "the same up to the factor" in row["note"]
    assert row["value"] == one.verdict.value


def test_six_n_d_is_tried_against_the_flops_given():
    table = pair(0.1).assign(N=lambda t: np.sqrt(t["C"]) / 10, D=lambda t: np.sqrt(t["C"]) * (2 + np.arange(len(t)) / 9))
    found = counting(judged(table, draws=50), table, {}, "family")
    assert [one.change for one in found] == ["C is 6 x N x D instead of C"]
    assert found[0].overturned is not None


@pytest.fixture(scope="module")
def short():
    """Four points for three parameters, and four rows that cannot be fitted."""
    table = pd.concat([pair(0.1).groupby("family").head(4), pair(0.1).groupby("family").tail(2)], ignore_index=True)
    table["status"] = "done"
    table.loc[[8, 9], "loss"] = np.nan
    table.loc[10, "C"] = 0.0
    table.loc[11, "status"] = "diverged"
    return audit(table, draws=50)


def test_what_cannot_be_tried_is_a_row_with_its_reason(short):
    """No run can be left out, nor the smallest or largest."""
    for challenge in ("one run left out", "smallest budgets left out", "largest budgets left out", "counting"):
        row = of(short, challenge).iloc[0]
        assert row["overturned"] is None
        assert row["note"].startswith("cannot be made: ")
        assert len(row["note"]) > 40
    assert "not made: one run left out" in short.text


def test_rows_that_are_left_out_are_listed(short):
    text = "\n".join(short.exclusions)
    assert "2 of 12 rows are left out: loss is no positive finite number (row 8, 9)" in text
    assert "C is no positive finite number (row 10)" in text
    assert "the status is not 'done' (row 11)" in text


def test_a_law_that_the_data_refuse_overturns_nothing(clear):
    row = of(clear, "another law").iloc[0]
    assert row["change"] == "L = A C^-alpha"
    assert "the data refuse this law" in row["note"]
    assert not row["overturned"]


def test_the_document_is_plain_json_and_the_table_has_its_columns(clear):
    assert json.loads(json.dumps(clear.to_json(), allow_nan=False)) == clear.to_json()
    assert list(clear.table.columns) == COLUMNS
    for part in (clear.said, clear.summary, "Taken for granted", "All groups are equally well tuned"):
        assert part in clear.text


def test_same_seed_same_audit():
    one, other, third = (frame(left_out(judged(pair(0.02), draws=50, seed=seed))) for seed in (0, 0, 1))
    assert one.equals(other)
    assert not one.equals(third)


def test_wrong_questions_are_refused():
    with pytest.raises(Refusal, match="at least 50 draws"):
        audit(pair(0.1), draws=10)
    with pytest.raises(Refusal, match="no place on the law"):
        audit(pair(0.1), C=-1.0)
    with pytest.raises(TooFar, match="100 times the largest that all groups have run"):
        audit(pair(0.1), C=1e21)
    with pytest.raises(Refusal, match="of one variable, or of N and D"):
        audit(runs(law_named("width_depth")), law="width_depth", by=None)


# One group


def test_one_group_of_one_variable_is_judged_by_its_exponent():
    found = audit(curve("a", noise=0.0005), by=None, draws=100)
    assert found.verdict.leader is None
    assert found.verdict.low < 0.2 < found.verdict.high
    assert found.said.startswith("The exponent is")


def test_the_best_split_is_that_of_the_closed_form():
    one = fit(runs(law_named("chinchilla"), noise=0.002), law="chinchilla", by=None, draws=50)["all"]
    closed = split(one, 1e19)
    ln_N, ln_loss = best_size(one.law, one.samples, 1e19)
    assert np.exp(ln_N[0]) == pytest.approx(closed.N[0], rel=1e-3)
    assert np.exp(ln_loss[0]) == pytest.approx(closed.loss[0], rel=1e-6)


def test_one_group_of_two_variables_is_judged_by_how_the_best_size_grows():
    table = runs(law_named("chinchilla"), rows=60, noise=0.003)
    table.loc[7, "loss"] *= 1.3
    one = judged(table, by=None, law="chinchilla")
    assert one.verdict.low < 0.29 / (0.29 + 0.33) < one.verdict.high
    assert one.verdict.N is not None
    far = of(left_out(one), "runs far above the law").iloc[0]
    assert far["change"] == "1 left out"
    assert far["note"].startswith("row 7")
    laws = of(other_laws(one), "another law")
    assert "have no exponent in common" in laws["note"].iloc[0]
    assert "the data refuse this law" in laws["note"].iloc[1]
    changes = frame(rates(one))["change"]
    assert changes.str.contains("grows with ln size").sum() == 2


def test_a_penalty_that_grows_moves_the_exponent_to_the_end_of_its_interval():
    table = curve("a", noise=0.0005)
    one = judged(table, by=None)
    rows = frame(rates(one))
    row = rows[(rows["of"] == "penalty") & rows["change"].str.contains("at the largest")].iloc[0]
    share = np.log(C / C[0]) / np.log(C[-1] / C[0])
    moved = judged(table.assign(loss=table["loss"] * np.exp(-row["value"] * share)), by=None, draws=50).verdict.value
    low, high = one.verdict.low, one.verdict.high
    assert min(abs(moved - low), abs(moved - high)) < 0.05 * (high - low)


# A study of this package


def test_a_study_is_audited_by_seeds_sizes_and_budgets():
    generator = np.random.default_rng(3)
    world = simulated.draw_world(generator, families=2)
    table = simulated.Laboratory(world, generator).study()[0]
    table.loc[table["family"] == "family_1", ["loss", "bpb"]] *= 1.2
    started = time.perf_counter()
    found = audit(table, draws=100)
    assert time.perf_counter() - started < 10
    assert found.verdict.winner == "family_0"
    for name in ("seed", "size", "budget"):
        there = table.loc[table["stage"] == "score", name].nunique()
        assert len(of(found, f"one {name} left out")) == there
    assert of(found, "counting").iloc[0]["value"] == pytest.approx(found.verdict.value, abs=0.05)
    assert of(found, "learning rates").iloc[0]["value"] > 0.05
    assert overturns(found) == set()
    assert json.loads(json.dumps(found.to_json(), allow_nan=False)) == found.to_json()


# Published runs


def test_archscale_levels_stand_and_slopes_do_not_matter(shared_data):
    """Two series that differ by 1 % of the loss at the largest size; only mis-tuned rates could explain it."""
    table = pd.read_csv(shared_data / "scaling_runs/archscale/archscale_flops_scaling.csv")
    two = table[table["series"].isin(["Transformer++ (muP++)", "SambaY (muP++)"])]
    found = audit(two, by="series", columns={"C": "flops", "loss": "val_loss"}, draws=50)
    assert found.verdict.winner == "SambaY (muP++)"
    assert found.verdict.value == pytest.approx(np.log(1.8172 / 1.7999), abs=0.001)
    assert overturns(found) == {"learning rates"}
    assert found.summary.startswith("Overturned by: learning rates; the first of them: learning rates, rates cost Tra")


def test_five_points_of_chinchilla_move_the_exponent(shared_data):
    """With all 245 points N* grows as C^0.565; without those far above the law as C^0.51."""
    table = pd.read_csv(shared_data / "scaling_runs/gemstones/data/epoch_chinchilla_svg_extracted_data.csv")
    table = table.rename(columns={"Model Size": "N", "Training FLOP": "C"})
    one = judged(table, by=None, law="chinchilla", draws=50)
    assert one.verdict.value == pytest.approx(0.453049 / (0.453049 + 0.349313), abs=1e-3)
    far = of(left_out(one), "runs far above the law").iloc[0]
    assert far["value"] == pytest.approx(0.3671724 / (0.3671724 + 0.3473105), abs=0.01)
    squares = of(other_criteria(one), "another criterion").iloc[0]
    assert squares["value"] > one.verdict.value + 0.04  # squares give the five still more weight


def test_the_terminal_says_why_another_verdict_overturns_nothing():
    """A row that names another group, or none, and yet "holds" has its reason in words; the others need none."""
    rows = [
        {"challenge": "another law", "change": "no floor", "of": "lead", "verdict": "b", "overturned": False,
         "note": "but the data refuse this law"},
        {"challenge": "counting", "change": "C is other", "of": "lead", "verdict": "b", "overturned": False, "note": ""},
        {"challenge": "another criterion", "change": "squares", "of": "lead", "verdict": "a", "overturned": False,
         "note": "as before"},
        {"challenge": "learning rates", "change": "rates", "of": "penalty", "verdict": "b", "overturned": False,
         "note": "large"},
    ]  # fmt: skip
    content = {"summary": "", "exclusions": [], "assumptions": [], "findings": [], "challenges": rows}
    said = [line for line in audit_lines(content | {"verdict": {"winner": "a"}}) if line.startswith("Holds")]
    assert said == [
        "Holds, though then b: another law, no floor: but the data refuse this law",
        "Holds, though then b: counting, C is other: but not surely enough among so many changes",
    ]
    alone = audit_lines(content | {"verdict": {"winner": None}, "challenges": [row | {"of": "exponent"} for row in rows]})
    assert not [line for line in alone if line.startswith("Holds")]


def test_the_criteria_have_words():
    assert Criterion(delta=None).text == f"sum of squares of {LN}"
    assert Criterion(delta=0).text == f"sum of absolute deviations of {LN}"
