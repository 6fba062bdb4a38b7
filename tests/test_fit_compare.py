"""compare(): the document is whole and finite whatever is missing, and says what a known study holds."""

# ruff: noqa: N806 - N, D and C are the letters of the field

import json
import time

import numpy as np
import pandas as pd
import pytest
from fit_simulation import simulated

from allometry.fit import noise
from allometry.fit.cells import read
from allometry.fit.compare import compare
from allometry.flow import Refusal

KEYS = {
    "protocol", "level", "draws", "unit", "headline", "families", "budgets", "noise", "frontier", "pairs", "regions",
    "crossovers",
    "slopes", "matched_slopes", "laws", "floors", "curves", "holdout", "rates", "robust", "target", "warnings",
}  # fmt: skip


def run(seed=0, families=3, equal=False, **changes):
    """A simulated study: table, documents, bytes of documents, and the laboratory that made it."""
    generator = np.random.default_rng(seed)
    world = simulated.draw_world(generator, families=families, equal=equal)
    world = simulated.dataclasses.replace(world, **changes)
    laboratory = simulated.Laboratory(world, generator)
    table, documents, _ = laboratory.study()
    return table, documents, laboratory.bytes, laboratory


@pytest.fixture(scope="module")
def study():
    return run(seed=3, seed_sd=0.005)


@pytest.fixture(scope="module")
def answer(study):
    return compare(*study[:3], draws=300).to_json()


def scored(table: pd.DataFrame) -> pd.Series:
    return table["stage"] == "score"


def test_the_document_is_whole_and_plain_json(answer):
    assert set(answer) == KEYS
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer
    assert len(answer["headline"]) == 3
    assert all(line and "nan" not in line and "None" not in line for line in answer["headline"])
    assert answer["unit"] == "bits per byte"
    for regions in answer["regions"].values():
        for region in regions:
            assert region["low_cost"] < region["high_cost"]
            assert sum(region["probability"].values()) == pytest.approx(1)
            assert (region["winner"] is None) == (region["reason"] is not None)


def test_everything_that_is_estimated_lies_in_its_interval(answer):
    for row in answer["frontier"]:
        assert row["low"] < row["loss"] < row["high"]
    for pair in answer["pairs"]:
        for row in (*pair["budgets"], pair["overall"]):
            assert row["low"] < row["ln_difference"] < row["high"]
        assert pair["overall"]["verdict"] in (None, pair["a"], pair["b"])
        assert (pair["overall"]["verdict"] is None) == bool(pair["overall"]["reason"])


def test_a_clear_difference_is_found_and_named(study):
    """One family made 10 % worse in every run: it loses everywhere, overall and on each axis."""
    table, documents, sizes, _ = study
    worse = (table["family"] == "family_1").to_numpy()
    table = table.copy()
    table.loc[worse, ["loss", "bpb"]] *= 1.4
    documents = np.where(worse[:, None], 1.4 * documents, documents)
    found = compare(table, documents, sizes, draws=300)
    for pair in found.to_json()["pairs"]:
        if "family_1" in (pair["a"], pair["b"]):
            assert pair["overall"]["verdict"] not in (None, "family_1")
    assert (found.winners()["family_1"] == 0).all()
    assert "family_1" not in set(found.winners()["winner"])


def test_swapping_two_families_mirrors_the_answer(study):
    table, documents, sizes, _ = study
    order = ["family_0", "family_1"]
    one, other = (
        compare(table, documents, sizes, draws=400, families=f).to_json()["pairs"][0] for f in (order, order[::-1])
    )
    assert one["a"] == other["b"]
    assert one["overall"]["verdict"] == other["overall"]["verdict"]
    width = one["overall"]["high"] - one["overall"]["low"]
    # The draws differ, so the mirrored ends agree as far as 400 draws know them.
    assert one["overall"]["low"] == pytest.approx(-other["overall"]["high"], abs=0.15 * width)
    assert one["overall"]["ln_difference"] == pytest.approx(-other["overall"]["ln_difference"], abs=0.15 * width)


def test_the_order_of_rows_does_not_count(study):
    table, documents, sizes, _ = study
    order = np.random.default_rng(0).permutation(len(table))
    one = compare(table, documents, sizes, draws=200, families=["family_0", "family_1", "family_2"]).to_json()
    other = compare(table.iloc[order], documents[order], sizes, draws=200, families=one["families"]).to_json()
    for a, b in zip(one["frontier"], other["frontier"], strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=2e-3)


def test_same_seed_same_answer_other_seed_other_draws(study):
    answers = [compare(*study[:3], draws=100, seed=seed).to_json() for seed in (0, 0, 1)]
    assert answers[0] == answers[1]
    assert answers[0] != answers[2]


def test_a_shared_data_order_cancels_in_differences():
    """All noise shared through the order: differences are sharper than losses."""
    table, _, _, _ = run(seed=5, families=3, equal=True, seed_sd=0.02, order_share=1.0, seeds=2)
    table = table[scored(table)]  # no tuning runs: their doubt is the same in both
    found = compare(table, draws=400).to_json()
    assert found["noise"]["measured"]
    assert found["noise"]["order_ln"] > 0.9 * found["noise"]["seed_ln"]
    measured = noise.measure(read(table, families=None, least_steps=300))
    assert measured.own < 0.1 * measured.order


def test_own_noise_is_not_taken_for_shared():
    """Over eight studies without a shared part: its estimate is cut at zero, so it is small, not zero, on average."""
    orders = []
    for seed in range(8):
        table, _, _, _ = run(seed=seed, families=4, equal=True, seed_sd=0.02, order_share=0.0, seeds=2)
        measured = noise.measure(read(table, families=None, least_steps=300))
        assert np.sqrt(measured.own) == pytest.approx(0.02, rel=4 / np.sqrt(2 * measured.degrees))  # four standard errors
        orders.append(measured.order / measured.own)
    assert np.mean(orders) < 0.1


def test_a_mistuned_family_is_read_at_its_best_rate():
    """All scored runs of one family at a quarter of its best rate: the frontier is what the best rate would have given."""
    table, _, _, laboratory = run(seed=12, families=2, seed_sd=0.003)
    truth = laboratory.world.families[0]
    off = scored(table) & (table["family"] == truth.name)
    spoilt = table.copy()
    spoilt.loc[off, "rate"] /= 4
    right = [truth.penalty(N, C, rate) for N, C, rate in table.loc[off, ["N", "C", "rate"]].itertuples(index=False)]
    wrong = [truth.penalty(N, C, rate) for N, C, rate in spoilt.loc[off, ["N", "C", "rate"]].itertuples(index=False)]
    spoilt.loc[off, "bpb"] *= np.exp(np.subtract(wrong, right))
    paid = float(np.mean(np.subtract(wrong, right)))
    rows = [compare(t, draws=300).to_json()["frontier"] for t in (table, spoilt)]
    moved = [np.log(b["loss"] / a["loss"]) for a, b in zip(*rows, strict=True) if a["family"] == truth.name]
    assert paid > 0.04
    assert np.mean(np.abs(moved)) < 0.35 * paid  # the curvature is known within some 30 %
    widths = [np.mean([np.log(r["high"] / r["low"]) for r in part if r["family"] == truth.name]) for part in rows]
    assert widths[1] > 1.5 * widths[0]


def test_a_law_with_too_few_budgets_is_refused_by_name(study):
    table = study[0]
    answer = compare(table[table["budget"] <= sorted(table["budget"].unique())[2]], draws=100).to_json()
    rows = [row for row in answer["laws"] if row["law"] == "power_floor"]
    assert all("refused: 4 budgets are needed, 3 are there" in row["flags"] for row in rows)
    assert all(row["parameters"]["alpha"]["value"] is None for row in rows)


def test_single_seeds_use_the_stated_default():
    table, _, _, _ = run(seed=7)
    once = table[~scored(table) | ~table.duplicated(["stage", "family", "size", "budget"])]
    found = compare(once, draws=100).to_json()
    assert found["noise"]["measured"] is False
    assert found["noise"]["seed_ln"] == pytest.approx(noise.DEFAULT)
    assert "seeds" in {warning["kind"] for warning in found["warnings"]}


def test_fewer_documents_widen_losses_more_than_differences(study):
    table, documents, sizes, _ = study
    few = compare(table, documents[:, :12], sizes[:12], draws=300).to_json()
    many = compare(table, documents, sizes, draws=300).to_json()
    assert few["noise"]["documents_ln"] > 2 * many["noise"]["documents_ln"]
    loss, gap = few["frontier"][0], few["pairs"][0]["overall"]
    assert np.log(loss["high"] / loss["low"]) > 3 * (gap["high"] - gap["low"])


def test_a_study_without_recorded_documents_is_one_without_documents(study):
    table = study[0]
    without = compare(table, draws=60).to_json()
    assert compare(table, np.full((len(table), 0), np.nan), np.zeros(0), draws=60).to_json() == without


def test_curves_that_cross_by_noise_alone_have_no_crossover():
    """Equal families cross somewhere in nearly every draw; that alone must not be shown as a crossover."""
    shown = 0
    for seed in range(8):
        answer = compare(run(seed=40 + seed, families=2, equal=True)[0], draws=100).to_json()
        shown += any(row["axis"] == "flops" for row in answer["crossovers"])
    assert shown <= 3  # at one in ten, more than three of eight have a chance of 0.5 %


def test_more_pairs_to_err_on_take_larger_differences(study):
    """One critical value for all pairs: the same two families need a larger difference where a third is compared too."""
    table = study[0]
    two = compare(table, draws=400, families=["family_0", "family_1"]).to_json()["pairs"][0]
    three = compare(table, draws=400).to_json()["pairs"][0]
    assert (two["a"], two["b"]) == (three["a"], three["b"])
    assert three["detectable_ln"] > 1.05 * two["detectable_ln"]


SPOILERS = {
    "a family diverged": lambda t: t.assign(
        status=np.where((t.family == "family_1"), "diverged", t.status), bpb=t.bpb.where(t.family != "family_1"),
        loss=t.loss.where(t.family != "family_1")),
    "a family's scores diverged": lambda t: t.assign(
        status=np.where((t.family == "family_1") & scored(t), "diverged", t.status)),
    "three budgets": lambda t: t[t.budget <= sorted(t.budget.unique())[2]],
    "two budgets": lambda t: t[t.budget <= sorted(t.budget.unique())[1]],
    "one budget": lambda t: t[t.budget == t.budget.min()],
    "one size": lambda t: t.groupby(["stage", "family", "budget", "rate"], group_keys=False).head(1),
    "a size is missing": lambda t: t.drop(t[scored(t) & (t.family == "family_0")].index[:1]),
    "a family stopped early": lambda t: t[(t.family != "family_2") | (t.budget < t.budget.max())],
    "no common budget": lambda t: t[(t.family == "family_0") ^ (t.budget < t.budget.max())],
    "no tuning": lambda t: t[scored(t)],
    "only tuning": lambda t: t[~scored(t)],
    "one family": lambda t: t[t.family == "family_0"],
    "one run": lambda t: t[scored(t)].head(1),
    "no runs": lambda t: t.iloc[:0],
    "starved": lambda t: t.assign(steps=120),
    "no seconds": lambda t: t.assign(seconds=np.nan).drop(columns=["memory", "N_all", "C_non_embedding", "steps", "epochs"]),
    "loss only": lambda t: t.drop(columns="bpb"),
    "no rates": lambda t: t.assign(rate=np.nan),
    "the same runs twice": lambda t: pd.concat([t, t], ignore_index=True),
    "no noise at all": lambda t: t.assign(bpb=1 + (t.budget / 1e12) ** -0.1, loss=1 + (t.budget / 1e12) ** -0.1),
    "losses that rise": lambda t: t.assign(bpb=(t.budget / 1e12) ** 0.1),
    "data repeated": lambda t: t.assign(epochs=3.0),
}  # fmt: skip


@pytest.mark.parametrize("spoil", SPOILERS.values(), ids=SPOILERS.keys())
@pytest.mark.parametrize("protocol", ["frontier", "fixed-tokens"])
def test_missing_pieces_make_warnings_not_errors(study, spoil, protocol):
    table = spoil(study[0])
    found = compare(table, draws=60, protocol=protocol, target=1e16)
    answer = found.to_json()
    json.dumps(answer, allow_nan=False)
    assert set(answer) == KEYS
    assert len(answer["headline"]) == 3
    assert not any("nan" in line or "None" in line for line in answer["headline"])
    assert answer["warnings"]
    assert len(found.table) == len(answer["pairs"])
    found.winners()


def test_the_way_of_counting_can_take_a_verdict_back(study):
    """The worse family spends most of its compute on its embedding: counted without, it is the better one."""
    table = study[0].copy()
    table = table[table["family"].isin(["family_0", "family_1"])]
    good = table["family"] == "family_0"
    table.loc[good, ["loss", "bpb"]] *= 0.9
    table["C_non_embedding"] = table["C"] * np.where(good, 1.0, 0.15)
    kept, straight = compare(table, draws=200).to_json(), compare(table.drop(columns="C_non_embedding"), draws=200).to_json()
    assert straight["pairs"][0]["overall"]["verdict"] == "family_0"
    assert kept["pairs"][0]["overall"]["verdict"] is None
    assert "embedding" in kept["pairs"][0]["overall"]["reason"]
    assert kept["robust"]["counting"] is True


def test_multipliers_are_those_of_the_curves():
    """Losses exactly C^-0.1, one family at 1.3 times the compute of the other: the multiplier is 1.3 inside the range."""
    table = run(seed=8, families=2, seeds=2)[0]
    table = table[scored(table)].copy()
    factor = np.where(table["family"] == "family_0", 1.0, 1.3)
    bend = 0.05 * np.log(table["N"] / np.sqrt(table["budget"] / 60)) ** 2
    wobble = 1e-4 * np.random.default_rng(0).standard_normal(len(table))
    table["bpb"] = 3 * (table["budget"] / factor / 1e12) ** -0.1 * np.exp(bend + wobble)
    pair = compare(table.assign(rate=np.nan), draws=200).to_json()["pairs"][0]
    rows = [row for row in pair["budgets"] if row["multiplier"] is not None]
    assert len(rows) == len(pair["budgets"]) - 1  # the smallest budget is left of what family_0 ran
    for row in rows:
        assert row["multiplier"] == pytest.approx(1 / 1.3, rel=0.02)
    assert pair["budgets"][0]["reason"]


def test_crossing_laws_have_a_crossover_and_two_winners():
    table = run(seed=9, families=2, seeds=2)[0]
    table = table[scored(table)].copy()
    middle = np.sqrt(table["budget"].min() * table["budget"].max())
    slope = np.where(table["family"] == "family_0", 0.05, 0.12)
    bend = 0.05 * np.log(table["N"] / np.sqrt(table["budget"] / 60)) ** 2
    wobble = 1e-3 * np.random.default_rng(0).standard_normal(len(table))
    table["bpb"] = 3 * (table["budget"] / middle) ** -slope * np.exp(bend + wobble)
    found = compare(table.assign(rate=np.nan), draws=200)
    cross = [row for row in found.to_json()["crossovers"] if row["axis"] == "flops"]
    assert len(cross) == 1
    assert cross[0]["low"] <= middle * 1.01
    assert cross[0]["high"] >= middle * 0.99
    assert (cross[0]["better_below"], cross[0]["better_above"]) == ("family_0", "family_1")
    winners = found.winners()["winner"].tolist()
    assert (winners[0], winners[-1]) == ("family_0", "family_1")
    slopes = {row["family"]: row for row in found.to_json()["slopes"]}
    assert slopes["family_1"]["low"] < 0.12 < slopes["family_1"]["high"]


def test_target_is_answered_within_reach_and_refused_beyond(study):
    table = study[0]
    largest = table["budget"].max()
    near = compare(table, draws=200, target=3 * largest).to_json()["target"]
    for choice in near["choices"]:
        assert choice["low"] < choice["loss"] < choice["high"]
        assert choice["N"] * choice["D"] * 6 == pytest.approx(3 * largest, rel=1e-6)  # the simulated families cost 6 N D
        truth = next(t for t in study[3].world.families if t.name == choice["family"])
        best = np.log(truth.loss(np.geomspace(1e5, 1e8, 500), 3 * largest)).min()
        assert abs(np.log(choice["loss"]) - best) < 0.1  # the documents of one study alone move a loss by 2 to 3 %
    far = compare(table, draws=200, target=30 * largest).to_json()["target"]
    assert far["winner"] is None
    assert "30 times the largest" in far["reason"]
    assert all(choice["loss"] is None for choice in far["choices"])
    assert compare(table, draws=200, target=30 * largest, reach=40).to_json()["target"]["choices"][0]["loss"]


def test_fixed_tokens_compare_families_at_equal_compute():
    """One number of tokens, the sizes are the axis: family_1 is 5 % worse at every size and 20 % dearer."""
    rows = []
    for family, dear, worse in (("family_0", 1.0, 1.0), ("family_1", 1.2, 1.05)):
        for size, N in enumerate(1e5 * 2.0 ** np.arange(5)):
            for seed in (1, 2, 3):
                noise_ = 0.002 * np.random.default_rng([size, seed, int(10 * dear)]).standard_normal()
                C = 6 * N * 1e8 * dear
                loss = worse * (1 + 2 * (N / 1e5) ** -0.3) * np.exp(noise_)
                rows.append({"stage": "score", "family": family, "size": size, "seed": seed, "budget": 1e8, "N": N, "D": 1e8,
                             "C": C, "loss": loss, "rate": np.nan, "status": "done"})  # fmt: skip
    found = compare(pd.DataFrame(rows), draws=200, protocol="fixed-tokens").to_json()
    assert found["pairs"][0]["overall"]["verdict"] == "family_0"
    levels = found["budgets"]
    assert levels[0] == pytest.approx(6e13 * 1.2)
    assert levels[-1] == pytest.approx(6e13 * 16)
    first = found["pairs"][0]["budgets"][0]
    same = 1 + 2 * 1.2**-0.3
    assert first["ln_difference"] == pytest.approx(np.log(same / 1.05 / 3), abs=0.01)


def test_bad_requests_are_refused_in_one_line(study):
    table, documents, sizes, _ = study
    with pytest.raises(Refusal, match=r"no column budget.*It has"):
        compare(table.drop(columns="budget"))
    with pytest.raises(Refusal, match="Did you mean 'family_1'"):
        compare(table, families=["familly_1"])
    with pytest.raises(Refusal, match="fixed-tokens"):
        compare(table, protocol="fixed")
    with pytest.raises(Refusal, match=r"documents as \["):
        compare(table, documents[:-1], sizes)
    with pytest.raises(Refusal, match="come together"):
        compare(table, documents)
    with pytest.raises(Refusal, match="Choose one of flops"):
        compare(table, draws=60).winners("watts")


def test_a_thousand_runs_take_less_than_two_seconds():
    generator = np.random.default_rng(0)
    world = simulated.dataclasses.replace(simulated.draw_world(generator, families=8), seeds=8)
    world = simulated.dataclasses.replace(world, budgets=world.budgets[:4], sizes=world.sizes[:4])
    laboratory = simulated.Laboratory(world, generator)
    table, documents, _ = laboratory.study()
    table, documents = pd.concat([table] * 2).iloc[:1000], np.concatenate([documents] * 2)[:1000]
    table = table.assign(seed=table["seed"] + 1000 * np.arange(len(table)) // 900)
    start = time.process_time()
    compare(table, documents, laboratory.bytes, draws=1000)
    assert len(table) == 1000
    assert time.process_time() - start < 2
